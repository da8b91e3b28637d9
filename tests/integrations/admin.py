"""What an administrator decides and sees, what others may not, and what is left when the plugin goes."""
import html, json, os, re, subprocess
from door import Door
from wordpress import PASSWORD, WordPress, free_port
from world import TYPES

# Classes of the plugin whose hooks are registered, and whether PHP's errors go to it.
HOOKS = """$found = [];
foreach ($GLOBALS['wp_filter'] as $hook) { foreach ($hook->callbacks as $callbacks) { foreach ($callbacks as $callback) {
    $f = $callback['function']; if (is_array($f) && $f[0] instanceof Logystera\\WordPress\\Guard) { $found[$f[0]->watcher()] = true; continue; }
    $c = is_array($f) ? (is_object($f[0]) ? get_class($f[0]) : (string) $f[0]) : '';
    if (strpos($c, 'Logystera') === 0) { $found[$c] = true; } } } }
$h = set_error_handler(null); if (is_array($h) && is_object($h[0])) { $found[get_class($h[0])] = true; }
echo json_encode(array_keys($found));"""
SOURCES = {"auth.attempt": "Auth", "component.lifecycle": "Component", "config.change": "Config", "cron.run": "Cron", "file.edit": "FileEdit",
           "mail.outcome": "Mail", "php.error": "PhpError", "shop.order": "Order", "user.change": "UserChange"}
BUSY = """wp_mail('a@example.test', 's', 'b'); update_option('blogname', wp_generate_password()); wp_create_user('u' . wp_rand(), 'p');
$GLOBALS['wpdb']->suppress_errors(); $GLOBALS['wpdb']->query('SELECT * FROM nowhere'); trigger_error('w', E_USER_WARNING);
wp_schedule_single_event(time() - 5, 'probe_job'); wp_authenticate('admin', 'wrong');"""


def be_busy(site):
    site.eval(BUSY)
    site.cron()
    site.get("/", cookies=False)


def traces(site):
    """What the plugin has left in a site: options, transients, events, folders."""
    options = site.database.query("SELECT option_name FROM wp_options WHERE option_name LIKE '%logystera%'", site.name).split()
    if "logystera" in site.database.query("SELECT option_value FROM wp_options WHERE option_name = 'cron'", site.name):
        options.append("an event")
    folders = [*site.folder.parent.glob(".logystera*"), *(site.folder / "wp-content/uploads").glob("logystera*")]
    return options + [str(f) for f in folders]


def test_nothing_happens_before_an_administrator_agrees(world):
    site = world.bare_site("consent")
    door = Door(world.gateway)
    made = world.gateway.add_site("consent")
    site.id, dsn = made["site"], door.dsn(made["dsn"])
    assert json.loads(site.eval(HOOKS)) == []
    be_busy(site)
    assert traces(site) == [], traces(site)
    site.log_in()
    note = site.settings("save", dsn=dsn, **{"types[]": TYPES})
    assert "until you agree" in note, note
    be_busy(site)
    assert [t for t in traces(site) if "logystera_settings" not in t and "logystera_dsn" not in t] == [], traces(site)
    assert json.loads(site.eval(HOOKS)) == [] and door.requests == []
    site.settings("save", agree="on", **{"types[]": TYPES})
    be_busy(site)
    site.command()
    assert {s["type"] for s in world.gateway.signals(site)} >= {"auth.attempt", "mail.outcome", "config.change", "http.request"}
    # Another gateway needs another agreement. The one before hears the last word.
    site.settings("save", dsn=re.sub(r"@127\.0\.0\.1:\d+", "@[::1]:9", dsn), **{"types[]": TYPES})
    count = len(door.requests)
    be_busy(site)
    assert json.loads(site.eval(HOOKS)) == [] and site.command().returncode == 3 and len(door.requests) == count
    # And the one before is agreed to anew when it comes back: the tick that stood there was for another.
    assert "until you agree" in site.settings("save", dsn=dsn, **{"types[]": TYPES})
    assert json.loads(site.eval(HOOKS)) == []
    site.save(dsn, TYPES)
    assert "another service" in site.settings("save", dsn=re.sub(r"@127\.0\.0\.1:\d+", "@[::1]:9", dsn), agree="on", **{"types[]": TYPES})
    assert json.loads(site.eval(HOOKS)) == [], "a tick that stood there agreed to another gateway"
    # Withdrawn, by taking the tick away or by the button: who does that is asked, and until they answer all goes on.
    site.save(dsn, TYPES)
    be_busy(site)
    folder = site.spool()
    assert folder.is_dir()
    for act in [lambda: site.settings("save", **{"types[]": TYPES}), lambda: site.settings("withdraw")]:
        assert "take the agreement back?" in act()
        assert json.loads(site.eval(HOOKS)) != [] and folder.is_dir()
    assert "Nothing is recorded or sent any more" in site.settings("withdraw", sure="1")
    be_busy(site)
    assert not folder.exists() and json.loads(site.eval(HOOKS)) == []


