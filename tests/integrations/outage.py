"""The gateway is down or hangs: pages go on, and afterwards everything arrives, with the ids and bytes that were fixed before."""
import collections, concurrent.futures, re, time
from door import Door
from wordpress import wait_for
from world import TYPES

FLUSH = "echo Logystera\\WordPress\\Plugin::site()->flush(%d, %s)->outcome;"
BATCH = re.compile(r"batch=([0-9a-f]{16}\.\d+)")
# Pages answer in some 40 ms here; one that waited for the gateway would take 3 s.
PAGE_S_MAX = 1.0


def behind(world, name):
    site = world.site(name, "define('DISABLE_WP_CRON', true);", types=["config.change", "user.change"])
    door = Door(world.gateway)
    site.save(door.dsn(site.dsn), ["config.change", "user.change"])
    site.command()
    door.requests.clear()
    return site, door


def changes(world, site):
    return [s["key"] for s in world.signals(site, "config.change") if s["key"].startswith("probe")]


def flushed(site):
    """What comes of sending once nobody else is at it: on a busy machine a page may have had the site send just before."""
    return wait_for("its turn", lambda: (outcome := site.eval(FLUSH % (3000, "true"))) != "busy" and outcome, 30)


def test_an_outage_keeps_ids_and_bytes(world):
    site, door = behind(world, "outage")
    door.hang()
    site.eval("add_option('probe_0', '0');")
    start = time.monotonic()
    assert site.eval(FLUSH % (3000, "false")) == "failed"
    assert 2.5 < time.monotonic() - start < 5, "3 s for a try in a web request"
    site.eval("add_option('probe_1', '0');")
    slow = []
    for i in range(20):
        begun = time.monotonic()
        site.get("/", cookies=False)
        slow.append(time.monotonic() - begun)
    assert max(slow) < PAGE_S_MAX, slow
    door.close()
    assert flushed(site) == "failed"
    site.eval("add_option('probe_2', '0');")
    door.go_on()
    door.open()
    assert flushed(site) == "sent"
    tries = [(BATCH.search(h["Logystera-Signature"]).group(1), body) for h, body in door.requests]
    # A busy machine takes so long that a page tries once more meanwhile.
    assert len(tries) >= 3 and set(tries[:-1]) == {tries[0]} and tries[-1][0] != tries[0][0], [t[0] for t in tries]
    assert changes(world, site) == ["probe_0", "probe_1", "probe_2"], changes(world, site)
    return f"slowest of 20 pages while it hung: {max(slow) * 1000:.0f} ms"


HEALTH = """require_once ABSPATH . 'wp-admin/includes/admin.php';
echo json_encode(Logystera\\WordPress\\Admin\\Health::test()['status']);"""


LANGUAGES = """<?php add_filter('home_url', function ($url) { return str_replace('http:', 'https:', $url) . '/de'; });
add_filter('option_home', function ($url) { return $url . '/fr'; });
"""


def the_spool_stays_the_same(site):
    """Whatever filters make of the site's address, and however an older version wrote it down."""
    state = site.spool() / "state.php"
    spool = lambda: re.search(r'"spool":"(\w+)"', state.read_text()).group(1)
    before = spool()
    state.write_text(re.sub(r'"url":"[^"]*"', f'"url":"{site.url}/fr"', state.read_text()))
    (site.folder / "wp-content/mu-plugins/languages.php").write_text(LANGUAGES)
    for _ in range(2):
        assert "It works." in site.settings("test")
        assert spool() == before, "another language, another spool"
    (site.folder / "wp-content/mu-plugins/languages.php").unlink()
    site.command()
    assert spool() == before


def test_a_folder_that_takes_nothing_is_a_failure_everywhere(world):
    """What lands in the spool is lost then: nothing may say that all is well, and each signal is counted."""
    site = world.site("nodisk", "define('DISABLE_WP_CRON', true);", types=["auth.attempt"])
    assert site.command().returncode == 0
    the_spool_stays_the_same(site)
    folder, aside = site.spool(), site.scratch / "nodisk.aside"
    folder.rename(aside)
    folder.touch()  # A file in its place: it cannot be made anew.
    (site.folder / "wp-content/uploads").rename(site.folder / "wp-content/uploads.aside")
    (site.folder / "wp-content/uploads").touch()
    attempts = 25
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: site.post("/wp-login.php", {"log": "admin", "pwd": "wrong"}, cookies=False), range(attempts)))
    counted = site.database.query("SELECT option_value FROM wp_options WHERE option_name = 'logystera_lost_auth.attempt|disk'", site.name)
    assert counted.strip() == str(attempts), counted
    assert "cannot be written" in site.settings("test"), "the test"
    assert site.eval(HEALTH) == '"critical"', site.eval(HEALTH)
    ran = site.command()
    assert ran.returncode == 1 and "cannot be written" in ran.stderr, ran
    folder.unlink()
    aside.rename(folder)
    (site.folder / "wp-content/uploads").unlink()
    (site.folder / "wp-content/uploads.aside").rename(site.folder / "wp-content/uploads")
    ran = site.command()
    assert ran.returncode == 0, ran
    told = [(s["dropped_type"], s["count"], s["reason"]) for s in world.signals(site, "integration.dropped")]
    assert told == [("auth.attempt", attempts, "disk")], told
    assert site.eval(HEALTH) == '"good"'
    # What had to go elsewhere meanwhile, in an older version, is sent from there.
    left = site.folder / "wp-content/uploads/logystera-left"
    site.eval(f"mkdir('{left}'); $c = new Logystera\\SystemClock(); $s = new Logystera\\Spool(new Logystera\\FileStorage('{left}'), $c);"
              "$s->append([[$c->nowMs(), ['type' => 'cron.run', 'job' => 'left', 'outcome' => 'ok']]]);"
              f"$o = get_option('logystera_spool'); $o['left'] = ['{left}']; update_option('logystera_spool', $o);")
    assert site.command().returncode == 0 and not left.exists()
    assert [s["job"] for s in world.signals(site, "cron.run")] == ["left"]
    assert site.database.query("SELECT 1 FROM wp_options WHERE option_name LIKE 'logystera\\_lost%'", site.name) == ""


