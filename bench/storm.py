#!/usr/bin/env python3
"""A storm of one tenant's alerts beside another tenant's alerts and those of another site of the same tenant.

    bench/run storm [--minutes 1] [--a-minute 100000]    builds with optimisation first
    python3 bench/storm.py --binary target/debug/logystera

The stormy site fires so often a minute, each time for another source, into channels of Slack and Teams and a webhook that takes 50 ms to
answer. Once a second one alert is fired by another site of its tenant, which has a webhook of its own, and by another tenant's site: how
long each takes from the gateway's 202 to its receiver is what is measured. It fails if a channel got more than its kind takes in any minute.
"""

import argparse
import json
import pathlib
import tempfile
import threading
import time

from delivering import Receivers, Up, cpu_s, peak_mb, percentile

# A batch has at most 1,000 signals; this many a second go out in batches of equal size.
BATCHES_A_SECOND = 4
PER_MINUTE = {"slack": 30, "teams": 30}


def storm(site, a_minute: int, seconds: float) -> None:
    size, begun, sent = a_minute // 60 // BATCHES_A_SECOND, time.monotonic(), 0
    for nth in range(int(seconds * BATCHES_A_SECOND)):
        time.sleep(max(0, begun + nth / BATCHES_A_SECOND - time.monotonic()))
        site.fail([f"{sent + n:032x}" for n in range(size)])
        sent += size
    took = time.monotonic() - begun
    print(f"storm: {sent} detections in {took:.1f} s, {sent / took * 60:.0f} a minute", flush=True)


def most_in_a_minute(times: list[float]) -> int:
    """A minute begins with a message and ends 60 s later. Times of the log are up to a second behind."""
    most, begun, count = 0, 0.0, 0
    for at in sorted(times):
        if at >= begun + 58.5:
            begun, count = at, 0
        count += 1
        most = max(most, count)
    return most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/logystera")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--a-minute", type=int, default=100_000)
    args = parser.parse_args()
    receivers, wrong = Receivers({"storm": 0.05}), 0
    with tempfile.TemporaryDirectory(dir=".") as folder, Up(str(pathlib.Path(args.binary).resolve()), pathlib.Path(folder).resolve()) as up:
        stormy, other, neighbour = up.site("Stormy", "a"), up.site("Other", "a"), up.site("Neighbour", "b")
        for kind in PER_MINUTE:
            up.channel("a", kind, receivers.url(kind), site=stormy.id)
        up.channel("a", "webhook", receivers.url("storm"), site=stormy.id)
        up.channel("a", "webhook", receivers.url("other"), site=other.id)
        up.channel("b", "webhook", receivers.url("neighbour"))
        sites = {"other": other, "neighbour": neighbour}
        fired = {name: {} for name in sites}
        storming = threading.Thread(target=storm, args=(stormy, args.a_minute, 60 * args.minutes))
        cpu = cpu_s(up.process.pid)
        storming.start()
        nth = 0
        while storming.is_alive():
            for name, site in sites.items():
                source = f"{nth:032x}"
                fired[name][source] = site.fail([source])
            nth += 1
            time.sleep(1)
        storming.join()
        end = time.monotonic() + 60
        while any(len(receivers.took[name]) < len(fired[name]) for name in sites) and time.monotonic() < end:
            time.sleep(0.1)
        cpu = cpu_s(up.process.pid) - cpu
        for name in sites:
            took = {json.loads(body)["data"]["group"]["source"]: at for at, body in receivers.took[name]}
            waits = [(took[source] - gone) * 1000 for source, gone in fired[name].items() if source in took]
            p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
            print(f"{name}: {len(took)} of {len(fired[name])} alerts came, {len(receivers.took[name])} messages; p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {max(waits):.0f} ms")
            wrong += len(took) != len(fired[name])
        for kind, limit in PER_MINUTE.items():
            times = [at for at, _ in receivers.took[kind]]
            most = most_in_a_minute(times)
            print(f"{kind}: {len(times)} messages, {most} in a minute, limit {limit}")
            wrong += most > limit
        print(f"webhook: {len(receivers.took['storm'])} messages")
        print(f"{cpu:.1f} CPU seconds, {peak_mb(up.process.pid):.0f} MB at most")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
