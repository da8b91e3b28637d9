"""What once went wrong in the WordPress plugin, tried on a real Drupal: a disk that takes nothing, floods, fatal errors, proxies, damaged files, no database."""
import json, re, stat, time
from door import Door
from drupal_door import TYPES
from drupal_sign_ins import JSON, DrupalTable
from wordpress import ADMIN

PAGE = "/admin/config/system/logystera"
ONLY_SIGN_INS = {f"types[{t}]": None for t in [*TYPES, "shop.order"] if t != "auth.attempt"}
ADMINISTRATOR = ("$r = Drupal\\user\\Entity\\Role::load('boss') ?? Drupal\\user\\Entity\\Role::create(['id' => 'boss', 'label' => 'b', 'is_admin' => TRUE]); $r->save();"
                 "Drupal\\user\\Entity\\User::create(['name' => 'intruder', 'mail' => 'i@example.test', 'status' => 1, 'roles' => ['boss']])->save();")
FILL = """Drupal::service("logystera.runtime")->site(); $clock = new Logystera\\SystemClock(); $spool = new Logystera\\Spool(new Logystera\\FileStorage('%s'), $clock);
for ($i = 0; $i < %d; $i += 50) { $signals = [];
  for ($j = 0; $j < 50; $j++) { $signals[] = [$clock->nowMs(), ['type' => 'http.request', 'method' => 'GET', 'path' => '/flood/' . ($i + $j), 'status' => 404,
    'route_group' => 'page', 'user_agent' => str_repeat('x', 80), 'source' => str_repeat('0a', 16)]]; }
  $spool->append($signals); }"""


def spool_id(site):
    return re.search(r'"spool":"(\w+)"', (site.spool() / "state.php").read_text()).group(1)


def attempt(site, name=ADMIN):
    return site.post("/user/login?_format=json", json.dumps({"name": name, "pass": "wrong"}), headers=JSON, cookies=False)


def report(site):
    """How the status report has it: error, warning, checked or info."""
    return site.eval("$c = Drupal::getContainer(); Drupal::moduleHandler()->loadInclude('logystera', 'install'); require_once 'core/includes/install.inc';"
                     "echo logystera_requirements('runtime')['logystera']['severity'];")


def test_a_folder_that_takes_nothing_is_a_failure_everywhere(world):
    """What lands in the spool is lost then: nothing may say that all is well, and each signal is counted."""
    site = world.site("nodisk")
    site.settings(**ONLY_SIGN_INS)
    assert site.command().returncode == 0
    folder, aside = site.spool(), site.scratch / "nodisk.aside"
    elsewhere = site.default / "files" / folder.name.lstrip(".")
    assert folder.name.startswith(".logystera-"), folder
    folder.rename(aside)
    folder.touch(), elsewhere.touch()  # Files in the places of the folders: none can be made anew.
    attempts = 25
    for _ in range(attempts):
        attempt(site)
    lost = site.state("logystera.lost")
    assert lost["auth.attempt|disk"][0] == attempts and len(lost) == 1, lost
    said = site.settings(("sendTest", "Check now"))
    assert "cannot be written" in said, said
    assert 'logystera-state logystera-fails' in site.get(PAGE).text
    assert report(site) == "2", report(site)
    ran = site.command(check=False)
    assert ran.returncode == 1 and "cannot be written" in ran.stderr, ran
    folder.unlink(), elsewhere.unlink()
    aside.rename(folder)
    assert site.command().returncode == 0
    told = [(s["dropped_type"], s["count"], s["reason"]) for s in world.signals(site, "integration.dropped")]
    assert told == [("auth.attempt", attempts, "disk")], told
    assert report(site) == "0" and site.state("logystera.lost") is None


def test_an_administrator_passes_any_flood(world):
    """In a spool that page views have filled, and behind hundreds of others of its own kind in one request."""
    site = world.bare_site("flood")
    door = Door(world.gateway)
    site.settings(dsn=door.dsn(site.dsn), agree="1")
    site.command()
    door.close()
    count = 40000
    site.eval(FILL % (site.spool(), count))
    for i in range(30):
        attempt(site, f"nobody{i}")
    site.eval("for ($i = 0; $i < 600; $i++) { \\logystera_user_insert(Drupal\\user\\Entity\\User::create(['name' => \"mass$i\"])); }" + ADMINISTRATOR)
    size = sum(f.stat().st_size for f in site.spool().iterdir())
    door.open()
    for _ in range(20):
        site.command()
    signals = world.gateway.signals(site)
    flood = [s for s in signals if s.get("path", "").startswith("/flood/")]
    dropped = {(s["dropped_type"], s["reason"]): s["count"] for s in signals if s["type"] == "integration.dropped"}
    assert sum(s.get("repeats", 1) for s in flood) + dropped.get(("http.request", "overflow"), 0) >= count, (len(flood), dropped)
    made = [s for s in signals if s["type"] == "user.change" and s["action"] == "created"]
    assert [s["role"] for s in made][-1] == "boss", made[-1:]
    assert sum(s.get("repeats", 1) for s in made) + dropped.get(("user.change", "overflow"), 0) == 601, (len(made), dropped)
    assert len([s for s in signals if s["type"] == "auth.attempt" and s["outcome"] == "failure"]) == 30
    return f"{len(flood)} of {count} page views kept in {size >> 20} MiB"


