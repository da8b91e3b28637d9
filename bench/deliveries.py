#!/usr/bin/env python3
"""CPU seconds for a thousand alerts that are delivered by webhook, beside Alertmanager's: the same receiver, as many groups of one alert each.

    bench/run deliveries [--alerts 5000] [--alertmanager PATH]    builds with optimisation first
    python3 bench/deliveries.py --binary target/debug/logystera

Without a path Alertmanager is built through Go's module proxy, at the version below. What Logystera takes without a channel (gateway,
engine, log) is measured too: the difference is the deliveries'. CPU is the process's, user and system.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

from delivering import Receivers, Up, cpu_s, free_port, peak_mb

ALERTMANAGER = "github.com/prometheus/alertmanager/cmd/alertmanager@v0.28.1"
# A rule has at most 1,000 groups in a site; a batch has at most 1,000 signals.
A_SITE = 500
PATIENCE_S = 600
CONFIG = """
route: {receiver: hook, group_by: [source], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}
receivers:
- name: hook
  webhook_configs: [{url: "%s", send_resolved: false}]
"""


def until(done, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.05)


def report(name: str, alerts: int, cpu: float, took: float, pid: int) -> None:
    print(f"{name:34} {cpu / alerts * 1000:8.2f} CPU s per 1,000 alerts, {alerts / took:7.0f} alerts/s, {peak_mb(pid):5.0f} MB", flush=True)


def logystera(binary: str, alerts: int, with_channel: bool) -> None:
    receivers = Receivers()
    with tempfile.TemporaryDirectory(dir=".") as folder, Up(binary, pathlib.Path(folder).resolve()) as up:
        sites = [up.site(f"Site {n}", "default") for n in range(alerts // A_SITE)]
        if with_channel:
            up.channel("default", "webhook", receivers.url("hook"))
        time.sleep(2)
        cpu, begun = cpu_s(up.process.pid), time.monotonic()
        for site in sites:
            site.fail([f"{n:032x}" for n in range(A_SITE)])
        if with_channel:
            until(lambda: len(receivers.took["hook"]) >= alerts, "every alert comes")
        else:
            until(lambda: len(up.says("tail", "attempts", "--from", "beginning", "--json")) >= alerts, "every alert has a row")
        took = time.monotonic() - begun
        report("Logystera" if with_channel else "Logystera, without a channel", alerts, cpu_s(up.process.pid) - cpu, took, up.process.pid)


def alertmanager(path: str, alerts: int) -> None:
    receivers, port = Receivers(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "config.yaml")
        config.write_text(CONFIG % receivers.url("hook"))
        log = open(pathlib.Path(folder, "log"), "wb")
        process = subprocess.Popen([path, f"--config.file={config}", f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
                                    "--cluster.listen-address="], stdout=log, stderr=log)
        try:
            until(lambda: answers(port) or process.poll() is not None, "it is ready")
            time.sleep(2)
            cpu, begun = cpu_s(process.pid), time.monotonic()
            for first in range(0, alerts, A_SITE):
                found = [{"labels": {"alertname": "storm", "site": f"site-{first}", "source": f"{first + n:032x}"},
                          "annotations": {"message": f"1 failures from {first + n:032x}"}} for n in range(A_SITE)]
                request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v2/alerts", json.dumps(found).encode(), {"Content-Type": "application/json"})
                urllib.request.urlopen(request, timeout=60).close()
            until(lambda: len(receivers.took["hook"]) >= alerts, "every alert comes")
            took = time.monotonic() - begun
            report("Alertmanager", alerts, cpu_s(process.pid) - cpu, took, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def answers(port: int) -> bool:
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).status == 200
    except OSError:
        return False


def built() -> str:
    folder = pathlib.Path("target/tools/bench").resolve()
    subprocess.run(["go", "install", ALERTMANAGER], env={**os.environ, "GOBIN": str(folder)}, check=True)
    return str(folder / "alertmanager")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/logystera")
    parser.add_argument("--alertmanager", help="its binary")
    parser.add_argument("--alerts", type=int, default=5_000, help=f"in steps of {A_SITE}, at most 10,000: so many wait for a tenant")
    args = parser.parse_args()
    path, binary = args.alertmanager or built(), str(pathlib.Path(args.binary).resolve())
    for _ in range(2):
        alertmanager(path, args.alerts)
        logystera(binary, args.alerts, with_channel=True)
        logystera(binary, args.alerts, with_channel=False)


if __name__ == "__main__":
    main()
