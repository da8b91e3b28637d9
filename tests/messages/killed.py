"""`kill -9` of `logystera up` while alerts are on their way to all four kinds of channels: each arrives, a repeat has the same key, and
there are no more repeats than attempts that were in flight."""

import hashlib
import http.server
import json
import os
import random
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from pathlib import Path

from place import PATIENCE_S, SENDER, TOOLS, Place, answers, free_port, wait_for

ALERTS, SITES = 1_000, 4
# `tests/run long` has more.
KILLS = 50 if "LOGYSTERA_TEST_ROUNDS" in os.environ else 10
SEED = int(os.environ.get("KILLED_SEED", "42"))
# A receiver's answer takes so long, and a kill comes so long after the newest alerts.
ANSWER_MS, MOMENT_MS = (5, 60), (50, 900)
DRAINED_S = 240
# Teams and mail take a site's alerts within one minute; Slack takes 30 messages a minute, and then one that counts the rest.
PER_MINUTE = 300
IN_FLIGHT_CHANNEL_MAX = 8
RULE = """
format: 1
rules:
- name: force
  title: Force
  severity: warning
  subsystem: auth
  signal: auth.attempt
  where: {outcome: failure}
  group_by: [source]
  threshold: {count: 2, within: 1m}
  suppress: 1h
  resolve_after: 1h
  evidence: [method]
  message: "{count} failures from {source}"
"""


class Receivers:
    """Webhook, Slack and Teams on one port, a path each. They answer late, so that a sender can die meanwhile."""

    def __init__(self) -> None:
        self.came = defaultdict(list)
        came, chance, lock = self.came, random.Random(SEED), threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                name = self.path.strip("/")
                with lock:
                    came[name].append((self.headers["webhook-id"], body))
                    pause = chance.uniform(*ANSWER_MS) / 1_000
                time.sleep(pause)
                said = b"ok" if name == "slack" else b""
                self.send_response(200)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/{name}"