def test_a_page_that_dies_sends(world):
    """No cron comes, and Symfony tells of no end."""
    site = world.site("dying")
    before = len(world.gateway.signals(site))
    assert [site.get("/probe/memory", cookies=False).status for _ in range(20)] == [500] * 20
    time.sleep(10.5)
    start = time.monotonic()
    site.get("/probe/memory", cookies=False)
    took = time.monotonic() - start
    told = world.gateway.signals(site)[before:]
    assert len([s for s in told if s["type"] == "http.request" and s["path"] == "/probe/memory"]) >= 20, [s["type"] for s in told]
    assert "php.error" in {s["type"] for s in told} and took < 3, took
    return f"the page that sent took {took:.1f} s"


def test_what_a_site_is_has_no_name_of_a_host(world):
    site = world.site("hosts", "$settings['trusted_host_patterns'][] = '^localhost$';")
    site.command()
    before = spool_id(site)
    for host in [f"localhost:{site.port}", f"127.0.0.1:{site.port}"]:
        site.get("/probe/none", cookies=False, headers={"Host": host})
        assert "It works." in site.settings(("sendTest", "Check now")) and spool_id(site) == before, host
    assert site.php(["modules/logystera/cron.php", f"--root={site.folder}", "--url=https://localhost/"]) and spool_id(site) == before


def test_a_proxy_is_believed_only_where_drupal_trusts_it(world):
    plain = world.site("noproxy")
    behind = world.site("proxy", "$settings['reverse_proxy'] = TRUE; $settings['reverse_proxy_addresses'] = ['127.0.0.1'];")

    def source(site, value):
        seen = len(world.signals(site, "http.request"))
        site.get("/probe/none", cookies=False, headers={"X-Forwarded-For": value})
        site.command()
        return world.signals(site, "http.request")[seen:][-1]["source"]
    here, there = DrupalTable(world, plain), DrupalTable(world, behind)
    assert source(plain, "198.51.100.7") == here.hash("address", "127.0.0.1"), "believed unasked"
    client = there.hash("address", "198.51.100.7")
    for value in ["198.51.100.7", "203.0.113.9, 198.51.100.7", "::ffff:198.51.100.7", " 198.51.100.7 "]:
        assert source(behind, value) == client, value
    assert source(behind, "2001:DB8:0:0::1") == there.hash("address", "2001:db8::1")


def test_names_in_addresses_are_cut_out(world):
    site = world.site("redacted")
    site.command()
    seen = len(world.signals(site, "http.request"))
    paths = {"/p/jane%2540example.org": "/p/*", "/p/Jane%20Doe": "/p/*", "/author//jane": "/author/*", "/user/jane": "/user/*",
             "/p/4111-1111-1111-1111": "/p/*", "/p/555-123-4567": "/p/*", "/p/abcdefghijklmnopqrstuvwxyzab": "/p/*", "/node/12": "/node/12"}
    for path in paths:
        site.get(path, cookies=False)
    site.command()
    found = [s["path"] for s in world.signals(site, "http.request")[seen:] if not s["path"].startswith("/user/login")]
    assert not [p for p in found if "jane" in p.lower() or "4111" in p or "4567" in p or "abcdef" in p] and len(found) == len(paths), found


def test_files_are_nobody_elses_and_any_damage_heals(world):
    site = world.site("damage")
    attempt(site), site.command(), attempt(site)
    folder = site.spool()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        assert file.stat().st_size == 0 or file.suffix != ".php" or file.read_bytes().startswith(b"<?php"), file
    for damage in ['{"spool":[],"seq":"x","succeeded_at":{}}', "null", "[[[", ""]:
        for file in folder.glob("*.php"):
            if file.name not in ("open.php", "segment.php"):
                head = file.read_text(errors="replace").split("\n", 1)[0]
                file.write_text(f"{head}\n{damage}")
        before = len(world.signals(site, "auth.attempt"))
        assert attempt(site).status in (400, 403)
        assert site.get(PAGE).status == 200, damage
        for _ in range(2):
            site.command(check=False)
        assert len(world.signals(site, "auth.attempt")) > before, (damage, site.command(check=False))


def test_the_command_says_when_drupal_did_not_come_up(world):
    site = world.site("command")
    site.eval("Drupal::state()->set('system.maintenance_mode', TRUE);")
    ran = site.command()
    assert ran.returncode == 0 and "<" not in ran.stdout + ran.stderr, ran
    site.eval("Drupal::state()->set('system.maintenance_mode', FALSE);")
    settings = site.default / "settings.php"
    whole = settings.read_text()
    settings.write_text(whole + "\n$databases['default']['default']['database'] = '/nowhere/planted';\n$databases['default']['default']['unix_socket'] = '/nowhere';\n")
    ran = site.command(check=False)
    assert ran.returncode == 1 and "<" not in ran.stdout + ran.stderr and "database" in ran.stderr and "planted" not in ran.stderr, ran
    settings.write_text(whole)
    assert site.command().returncode == 0