def test_a_type_that_is_off_has_no_hook_and_no_signal(world):
    site = world.site("toggles", types=TYPES)
    namespace = "Logystera\\WordPress\\Signals\\"
    assert {namespace + c for c in SOURCES.values()} <= set(json.loads(site.eval(HOOKS)))
    for off in TYPES:
        site.eval(f"$s = get_option('logystera_settings'); $s['types'] = ['{off}' => false]; update_option('logystera_settings', $s);")
        hooks = set(json.loads(site.eval(HOOKS)))
        expected = {namespace + c for kind, c in SOURCES.items() if kind != off}
        assert {h for h in hooks if h.startswith(namespace)} == expected, (off, hooks)
        # The switch itself was flipped while the type was on. On a busy machine the site's own visits send before the command does.
        site.command()
        before = world.gateway.signals(site)
        be_busy(site)
        site.command()
        new = world.gateway.signals(site)[len(before):]
        kinds = [s["type"] for s in new]
        assert off not in kinds and len(set(kinds)) >= 5, (off, kinds)
    site.settings("save", agree="on", **{"types[]": []})
    site.command()
    before = len(world.gateway.signals(site))
    be_busy(site)
    assert site.command().returncode == 0
    assert len(world.gateway.signals(site)) == before
    return f"{len(TYPES)} types"


def test_who_may_not_is_refused_and_the_secret_is_never_shown(world):
    site = world.site("rights")
    secret = re.search(r":([0-9a-f]{64})@", site.dsn).group(1)
    page = site.get("/wp-admin/options-general.php?page=logystera").text
    assert secret not in page and site.id in page and world.gateway.admin
    before = site.option("logystera_settings")
    for action in ["save", "test", "drill", "withdraw"]:
        assert site.post("/wp-admin/admin-post.php", {"action": f"logystera_{action}"}).status == 403, "no nonce"
        nonce = site.form("/wp-admin/options-general.php?page=logystera", f"logystera_{action}")["_wpnonce"]
        other = "save" if action != "save" else "test"
        assert site.post("/wp-admin/admin-post.php", {"action": f"logystera_{other}", "_wpnonce": nonce}).status == 403, "another's nonce"
    nonces = {a: site.form("/wp-admin/options-general.php?page=logystera", f"logystera_{a}") for a in ["save", "test", "drill", "withdraw"]}
    site.eval(f"wp_insert_user(['user_login' => 'sub', 'user_pass' => '{PASSWORD}', 'role' => 'subscriber']);")
    site.log_in("sub")
    cookie = next(name for name in site.jar if name.startswith("wordpress_logged_in"))
    for action, fields in nonces.items():
        # An administrator's nonce, and one that is the subscriber's own.
        own = site.eval(f"$_COOKIE['{cookie}'] = rawurldecode('{site.jar[cookie]}'); wp_set_current_user(get_user_by('login', 'sub')->ID);"
                        f"echo wp_create_nonce('logystera_{action}');")
        for nonce in [fields["_wpnonce"], own]:
            answer = site.post("/wp-admin/admin-post.php", {**fields, "_wpnonce": nonce, "agree": "on", "dsn": site.dsn})
            assert answer.status == 403, (action, answer.status)
        assert "may not change" in answer.text, "the nonce was good, the right was missing"
    assert site.get("/wp-admin/options-general.php?page=logystera").status == 403
    for token in ["", "0" * 64]:
        assert site.post("/wp-admin/admin-ajax.php", {"action": "logystera_kick", "token": token}, cookies=False).status == 403
    assert site.option("logystera_settings") == before
    site.log_in()
    for host in ["http://in.example.com", "http://127.0.0.1.example.com", "nonsense"]:
        shown = site.settings("save", dsn=f"{host.replace('://', f'://s.k:{secret}@')}/v1/batches?audience=a", agree="on", **{"types[]": TYPES})
        assert "The rest was saved" in shown and secret not in shown, shown
    assert site.option("logystera_dsn") == site.dsn
    assert "It works." in site.settings("test")
    site.settings("save", dsn=site.dsn.replace(secret, "0" * 64), agree="on", **{"types[]": TYPES})
    assert "does not accept your connection key" in site.settings("test")
    site.settings("save", dsn=site.dsn, agree="on", **{"types[]": TYPES})
    site.settings("test")
    shown = html.unescape(re.search(r"<textarea readonly[^>]*>(.*?)</textarea>",
                                    site.get("/wp-admin/options-general.php?page=logystera").text, re.S).group(1))
    assert json.loads(shown)["integration"]["platform"] == "wordpress"
    signal = world.signals(site, "user.change")[0]
    assert ">sub</td>" in site.get(f"/wp-admin/options-general.php?page=logystera&hash={signal['user_hash']}").text
    health = json.loads(site.eval("require_once ABSPATH . 'wp-admin/includes/admin.php'; "
                                  "echo json_encode(Logystera\\WordPress\\Admin\\Health::test());"))
    assert health["status"] == "good", health
    # From the configuration the DSN has no field and is not shown either.
    site.configure(f"define('LOGYSTERA_DSN', '{site.dsn}');")
    site.eval("delete_option('logystera_dsn');")
    page = site.get("/wp-admin/options-general.php?page=logystera").text
    assert secret not in page, page[max(0, page.find(secret) - 300):][:400]
    assert "comes from the configuration" in page and 'name="dsn"' not in page, page[:300]
    assert "It works." in site.settings("test")