class Run:
    def __init__(self, place: Place) -> None:
        self.place, self.receivers, self.chance = place, Receivers(), random.Random(SEED)
        self.names: dict[str, str] = {}
        place.ports = free_port(), free_port()
        (place.folder / "rules.yaml").write_text(RULE)
        smtp, self.web = free_port(), free_port()
        place.start("mailpit", [TOOLS / "mailpit", "--smtp", f"127.0.0.1:{smtp}", "--listen", f"127.0.0.1:{self.web}", "--max", "0",
                                "--disable-version-check", "--smtp-disable-rdns"])
        wait_for("the mail server", lambda: answers(self.web, "/readyz"))
        self.flags = ["--smtp", f"smtp+plain://127.0.0.1:{smtp}", "--mail-from", SENDER]

    def start(self) -> subprocess.Popen:
        return self.place.up(*self.flags)

    def channel(self, name: str, kind: str, *words: str, site: str | None = None) -> None:
        made = self.place.logystera("channel", "add", kind, *words, "--json", *(self.flags if kind == "email" else []))
        channel = json.loads(made)["channel"]
        self.names[channel] = name
        if site:
            self.place.logystera("channel", "set", channel, "--site", site, "--per-minute", str(PER_MINUTE))

    def configure(self) -> None:
        self.channel("webhook", "webhook", self.receivers.url("webhook"))
        self.channel("slack", "slack", self.receivers.url("slack"))
        for n in range(SITES):
            made = self.place.logystera("site", "add", f"Site {n}", "--dsn-file", str(self.place.folder / f"dsn{n}"), "--json")
            site = json.loads(made)["site"]
            self.channel(f"teams{n}", "teams", self.receivers.url(f"teams{n}"), site=site)
            self.channel(f"mail{n}", "email", "ops@example.com", site=site)

    def fire(self, groups: range) -> None:
        """Has so many groups fire, those of each site in one batch."""
        now = int(time.time() * 1000)
        for n in range(SITES):
            signals = [{"type": "auth.attempt", "at": now, "outcome": "failure", "method": "form", "source": f"{group:032x}"}
                       for group in groups if group % SITES == n for _ in range(2)]
            path = self.place.folder / f"signals{n}.ndjson"
            path.write_text("".join(json.dumps(signal) + "\n" for signal in signals))
            command = [os.environ["LOGYSTERA"], "send", path, "--dsn-file", self.place.folder / f"dsn{n}", "--spool", self.place.folder / f"spool{n}"]
            subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)

    def rows(self) -> list[dict]:
        return lines(self.place.logystera("tail", "attempts", "--from", "beginning", "--json"))

    def mails(self) -> list[dict]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/api/v1/messages?limit=100000", timeout=60) as answer:
            return json.load(answer)["messages"]

    def raw(self, mail: dict) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/api/v1/message/{mail['ID']}/raw", timeout=10) as answer:
            # The server says when it came, and Date when it was sent.
            return re.sub(rb"(?m)^(Received|Return-Path|Date):.*\r?\n([ \t].*\r?\n)*", b"", answer.read())

    def kill_again_and_again(self) -> None:
        up = self.start()
        self.configure()
        for kill in range(KILLS):
            self.fire(range(ALERTS * kill // KILLS, ALERTS * (kill + 1) // KILLS))
            time.sleep(self.chance.uniform(*MOMENT_MS) / 1_000)
            up.kill()
            up.wait(timeout=PATIENCE_S)
            self.place.processes.remove(up)
            up = self.start()
        wait_for("every delivery ends", self.is_drained, DRAINED_S)
        up.terminate()
        up.wait(timeout=PATIENCE_S)
        self.place.processes.remove(up)

    def is_drained(self) -> bool:
        time.sleep(2)
        fired = sum(1 for row in lines(self.place.logystera("tail", "detections", "--from", "beginning", "--json")) if row["state"] == "firing")
        rows = self.rows()
        told = {(row["channel"], row["site"], row["seq"]) for row in rows}
        waits = {row["delivery"] for row in rows} - {row["delivery"] for row in rows if row["state"] in ("delivered", "dead")}
        return fired == ALERTS and len(told) >= 4 * ALERTS and not waits


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def findings() -> tuple[list[str], str]:
    """What is wrong, and what was seen."""
    with tempfile.TemporaryDirectory() as folder, Place(Path(folder)) as place:
        try:
            run = Run(place)
            run.kill_again_and_again()
            return judged(run)
        except (AssertionError, TimeoutError, subprocess.SubprocessError) as error:
            log = Path(folder) / "up.log"
            return [f"seed {SEED}: {error}", log.read_text(encoding="utf-8")[-2000:] if log.exists() else ""], ""


def judged(run: Run) -> tuple[list[str], str]:
    rows = run.rows()
    found = wrong_chain(run, rows) + wrong_ends(run, rows)
    arrived = arrivals(run, rows)
    unknown = Counter(run.names.get(row["channel"]) for row in rows if row["state"] == "unknown")
    repeats = {name: len(keys) - len(set(keys)) for name, keys in arrived.items()}
    seen = (f"{KILLS} kills, {ALERTS} alerts, {len(rows)} rows, {sum(map(len, arrived.values()))} messages; "
            f"{sum(unknown.values())} attempts in flight when killed, {sum(repeats.values())} messages came again")
    found += [f"{name}: {repeats[name]} repeats, {unknown[name]} attempts were in flight" for name in repeats if repeats[name] > unknown[name]]
    found += [f"{name}: {n} in flight in {KILLS} kills" for name, n in unknown.items() if n > KILLS * IN_FLIGHT_CHANNEL_MAX]
    if sum(unknown.values()) < KILLS or not sum(repeats.values()):
        found.append(f"too few kills hit an attempt in flight: {unknown}, {repeats}")
    return found, seen


def wrong_chain(run: Run, rows: list[dict]) -> list[str]:
    """Rows are numbered without a gap, and are what the planner gives again."""
    numbers = [row["number"] for row in rows]
    found = [] if numbers == list(range(1, len(rows) + 1)) else ["the rows' numbers have a gap"]
    run.place.logystera("replay", "--verify")
    return found


def wrong_ends(run: Run, rows: list[dict]) -> list[str]:
    """Each attempt has its start and its end; each alert was told to each channel that takes it, by itself or in a digest."""
    found = []
    states = defaultdict(list)
    for row in rows:
        if row["attempt"]:
            states[row["delivery"], row["attempt"]].append(row["state"])
    found += [f"attempt {attempt}: {said}" for attempt, said in states.items() if len(said) != 2 or said[0] != "started"]
    delivered = {row["delivery"] for row in rows if row["state"] == "delivered"}
    told = defaultdict(set)
    for row in rows:
        if row["delivery"] in delivered:
            told[row["channel"]].add((row["site"], row["seq"]))
    want = {channel: ALERTS if name in ("webhook", "slack") else ALERTS // SITES for channel, name in run.names.items()}
    found += [f"{run.names[channel]}: {len(told[channel])} alerts told, not {n}" for channel, n in want.items() if len(told[channel]) != n]
    alone = Counter(run.names[row["channel"]] for row in rows if row["reason"] == "rate_limited")
    return found + [f"{name}: {n} were too many a minute" for name, n in alone.items() if name != "slack"]


def arrivals(run: Run, rows: list[dict]) -> dict[str, list[str]]:
    """The key of each message that came, by channel. It is the delivery of a webhook and a mail, the bytes of the others, which say nothing
    else at a repeat."""
    of = defaultdict(set)
    for row in rows:
        of[run.names[row["channel"]]].add(row["delivery"])
    arrived = {}
    for name in run.names.values():
        if name.startswith("mail"):
            continue
        came = run.receivers.came[name]
        arrived[name] = [key or hashlib.sha256(body).hexdigest() for key, body in came]
        expect(name, {key: hashlib.sha256(body).digest() for key, body in came}.keys() - {None} <= of[name], "a key of no delivery")
        expect(name, len({(key, body) for key, body in came}) == len(set(arrived[name])), "a key came with two bodies")
        sent = {row["delivery"] for row in rows if run.names[row["channel"]] == name and row["state"] == "delivered"}
        expect(name, len(set(arrived[name])) == len(sent), f"{len(set(arrived[name]))} messages by their keys, {len(sent)} deliveries")
        if name != "slack":
            alerts = {re.search(rb"/alerts/([0-9a-f]+)", body)[1] for _, body in came}
            expect(name, len(alerts) == len(sent), f"{len(alerts)} alerts came, not {len(sent)}")
    mails = defaultdict(list)
    for mail in run.mails():
        mails[mail["MessageID"].split("@")[0]].append(mail)
    for name in (name for name in run.names.values() if name.startswith("mail")):
        arrived[name] = [key for key in of[name] for _ in mails.get(key, [])]
        expect(name, all(key in mails for key in of[name]), "a mail did not come")
        twice = [mails[key] for key in of[name] if len(mails.get(key, [])) > 1]
        expect(name, all(len({run.raw(mail) for mail in same}) == 1 for same in twice), "a mail came again with other bytes")
    expect("mail", set(mails) <= {key for name in of if name.startswith("mail") for key in of[name]}, "a Message-ID of no delivery")
    return arrived


def expect(name: str, holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(f"{name}: {otherwise}")
