"""What the plugin costs a page under PHP-FPM with everything on: while all is well, while the spool is full, and while the gateway hangs."""
import pathlib, random, time
import fpm
from door import Door
from world import TYPES

# With `events` a page has work for the plugin besides the request itself: an error, a changed setting, a failing query and a sign-in that fails.
PAGE = """<?php header('X-Pid: ' . getmypid()); add_action('template_redirect', function () { if (!isset($_GET['events'])) { return; } trigger_error('page', E_USER_WARNING); update_option('probe', wp_rand());
  $GLOBALS['wpdb']->suppress_errors(); $GLOBALS['wpdb']->query('SELECT * FROM nowhere'); wp_authenticate('jane', 'x'); });"""
# Page views of as many visitors as fill it, and errors of as many kinds.
FILL = """$clock = new Logystera\\SystemClock(); $site = Logystera\\WordPress\\Plugin::site();
$spool = new Logystera\\Spool(new Logystera\\FileStorage(Logystera\\WordPress\\SpoolFolder::find()), $clock);
for ($i = 0; $i < 30000; $i += 50) { $signals = []; for ($j = $i; $j < $i + 50; $j++) { $hash = md5((string) $j);
  foreach ([['type' => 'http.request', 'method' => 'GET', 'path' => "/$j", 'status' => 200, 'route_group' => 'page', 'source' => $hash],
    ['type' => 'php.error', 'level' => 'warning', 'component' => 'shop', 'file_hash' => $hash, 'message_hash' => $hash],
    ['type' => 'auth.attempt', 'outcome' => 'failure', 'method' => 'form', 'source' => $hash], ['type' => 'db.event', 'kind' => 'error', 'query_hash' => $hash],
    ['type' => 'config.change', 'key' => "k$j", 'action' => 'updated', 'after_hash' => $hash]] as $signal) { $signals[] = [$clock->nowMs(), $signal]; } }
  $spool->append($signals); } echo $spool->bytes(), ' ', array_sum(array_column($spool->dropped(0)['counts'], 0));"""
PAIRS, ROUNDS = 80, 4
# Who computed nothing for so long is done, or waits for the gateway.
SETTLED_S = 0.003
# What a page may cost more on a machine of its own, and how many times that on one that others work on too, whose two threads share a core.
MEDIAN_MS, P99_MS, SHARED = 2, 5, 2


def spent(server):
    """What each process of PHP-FPM has computed until now, in ms. That is not the machine's other work, as the clock's time is."""
    children = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return {pid: int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6 for pid in children}


def page(server, path="/"):
    """What a page takes, in ms: computed in all, also what PHP does after it has said that the answer is whole; computed, and by the clock, until then."""
    before, start = spent(server), time.perf_counter()
    status, headers, _ = server.ask("GET", path, {"Host": f"127.0.0.1:{server.site.port}", "User-Agent": "tests"})
    took = 1000 * (time.perf_counter() - start)
    assert status == 200, status
    pid, known, after = dict(headers)["X-Pid"], None, spent(server)
    answered = after[pid]
    while after != known:
        time.sleep(SETTLED_S)
        known, after = after, spent(server)
    return after[pid] - before.get(pid, 0), answered - before.get(pid, 0), took


def quantile(times, share):
    return sorted(times)[int(share * (len(times) - 1))]


def cost(without, by, path="/"):
    """What a page costs more, in pairs in a random order, (median, p99) of each that page() gives; and how many times slower than at its best the machine
    computes what both have, for others work on it."""
    times = {without: [], by: []}
    for _ in range(PAIRS):
        for server in random.sample([without, by], 2):
            times[server].append(page(server, path))
    more = lambda i, share: quantile([t[i] for t in times[by]], share) - quantile([t[i] for t in times[without]], share)
    bare = [computed for computed, _, _ in times[without]]
    return [(more(i, 0.5), more(i, 0.99)) for i in (0, 1, 2)], quantile(bare, 0.5) / quantile(bare, 0.02)


def told(costs):
    (median, p99), answered, clock = costs
    return f"median {median:+.1f}, p99 {p99:+.1f} ms computed ({answered[0]:+.1f}, {answered[1]:+.1f} until the answer; {clock[0]:+.1f}, {clock[1]:+.1f} by the clock)"


# What is loaded when all is over: what destroys an object comes last.
LOADED = """<?php class Loaded { public function __destruct() { file_put_contents('%s', implode("\n", get_included_files())); } } $GLOBALS['loaded'] = new Loaded();"""


def test_a_page_loads_four_files_of_the_plugin(world):
    """PHP pays for each: what every page needs is in one of them."""
    site = world.site("loaded", "define('DISABLE_WP_CRON', true);")
    note = site.scratch / "loaded.txt"
    note.touch()
    site.own(note)
    for name, text in [("loaded", LOADED % note), ("page", PAGE)]:
        (site.folder / f"wp-content/mu-plugins/{name}.php").write_text(text)
    # Nothing that is older waits: no page has a reason to send.
    site.command()
    before = len(world.gateway.signals(site))
    for path in ["/", "/?events"]:
        assert site.get(path, cookies=False).status == 200
        home = f"{site.folder}/wp-content/plugins/logystera/"
        names = {line.removeprefix(home) for line in note.read_text().split("\n") if line.startswith(home)}
        assert names == {"logystera.php", "load.php", "core/autoload.php", "page.php"}, (path, names)
    site.command()
    told = {s["type"] for s in world.gateway.signals(site)[before:]}
    assert {"http.request", "php.error", "config.change", "db.event", "auth.attempt"} <= told, told


def test_a_page_costs_little_more_with_everything_on(world):
    bare, site = [world.bare_site(name, "define('DISABLE_WP_CRON', true);") for name in ["pagebare", "page"]]
    bare.eval("require_once ABSPATH . 'wp-admin/includes/plugin.php'; deactivate_plugins('logystera/logystera.php');")
    said = []
    door = Door(world.gateway)
    with bare.served_by(fpm) as without, site.served_by(fpm) as by:
        made = world.gateway.add_site(site.name)
        site.id, site.dsn = made["site"], made["dsn"]
        site.log_in()
        site.save(door.dsn(site.dsn), TYPES)
        # The files too: as a baseline, and looked at since.
        for _ in range(3):
            site.command()
        for one in [bare, site]:
            (one.folder / "wp-content/mu-plugins/page.php").write_text(PAGE)
        for server in [without, by] * 20:
            page(server, "/?events")

        def measure(what):
            rounds = []
            while len(rounds) < ROUNDS:
                costs, slower = cost(without, by)
                rounds.append(f"{told(costs)}, {slower:.1f} times slower")
                median, p99 = costs[0]
                if median < MEDIAN_MS * max(slower, SHARED) and p99 < P99_MS * max(slower, SHARED):
                    said.append(f"{what}: {rounds[-1]}")
                    return
            raise AssertionError(f"{what}: {rounds}")

        measure("all well")
        said.append(f"with five events: {told(cost(without, by, '/?events')[0])}")
        door.hang()
        measure("the gateway hangs")
        door.close()
        door.go_on()
        # What is left is other types' own.
        waits, dropped = site.eval(FILL).split()
        assert int(waits) > 3 << 20 and int(dropped) > 1000, (waits, dropped)
        measure("the spool is full")
        kinds = {s["type"] for s in world.gateway.signals(site)}
        assert {"http.request", "php.error", "config.change", "db.event", "auth.attempt"} <= kinds, kinds
    return "; ".join(said)


test_a_page_costs_little_more_with_everything_on.alone = True
