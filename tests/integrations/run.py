"""Runs the scenarios on a real WordPress and a real gateway: python3 tests/integrations/run.py [WORD...] those whose name has a word.
LOGYSTERA names the binary [target/debug/logystera]; KEEP=1 leaves the scratch folder."""
import concurrent.futures, importlib, os, sys, time, traceback
from world import World

MODULES = ["quiet", "brute_force", "table", "components", "admin", "leaks", "outage", "after_the_page", "network"]
AT_ONCE = 4


def main(words):
    tests = [(name, value) for module in MODULES for name, value in vars(importlib.import_module(module)).items()
             if name.startswith("test_") and (not words or any(w in name for w in words))]
    if not tests:
        sys.exit(f"no scenario's name has one of: {', '.join(words)}")
    world, failed = World(), []
    print(f"scratch folder: {world.scratch}", flush=True)

    def run(name, test):
        start = time.monotonic()
        try:
            outcome, said = "ok     ", test(world) or ""
        except Exception:
            failed.append(name)
            outcome, said = "FAILED ", traceback.format_exc()
        print(f"{outcome} {time.monotonic() - start:5.1f} s  {name[5:].replace('_', ' ')}  {said}", flush=True)

    try:
        world.start()
        # Most of them wait for the gateway's windows most of the time.
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda test: run(*test), tests))
    finally:
        world.close(bool(failed) or "KEEP" in os.environ)
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}; the logs are in {world.scratch}")


main(sys.argv[1:])
