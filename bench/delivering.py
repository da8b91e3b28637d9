"""What the benchmarks of deliveries share: `logystera up` in a folder of its own, signed batches, and receivers that note when what came."""

import hashlib
import hmac
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

RULE = """
format: 1
rules:
- name: storm
  title: Storm
  severity: warning
  subsystem: auth
  signal: auth.attempt
  where: {outcome: failure}
  group_by: [source]
  threshold: {count: 1, within: 1m}
  suppress: 1h
  resolve_after: 1h
  evidence: [method]
  message: "{count} failures from {source}"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, in user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


class Receivers:
    """All on one port, a path each. `took` has for each path when what came; a path in `pauses_s` answers so late."""

    def __init__(self, pauses_s: dict[str, float] | None = None) -> None:
        self.took = defaultdict(list)
        took, pauses = self.took, pauses_s or {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                name = self.path.strip("/").split("?")[0]
                body = self.rfile.read(int(self.headers["content-length"]))
                took[name].append((time.time(), body))
                time.sleep(pauses.get(name, 0))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128

        server = Server(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


class Up:
    """`logystera up` on a folder, with a rule that fires for each source."""

    def __init__(self, binary: str, folder: Path, *flags: str) -> None:
        self.binary, self.folder, self.data = binary, folder, folder / "data"
        self.port, admin = free_port(), free_port()
        (folder / "rules.yaml").write_text(RULE)
        log = open(folder / "up.log", "wb")
        command = [binary, "up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{admin}",
                   "--rules", folder / "rules.yaml", "--allow-private-addresses", *flags]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not self.is_ready(admin):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit((folder / "up.log").read_text())
            time.sleep(0.1)

    @staticmethod
    def is_ready(admin: int) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def says(self, *words: str) -> list[dict]:
        done = subprocess.run([self.binary, *words, "--data", self.data], capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise SystemExit(f"{words}: {done.stdout}{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def site(self, name: str, tenant: str) -> "Site":
        return Site(self.port, self.says("site", "add", name, "--tenant", tenant, "--json")[0])

    def channel(self, tenant: str, kind: str, *words: str, **settings: str) -> str:
        channel = self.says("channel", "add", kind, *words, "--tenant", tenant, "--json")[0]["channel"]
        flags = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]
        if flags:
            self.says("channel", "set", channel, *flags)
        return channel


class Site:
    """Sends batches, signed as docs/sending-batches.md says."""

    def __init__(self, port: int, keys: dict) -> None:
        self.keys, self.number, self.id = keys, 0, keys["site"]
        self.spool = hashlib.sha256(self.id.encode()).hexdigest()[:16]
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def fail(self, sources: list[str]) -> float:
        """Has each source fail once. Gives when that was acknowledged."""
        now = int(time.time() * 1000)
        signals = [{"type": "auth.attempt", "at": now, "outcome": "failure", "method": "form", "source": source} for source in sources]
        integration = {"platform": "other", "version": "1.0.0", "enabled": ["auth.attempt"]}
        body = json.dumps({"through": now, "integration": integration, "signals": signals}).encode()
        self.number += 1
        batch, ts = f"{self.spool}.{self.number}", f"{now // 1000:010}"
        said = ["v1", "POST", "/v1/batches", self.keys["audience"], self.id, self.keys["key"], ts, batch, "application/json", "identity",
                hashlib.sha256(body).hexdigest()]
        sig = hmac.new(bytes.fromhex(self.keys["secret"]), "\n".join(said).encode(), "sha256").hexdigest()
        header = f"v1 site={self.id},key={self.keys['key']},ts={ts},batch={batch},sig={sig}"
        self.connection.request("POST", "/v1/batches", body, {"Content-Type": "application/json", "Logystera-Signature": header})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 202:
            raise SystemExit(f"{answer.status}: {text}")
        return time.time()


def percentile(values: list[float], of: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * of))]
