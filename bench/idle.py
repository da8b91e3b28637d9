#!/usr/bin/env python3
"""What `logystera up` with one site writes to disk while nobody sends, extrapolated to a day.

    bench/run idle [--minutes 5]                     builds with optimisation first
    python3 bench/idle.py --binary target/debug/logystera

Writes are /proc/PID/io's write_bytes: what the process gave to the disk, the log's pages and their syncs. The folder must be on a
disk: memory counts nothing. The first minute and a half is not counted: up to there ticks come each second.
"""

import argparse
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

DAY_S = 86_400
SETTLES_S = 90
# What SQLite and the checksum add to a record.
ROW_BYTES = 18
# What an idle installation may write and grow by in a day.
WRITES_MAX, GROWTH_MAX = 1_000_000_000, 1_000_000


def written(pid):
    lines = pathlib.Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def grown(file):
    """Bytes of the log's records in the data file, which are all that grows: the file itself does so in steps of pages."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as data:
        names = data.execute("select name from sqlite_master where type = 'table' and name like 'log\\_%' escape '\\'").fetchall()
        total = f"coalesce(sum(length(key) + length(value) + {ROW_BYTES}), 0)"
        return sum(data.execute(f"select {total} from {name}").fetchone()[0] for (name,) in names)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/logystera")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--dir", help="where the folder is made; a disk", default=".")
    args = parser.parse_args()
    binary = str(pathlib.Path(args.binary).resolve())
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        data, log = pathlib.Path(folder, "data"), open(pathlib.Path(folder, "up.log"), "wb")
        command = [binary, "up", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
        up = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            add = [binary, "site", "add", "shop", "--data", data]
            while subprocess.run(add, stdout=log, stderr=log, cwd=folder).returncode != 0:
                if up.poll() is not None:
                    sys.exit(pathlib.Path(folder, "up.log").read_text())
                time.sleep(0.5)
            time.sleep(SETTLES_S)
            file = data / "logystera.sqlite"
            before, began = (written(up.pid), grown(file)), time.monotonic()
            time.sleep(60 * args.minutes)
            after, took = (written(up.pid), grown(file)), time.monotonic() - began
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(30)
    writes, growth = ((b - a) * DAY_S / took for a, b in zip(before, after))
    print(f"{took:.0f} s idle: {after[0] - before[0]} bytes written, {after[1] - before[1]} bytes of records more")
    print(f"a day: {writes / 1e9:.2f} GB written, {growth / 1e6:.2f} MB of growth")
    return 0 if writes <= WRITES_MAX and growth <= GROWTH_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