def test_a_proxy_is_believed_only_where_it_is_trusted(world):
    site = world.site("proxy", types=["http.request"])
    def sources(header, value):
        count = len(world.signals(site, "http.request"))
        site.get("/?x", cookies=False, headers={header: value})
        site.command()
        new = world.signals(site, "http.request")[count:]
        return [s["source"] for s in new if s["path"] == "/"][-1]
    found = json.loads(site.eval("$h = new Logystera\\Hasher(Logystera\\WordPress\\Settings::hashKey()); echo json_encode(array_map(function ($a) use ($h) {"
                                 " return $h->hash('address', $a); }, ['127.0.0.1', '198.51.100.7', '203.0.113.9']));"))
    here, client, spoofed = found
    assert sources("X-Forwarded-For", "198.51.100.7") == here, "believed unasked"
    assert "It is not believed" in site.get("/wp-admin/options-general.php?page=logystera", headers={"CF-Connecting-IP": "198.51.100.7"}).text
    note = site.settings("save", agree="on", proxies="127.0.0.0/8 nonsense", proxy_header="X-Forwarded-For", **{"types[]": ["http.request"]})
    assert "no address and no network" in note, note
    for value, expected in [("198.51.100.7", client), ("203.0.113.9, 198.51.100.7", client), ("203.0.113.9, ::ffff:198.51.100.7, 127.0.0.2", client),
                            (" 198.51.100.7:4711 ", client), ("203.0.113.9, unknown", here), ("", here)]:
        assert sources("X-Forwarded-For", value) == expected, value
    assert sources("X-Real-IP", "203.0.113.9") == here, "another header than the one that was chosen"
    (site.folder / "wp-content/mu-plugins/a.php").write_text("<?php add_filter('logystera_client_address', fn () => $_SERVER['HTTP_X_OWN'] ?? 'nonsense');")
    assert [sources("X-Own", v) for v in ["203.0.113.9", "x"]] == [spoofed, here]


