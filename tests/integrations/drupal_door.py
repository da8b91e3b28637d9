"""Agreement, switches, rights, leaks, outages and removal of the module on a real Drupal."""
import gzip, json, os, re, time, urllib.parse
import fpm
from door import Door
from drupal_files import look
from drupal_site import PHP
from drupal_sign_ins import JSON, basic, link
from wordpress import ADMIN, PASSWORD, wait_for

TYPES = ["auth.attempt", "component.lifecycle", "config.change", "cron.run", "db.event", "file.edit", "http.request",
         "mail.outcome", "php.error", "user.change"]
PAGE_S_MAX = 1.0
SOURCES = ("echo json_encode(array_values(array_filter(Drupal::getContainer()->getServiceIds(), fn ($id) => str_starts_with($id, 'logystera.')"
           " && !str_contains($id, '.inner'))));")


def busy(site):
    """Something of each type."""
    site.sign_in(ADMIN, "leak-typed-password")
    site.sign_in("leak-typed-user", "leak-typed-password")
    for kind in ["warning", "database", "fatal"]:
        site.get(f"/probe/{kind}?q=leak-query", cookies=False)
    site.eval("""Drupal::service('plugin.manager.mail')->mail('probe', 'x', 'leak-mail@example.test', 'en');
        $c = Drupal::configFactory(); $c->getEditable('probe.x')->set('a', 'leak-config-value')->save(); $c->getEditable('probe.x')->delete();
        $u = Drupal\\user\\Entity\\User::create(['name' => 'leak-typed-user2', 'mail' => 'leak-mail2@example.test', 'pass' => 'leak-password2']);
        $u->save(); $u->delete(); Drupal::queue('probe')->createItem('leak-item'); Drupal::service('cron')->run();""")
    site.install("help"), site.uninstall("help")
    (site.default / "files/x.php").write_text("<?php x(); // leak-script " + str(time.time_ns()))


def test_nothing_happens_before_an_administrator_agrees(world):
    site = world.bare_site("consent")
    left = ["logystera.components", "logystera.drill", "logystera.fields", "logystera.ledger", "logystera.panels", "logystera.rebuild",
            "logystera.runtime", "logystera.settings", "logystera.spool_folder", "logystera.status", "logystera.transport", "logystera.watch",
            "logystera.words"]
    services = lambda: sorted(json.loads(site.eval(SOURCES)))
    assert services() == left, services()
    said = site.settings(dsn=site.dsn)
    assert "until you agree" in said, said
    busy(site)
    assert services() == left and site.state("logystera.spool") is None and site.state("logystera.key") is None
    assert site.command(check=False).returncode == 3
    assert not list(site.folder.parent.glob(".logystera*")) and not list((site.default / "files").glob("logystera*"))
    site.settings(agree="1")
    assert len(services()) > len(left)
    look(site)
    busy(site)
    look(site)
    types = {s["type"] for s in world.gateway.signals(site)}
    assert types == set(TYPES), set(TYPES) - types
    folder = site.spool()
    for said in [site.settings(agree=None), site.settings(("withdraw", "Withdraw the agreement"))]:
        assert "take the agreement back" in said and folder.exists(), said
    said = site.settings(("withdraw", "Withdraw the agreement"), sure="1")
    assert "Nothing is recorded or sent any more" in said and not folder.exists(), said
    assert services() == left
    before = len(world.gateway.signals(site))
    busy(site)
    assert len(world.gateway.signals(site)) == before and not folder.exists()


def test_a_type_that_is_off_has_no_service_and_no_signal(world):
    site = world.site("switches")
    look(site)
    for kind in TYPES:
        site.settings(**{f"types[{t}]": None if t == kind else t for t in TYPES})
        site.command()
        seen = len(world.gateway.signals(site))
        busy(site)
        look(site)
        new = {s["type"] for s in world.gateway.signals(site)[seen:]}
        assert new == set(TYPES) - {kind}, (kind, new)
    return f"{len(TYPES)} types"