FILL = """$site = Logystera\\WordPress\\Plugin::site();
$clock = new Logystera\\SystemClock(); $spool = new Logystera\\Spool(new Logystera\\FileStorage('%s'), $clock);
for ($i = 0; $i < %d; $i += 50) { $signals = [];
  for ($j = 0; $j < 50; $j++) { $signals[] = [$clock->nowMs(), ['type' => 'config.change', 'key' => 'probe_' . ($i + $j), 'action' => 'added',
    'before_hash' => str_repeat('0a', 16), 'after_hash' => str_repeat('0b', 16), 'actor_hash' => str_repeat('0c', 16)]]; }
  $spool->append($signals); }"""


def test_what_overflows_is_counted_exactly(world):
    site, door = behind(world, "overflow")
    door.close()
    count = 30000
    site.eval(FILL % (site.spool(), count))
    size = sum((site.spool() / f"{name}.php").stat().st_size for name in ["open", "segment"] if (site.spool() / f"{name}.php").exists())
    assert size <= 4 << 20, size
    site.eval("wp_insert_user(['user_login' => 'intruder', 'user_pass' => 'x', 'role' => 'administrator']);")
    door.open()
    def all_sent():
        site.eval(FLUSH % (10000, "true"))
        return len(changes(world, site)) and site.eval("echo Logystera\\WordPress\\Plugin::site()->outbox->waiting()['signals'];") == "0"
    wait_for("the backlog", all_sent, 60)
    arrived = changes(world, site)
    dropped = [s for s in world.signals(site, "integration.dropped")]
    assert len(arrived) == len(set(arrived)) and arrived == [f"probe_{i}" for i in range(len(arrived))]
    assert [(s["dropped_type"], s["reason"]) for s in dropped] == [("config.change", "overflow")], dropped
    assert len(arrived) + dropped[0]["count"] == count, (len(arrived), dropped)
    assert [(s["action"], s["role"]) for s in world.signals(site, "user.change")] == [("created", "administrator")]
    return f"{len(arrived)} arrived, {dropped[0]['count']} counted"


# In one request, as an import or a plugin does it: more accounts than are told, a role that is given and taken, and then what matters.
FLOOD_OF_ACCOUNTS = """$u = get_user_by('login', 'admin'); for ($i = 0; $i < 130; $i++) { $u->add_role('author'); $u->remove_role('author'); }
for ($i = 0; $i < 510; $i++) { wp_insert_user(['user_login' => "mass$i", 'user_pass' => 'x']); }
foreach ([1, 2, 3] as $n) { wp_insert_user(['user_login' => "intruder$n", 'user_pass' => 'x', 'role' => 'administrator']); }
wp_update_user(['ID' => wp_insert_user(['user_login' => 'later', 'user_pass' => 'x', 'role' => 'subscriber']), 'role' => 'administrator']);
update_option('default_role', 'administrator');"""
PAGE_VIEWS = """$clock = new Logystera\\SystemClock(); $spool = new Logystera\\Spool(new Logystera\\FileStorage('%s'), $clock);
for ($i = 0; $i < 30000; $i += 50) { $signals = []; for ($j = $i; $j < $i + 50; $j++) { $signals[] = [$clock->nowMs(), ['type' => 'http.request',
  'method' => 'GET', 'path' => "/$j", 'status' => 200, 'route_group' => 'page', 'source' => md5((string) $j)]]; } $spool->append($signals); }
echo array_sum(array_column($spool->dropped(0)['counts'], 0));"""


def test_an_administrator_passes_any_flood(world):
    """In a spool that page views have filled, and behind hundreds of others of its own kind in one request."""
    site = world.site("floodadmin", "define('DISABLE_WP_CRON', true);")
    door = Door(world.gateway)
    site.save(door.dsn(site.dsn), TYPES)
    site.command()
    door.close()
    # A password's hash is slow on purpose.
    (site.folder / "wp-content/mu-plugins/fast.php").write_text("<?php function wp_hash_password($p) { return '$P$' . md5($p); }")
    assert int(site.eval(PAGE_VIEWS % site.spool())) > 1000, "the spool is full"
    guesses = 20
    for _ in range(guesses):
        site.post("/wp-login.php", {"log": "admin", "pwd": "wrong"}, cookies=False)
    site.eval(FLOOD_OF_ACCOUNTS)
    door.open()
    wait_for("the backlog", lambda: site.eval(FLUSH % (10000, "true")) and
             site.eval("echo Logystera\\WordPress\\Plugin::site()->outbox->waiting()['signals'];") == "0", 90)
    told = [(s["action"], s["role"]) for s in world.signals(site, "user.change")]
    assert told.count(("created", "administrator")) == 3 and ("role_granted", "administrator") in told, collections.Counter(told)
    assert len([s for s in world.signals(site, "auth.attempt") if s["outcome"] == "failure"]) == guesses, "page views starve nobody"
    assert ["powerful_default_role"] in [s.get("flags") for s in world.signals(site, "config.change")]
    kinds = {(s["dropped_type"], s["reason"]) for s in world.signals(site, "integration.dropped")}
    assert {("http.request", "overflow"), ("user.change", "overflow")} <= kinds, kinds
    return f"{len(told)} told of accounts"
