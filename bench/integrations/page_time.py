"""What the plugin costs a page: the same WordPress twice, with the plugin and without, asked in turns, in pairs.

  python3 bench/integrations/page_time.py [PAIRS] [fpm|cli]      [2000] for each of: gateway up, down, hanging
                                                                 [fpm]: PHP-FPM, which keeps compiled files; cli: PHP's own web server, which does not

Prints the median and the 99th percentile of both, their difference, and its 95 % interval (bootstrap of the pairs). Exits with 1
where an interval reaches beyond 2 ms (median) or 5 ms (99th percentile). Needs what tests/integrations/run needs."""
import pathlib, random, statistics, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/integrations"))
import fpm
from door import Door
from world import TYPES, World

MEDIAN_MS_MAX, P99_MS_MAX = 2.0, 5.0
WARM_UP, RESAMPLES = 50, 2000
PAGE = "/?page_id=2"
# As PHP comes: the tests have it read every file anew.
USUAL = ("-d", "opcache.revalidate_freq=2")


def by_fpm(site):
    site.stop()
    server = fpm.Server(site, *USUAL)
    host = {"Host": f"127.0.0.1:{site.port}", "User-Agent": "tests"}
    return server, lambda: server.ask("GET", PAGE, host)[0]


def by_cli(site):
    return site, lambda: site.get(PAGE, cookies=False).status


def timed(ask):
    start = time.perf_counter()
    status = ask()
    assert status == 200, status
    return (time.perf_counter() - start) * 1000


def pairs(without, with_it, count):
    found = []
    for _ in range(count):
        # Who is first changes, so that neither always follows the other.
        if random.random() < 0.5:
            a = timed(without)
            b = timed(with_it)
        else:
            b = timed(with_it)
            a = timed(without)
        found.append((a, b))
    return found


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


def interval(found, statistic):
    """95 % interval of what the statistic says of the pairs: bootstrap, percentiles."""
    drawn = sorted(statistic([found[int(random.random() * len(found))] for _ in found]) for _ in range(RESAMPLES))
    return drawn[int(RESAMPLES * 0.025)], drawn[int(RESAMPLES * 0.975)]


def median_difference(found):
    return statistics.median(b - a for a, b in found)


def p99_difference(found):
    return p99([b for _, b in found]) - p99([a for a, _ in found])


def main(count, by):
    random.seed(1)
    world, too_much, servers = World(), False, []
    try:
        world.start()
        without = world.bare_site("without", "define('DISABLE_WP_CRON', true);", USUAL)
        without.eval("require ABSPATH . 'wp-admin/includes/plugin.php'; deactivate_plugins('logystera/logystera.php');")
        with_it = world.site("with_it", "define('DISABLE_WP_CRON', true);", serve=USUAL)
        door = Door(world.gateway)
        with_it.settings("save", dsn=door.dsn(with_it.dsn), agree="on", **{"types[]": TYPES})
        with_it.command()
        site = with_it
        (first, without), (second, with_it) = by(without), by(with_it)
        servers = [first, second]
        pairs(without, with_it, WARM_UP)
        print(f"{count} pairs each; ms; difference with the 95 % interval\n")
        print("| gateway | median without | with | difference | p99 without | with | difference |\n| --- | --- | --- | --- | --- | --- | --- |")
        for state, change in [("up", lambda: None), ("down", door.close), ("hanging", lambda: (door.hang(), door.open()))]:
            change()
            # The pause after a failure must not be what is measured.
            site.eval("$f = get_option('logystera_spool')['folder'] . '/state.php'; $t = file_get_contents($f);"
                         "file_put_contents($f, preg_replace('/\"next_try_at\":\\d+/', '\"next_try_at\":0', $t));")
            found = pairs(without, with_it, count)
            cells = [state]
            for of, difference, most in [(statistics.median, median_difference, MEDIAN_MS_MAX), (p99, p99_difference, P99_MS_MAX)]:
                low, high = interval(found, difference)
                too_much |= high >= most
                cells += [f"{of([a for a, _ in found]):.2f}", f"{of([b for _, b in found]):.2f}", f"{difference(found):.2f} ({low:.2f} to {high:.2f})"]
            print(f"| {' | '.join(cells)} |", flush=True)
        door.go_on()
    finally:
        for server in servers:
            server.stop()
        world.close(False)
    sys.exit(1 if too_much else 0)


main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, by_cli if sys.argv[2:] == ["cli"] else by_fpm)