def test_who_may_not_is_refused_and_the_secret_is_never_shown(world):
    site = world.site("rights")
    site.eval("Drupal\\user\\Entity\\User::create(['name' => 'sub', 'pass' => 'pw', 'mail' => 's@example.test', 'status' => 1])->save();")
    path = "/admin/config/system/logystera"
    assert site.get(path, cookies=False).status == 403
    fields = site.form(path, "logystera_settings")
    admin, site.jar = site.jar, {}
    assert site.sign_in("sub", "pw", cookies=True).status == 303
    assert site.get(path).status == 403 and site.post(path, {**fields, "op": "Save"}).status == 403
    site.jar = admin
    for token in ["", "wrong"]:
        answer = site.post(path, {**fields, "form_token": token, "flush_every_s": 999, "op": "Save"})
        assert site.form(path, "logystera_settings")["flush_every_s"] == "60" and answer.status == 200
    assert "It has to begin with https://" in site.settings(dsn=site.dsn.replace("127.0.0.1", "gateway.example"))
    secret = re.search(r":([0-9a-f]{64})@", site.dsn).group(1)
    page = site.get(path).text
    assert secret not in page and site.state("logystera.key") not in page
    exported = site.eval("$s = Drupal::service('config.storage'); echo json_encode($s->readMultiple($s->listAll()));")
    assert secret not in exported and site.state("logystera.key") not in exported and "logystera.settings" in exported
    said = site.settings(("sendTest", "Check now"))
    assert "It works. The service that watches for you has what this site sent." in said, said
    hashed = world.signals(site, "http.request")[0]["source"]
    assert f"{hashed} 127.0.0.1 address on the internet" in re.sub(r"\s+", " ", site.settings(("lookUp", "Look up"), hashes=hashed))
    assert "not known here" in site.settings(("lookUp", "Look up"), hashes="0" * 32)
    assert '"platform":"drupal"' in site.get(path).text.replace("&quot;", '"')
    report = site.get("/admin/reports/status").text
    assert "It works." in report
    assert site.post("/logystera/kick", {"token": "wrong"}, cookies=False).status == 403
    assert site.get("/logystera/kick", cookies=False).status in (404, 405)


def test_the_dsn_may_stand_in_the_settings(world):
    made = world.gateway.add_site("fixed")
    site = world.bare_site("fixed", f"$settings['logystera_dsn'] = '{made['dsn']}';")
    site.id = made["site"]
    said = site.settings(agree="1")
    assert "The connection key comes from settings.php" in said and "Events are recorded" in said, said
    site.get("/probe/none", cookies=False), site.command()
    assert world.signals(site, "http.request") and site.state("logystera.dsn") is None


def test_traffic_alone_sends(world):
    site = world.site("traffic")
    wait_for("a batch", lambda: (site.get("/probe/none", cookies=False), world.signals(site, "http.request"))[1], 30)


def test_under_fpm_a_page_does_not_wait_for_the_gateway(world):
    if PHP != "php":
        return "skipped: the machine's PHP-FPM is of another version"
    site = world.bare_site("fpm")
    site.stop()
    server = fpm.Server(site)
    try:
        door = Door(world.gateway)
        site.settings(dsn=door.dsn(site.dsn), agree="1")
        return sends_after_the_page(world, site, door, kicks=False)
    finally:
        server.stop()


def test_elsewhere_a_page_does_not_wait_for_the_gateway(world):
    site = world.bare_site("elsewhere")
    door = Door(world.gateway)
    site.settings(dsn=door.dsn(site.dsn), agree="1")
    return sends_after_the_page(world, site, door, kicks=True)


def sends_after_the_page(world, site, door, kicks):
    site.command()
    door.requests.clear()
    door.hang()
    site.get("/probe/before", cookies=False)
    time.sleep(10.5)
    start = time.monotonic()
    site.get("/probe/sends", cookies=False)
    took = time.monotonic() - start
    assert took < PAGE_S_MAX, took
    wait_for("the try", lambda: door.requests, 3)
    assert (site.spool() / "kick.php").exists() == kicks
    time.sleep(max(0, start + 4 - time.monotonic()))
    door.go_on()
    assert "It works." in site.settings(("sendTest", "Check now"))
    paths = [s["path"] for s in world.signals(site, "http.request")]
    assert {"/probe/before", "/probe/sends"} <= set(paths) and "/logystera/kick" not in paths, paths
    return f"the page that sent took {took * 1000:.0f} ms while the gateway hung"


