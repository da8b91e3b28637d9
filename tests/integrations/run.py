"""Runs the scenarios on a real WordPress and a real gateway: python3 tests/integrations/run.py [WORD...] those whose name has a word.
LOGYSTERA names the binary [target/debug/logystera]; KEEP=1 leaves the scratch folder."""
import concurrent.futures, importlib, os, sys
from scenarios import chosen, passes
from world import World

MODULES = ["quiet", "brute_force", "table", "components", "admin", "owner", "leaks", "outage", "after_the_page", "network", "watched", "files", "cli", "php_package", "page_time"]
AT_ONCE = 4


def main(words):
    tests = chosen(map(importlib.import_module, MODULES), words)
    if not tests:
        sys.exit(f"no scenario's name has one of: {', '.join(words)}")
    world, failed = World(), []
    print(f"scratch folder: {world.scratch}", flush=True)

    def run(name, test):
        if not passes(name, test, world):
            failed.append(name)

    try:
        world.start()
        # Most of them wait for the gateway's windows most of the time.
        # What measures comes last, alone, and only where it is named.
        is_alone = lambda test: getattr(test[1], "alone", False)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda test: run(*test), [t for t in tests if not is_alone(t)]))
        for test in filter(is_alone, tests if words else []):
            run(*test)
    finally:
        world.close(bool(failed) or "KEEP" in os.environ)
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}; the logs are in {world.scratch}")


main(sys.argv[1:])