def test_the_command_says_when_wordpress_did_not_come_up(world):
    site = world.site("command")
    assert site.command().returncode == 0
    (site.folder / ".maintenance").write_text("<?php $upgrading = time();")
    ran = site.command()
    assert ran.returncode == 1 and "<" not in ran.stdout + ran.stderr and "maintenance" in ran.stderr, ran
    (site.folder / ".maintenance").unlink()
    site.configure("define('DB_PASSWORD', 'wrong');")
    ran = site.command()
    assert ran.returncode == 1 and "<" not in ran.stdout + ran.stderr and "database" in ran.stderr, ran
    site.configure()
    assert site.command().returncode == 0
    missed_jobs_are_told_once(world, site)
    a_sign_in_past_the_form_is_told(world, site)
    texts_are_translated(site)


def missed_jobs_are_told_once(world, site):
    """Also twins, and more than one look tells; and WordPress's own cron, which looks too, forgets none."""
    (site.folder / "wp-config.php").write_text((site.folder / "wp-config.php").read_text().replace("<?php", "<?php define('DISABLE_WP_CRON', true);", 1))
    site.eval("""for ($i = 0; $i < 25; $i++) { wp_schedule_single_event(time() - 7200, "many_$i"); }
      foreach ([7201, 7900, 8600] as $late) { wp_schedule_single_event(time() - $late, 'twin', [$late]); }""")
    for _ in range(2):
        site.command()
    site.eval("define('DOING_CRON', true); (new Logystera\\WordPress\\Watch(Logystera\\WordPress\\Plugin::site()))->look(true);")
    for _ in range(2):
        site.command()
    missed = [s["job"] for s in world.signals(site, "cron.run") if s["outcome"] == "missed"]
    assert sorted(m for m in missed if m == "twin" or m.startswith("many")) == sorted(["twin"] * 3 + [f"many_{i}" for i in range(25)]), missed
    site.eval("_set_cron_array([]);")


# How a plugin signs people in that has asked elsewhere who they are; and what WordPress does when somebody changes their password.
COOKIES = """<?php add_action('init', function () { if (!isset($_GET['as'])) { return; }
  if ($_GET['as'] === 'password') { wp_update_user(['ID' => get_current_user_id(), 'user_pass' => 'pw-12345-planted']); }
  else { wp_set_current_user(1); wp_set_auth_cookie(1, true); } exit('done'); });"""


def a_sign_in_past_the_form_is_told(world, site):
    plugin = site.folder / "wp-content/mu-plugins/cookies.php"
    plugin.write_text(COOKIES)
    def attempts(path, cookies):
        site.command()
        count = len(world.signals(site, "auth.attempt"))
        assert "done" in site.get(path, cookies=cookies).text
        site.command()
        return [(s["outcome"], s["method"], s["privileged"]) for s in world.signals(site, "auth.attempt")[count:]]
    assert attempts("/?as=admin", False) == [("success", "sso", True)]
    site.log_in()
    # Who is signed in already gets another cookie, and has not signed in again.
    assert attempts("/?as=admin", True) == []
    assert attempts("/?as=password", True) == []
    plugin.unlink()


def texts_are_translated(site):
    """From the plugin's own folder, which WordPress before 6.7 does not look into by itself."""
    languages = site.folder / "wp-content/plugins/logystera/languages"
    site.eval(f"require_once ABSPATH . WPINC . '/pomo/mo.php'; $m = new MO(); $m->add_entry(new Translation_Entry(['singular' => 'Check now',"
              f" 'translations' => ['Jetzt prüfen']])); $m->export_to_file('{languages}/logystera-de_DE.mo');")
    (site.folder / "wp-content/languages").mkdir(exist_ok=True)
    (site.folder / "wp-content/mu-plugins/locale.php").write_text("<?php add_filter('locale', fn () => 'de_DE');")
    page = site.get("/wp-admin/options-general.php?page=logystera").text
    assert "Jetzt prüfen" in page, page[:500]