def test_an_outage_keeps_every_signal(world):
    site = world.site("outage")
    site.command()
    world.gateway.stop()
    try:
        paths = [f"/probe/p{i}" for i in range(20)]
        slowest = 0
        for path in paths:
            start = time.monotonic()
            site.get(path, cookies=False)
            slowest = max(slowest, time.monotonic() - start)
            site.command(check=False)
    finally:
        world.gateway.start()
    said = site.settings(("sendTest", "Check now"))
    assert "It works." in said, said
    site.command()
    got = [s["path"] for s in world.signals(site, "http.request") if s["path"] in paths]
    assert got == paths, got
    return f"slowest of 20 pages: {slowest * 1000:.0f} ms"


def test_commands_of_others_leave_the_spool_to_the_site(world):
    if os.geteuid() != 0:
        return "skipped: only root can be somebody else"
    site = world.site("users")
    folder = site.spool()
    change = lambda value, user: site.eval(f"Drupal::configFactory()->getEditable('probe.x')->set('a', {value})->save();", check=False, user=user)
    change(1, [])
    change(2, ["setpriv", "--reuid=daemon", "--regid=daemon", "--clear-groups"])
    assert site.spool() == folder and {f.owner() for f in folder.iterdir()} == {"nobody"}
    site.get("/probe/none", cookies=False)
    site.command()
    assert [s["action"] for s in world.signals(site, "config.change")] == ["added"] and world.signals(site, "http.request")
    assert site.php(["modules/logystera/cron.php"], check=False, user=[]).returncode == 2


def test_nothing_that_was_planted_leaks(world):
    site = world.bare_site("secrets")
    door = Door(world.gateway)
    site.settings(dsn=door.dsn(site.dsn), agree="1")
    good = link(site)
    busy(site)
    site.get(good, cookies=False)
    site.get(good, cookies=False)
    site.get("/probe/none", headers=basic("leak-typed-user3", "leak-basic"), cookies=False)
    site.post("/user/login?_format=json", '{"name": "leak-typed-user4", "pass": "leak-rest"}', headers=JSON, cookies=False)
    for path in ["/?s=leak-search", "/search/leak-search", "/user/leak-mail@example.test", "/x/leak-mail%40example.test"]:
        site.get(path, cookies=False, headers={"User-Agent": "bot/1 (+leak-agent@example.test)", "Referer": "http://x/?leak-referer"})
    site.command()
    busy(site)  # and some that wait
    secret, key = re.search(r":([0-9a-f]{64})@", site.dsn).group(1), site.state("logystera.key")
    cookies = [v for k, v in site.jar.items() if k.startswith("SESS")]
    sought = [s.encode() for s in [secret, key, PASSWORD, "@example.test", "planted", good.split("/")[5], *cookies,
                                   *map(urllib.parse.unquote, cookies)]] + [b"leak", bytes.fromhex(secret), bytes.fromhex(key)]
    found, leaked = {}, []
    for file in site.spool().iterdir():
        data = found[f"spool/{file.name}"] = file.read_bytes()
        if b"\x1f\x8b" in data:
            found[f"spool/{file.name}, unpacked"] = gzip.decompress(data[data.index(b"\x1f\x8b"):])
    for i, (headers, body) in enumerate(door.requests):
        found[f"wire/{i}"] = repr(headers).encode() + (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    found["the site's log"] = b"\n".join(x for x in site.log.read_bytes().split(b"\n") if b"modules/logystera" in x or b"logystera: " in x)
    for place, data in found.items():
        # What hashes stand for stays on the site: names that were typed, and the shapes of messages.
        if "lookup" in place or "meanings" in place:
            data = re.sub(rb"leak-typed-user\d?|undefined_planted", b"", data)
        leaked += [f"{place}: {s!r} in {data[max(0, data.index(s) - 60):][:160]!r}" for s in sought if s in data]
    assert not leaked, "\n".join(leaked)
    return f"{len(sought)} secrets, {len(found)} places"


def test_uninstalling_leaves_nothing(world):
    site = world.site("uninstall")
    busy(site)
    site.command()
    folder = site.spool()
    assert folder.is_dir()
    site.uninstall("logystera")
    left = site.eval("$d = Drupal::database(); echo json_encode([$d->query(\"SELECT name FROM {key_value} WHERE name LIKE '%logystera%'\")->fetchCol(),"
                     "Drupal::service('config.storage')->listAll('logystera'), array_filter(Drupal::getContainer()->getServiceIds(),"
                     "fn ($id) => str_contains($id, 'logystera'))]);")
    assert left in ("[[],[],[]]",), left
    assert not folder.exists() and site.get("/probe/none", cookies=False).status == 200
    assert site.get("/admin/config/system/logystera").status == 404