def test_the_spool_gives_nothing_by_url(world):
    outside = world.site("outside")
    folder = outside.spool()
    assert outside.folder not in folder.parents and folder.parent == outside.folder.parent, folder
    inside = world.bare_site("inside")
    if os.geteuid() == 0:
        os.chown(inside.folder.parent, 0, 0)
    inside.folder.parent.chmod(0o755 if os.geteuid() == 0 else 0o555)
    world.agree(inside)
    be_busy(inside)
    inside.command()
    be_busy(inside)
    folder = inside.spool()
    assert inside.folder in folder.parents, folder
    files = [f for f in folder.iterdir() if f.is_file()]
    assert len(files) >= 6, files
    for file in files:
        answer = inside.get("/" + str(file.relative_to(inside.folder)), cookies=False)
        if file.name not in (".htaccess", "web.config"):
            assert answer.text == "", (file, answer.text[:200])
        assert file.stat().st_mode & 0o007 == 0 or folder.stat().st_mode & 0o077 == 0
    listing = inside.get("/" + str(folder.relative_to(inside.folder)) + "/", cookies=False)
    assert "open.php" not in listing.text
    inside.folder.parent.chmod(0o755)


def test_uninstalling_leaves_nothing(world):
    site = world.site("uninstall")
    be_busy(site)
    site.command()
    assert len(traces(site)) >= 6
    site.log_in()
    site.eval("require_once ABSPATH . 'wp-admin/includes/admin.php'; deactivate_plugins('logystera/logystera.php');")
    site.eval("require_once ABSPATH . 'wp-admin/includes/admin.php'; $r = delete_plugins(['logystera/logystera.php']);"
              "if ($r !== true) { fwrite(STDERR, print_r($r, true)); exit(1); }")
    be_busy(site)
    assert traces(site) == [], traces(site)
    assert not (site.folder / "wp-content/plugins/logystera").exists()


def test_a_copy_with_all_that_lies_around_it_is_another_sender(world):
    a_copy_is_another_sender(world, "original", lambda site: world.scratch / "copied" / "www")


def test_a_copy_beside_the_site_is_another_sender(world):
    """Both have the same folder above them, and the copy has the site's options: the spool must not be shared."""
    a_copy_is_another_sender(world, "beside", lambda site: site.folder.parent / "staging")


def a_copy_is_another_sender(world, name, place):
    """Files and database copied, another address: each has a spool of its own, and nothing of either is lost."""
    site = world.site(name)
    door = Door(world.gateway)
    site.save(door.dsn(site.dsn), TYPES)
    site.command()
    door.close()
    for i in range(5):
        site.eval(f"update_option('probe_original_{i}', '{i}');")
    site.command()  # a batch is claimed, and does not arrive
    site.eval("update_option('probe_original_5', '5');")
    site.stop()
    copy = WordPress.__new__(WordPress)
    copy.__dict__.update(site.__dict__, name=f"{name}_copy", folder=place(site), jar={}, server=None, port=free_port())
    copy.url = f"http://127.0.0.1:{copy.port}"
    whole = copy.folder.parent != site.folder.parent
    subprocess.run(["cp", "-a", *([site.folder.parent, copy.folder.parent] if whole else [site.folder, copy.folder])], check=True)
    world.database.query(f"CREATE DATABASE {copy.name}")
    client = ["--no-defaults", "-uroot", "-S", world.database.socket]
    dump = subprocess.run(["mariadb-dump", *client, site.name], capture_output=True, check=True)
    subprocess.run(["mariadb", *client, copy.name], input=dump.stdout, check=True)
    copy.configure()
    copy.own(copy.folder)
    world.sites.append(copy)
    site.serve()
    copy.serve()
    site.eval("update_option('probe_only_original', '1');")
    # From a command line a site does not know its web root: the first page tells it where its spool may lie.
    copy.get("/", cookies=False)
    copy.eval("update_option('probe_only_copy', '1');")
    door.open()
    for s in [site, copy]:
        s.eval("Logystera\\WordPress\\Plugin::site()->flush(10000, true);")
    state = lambda s: json.loads(re.sub(r"^.*?\n", "", (s.spool() / "state.php").read_text(), count=1))
    assert state(site)["spool"] != state(copy)["spool"] and site.spool() != copy.spool(), (site.spool(), copy.spool())
    keys = [s["key"] for s in world.signals(site, "config.change") if s["key"].startswith("probe")]
    wanted = [f"probe_original_{i}" for i in range(6)] + ["probe_only_original", "probe_only_copy"]
    # What lay in the copied spool was the original's already: the copy cannot know, and sends it, too.
    twice = [k for k in set(keys) if keys.count(k) > 1]
    assert set(keys) == set(wanted) and (whole or not twice), (sorted(keys), wanted)
