"""A place of its own: certificates, mail servers, a receiver of webhooks, and `logystera` beside them. All stops with it."""

import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "target/tools/messages"
PATIENCE_S = 60
USER, PASSWORD, SENDER = "alerts@example.com", "s3cret-:pass", "alerts@example.com"
RULE = """
format: 1
rules:
- name: mail-fails
  title: "Mail fails <b>&amp; {{DATE(2026-01-01T00:00:00Z)}}"
  severity: critical
  subsystem: mail
  why: Orders do not arrive.
  do: Look at the mail server.
  signal: mail.outcome
  where: {outcome: failed}
  threshold: {count: 2, within: 10m}
  evidence: [outcome, transport]
  message: "{count} mails failed on {site} – Größe 🛒"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what: str, ask, patience_s: float = PATIENCE_S):
    """What `ask` gives, once it gives something."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if got := ask():
            return got
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {patience_s} s")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder, self.processes, self.received, self.ports = folder, [], [], None
        self.make_certificates()
        (folder / "rules.yaml").write_text(RULE)
        for name, text in {"password": PASSWORD, "wrong": "another", "mail-users": f"{USER}:{PASSWORD}"}.items():
            (folder / name).touch(0o600)
            (folder / name).write_text(text + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=30)

    def make_certificates(self) -> None:
        """An authority that nobody trusts unless told, and a certificate of it for this machine."""
        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Tests", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", "-x509", *key, "-keyout", "here.key", "-out", "here.pem", "-subj", "/CN=localhost", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                "-addext", "extendedKeyUsage=serverAuth")

    def start(self, name: str, command: list, env: dict | None = None) -> subprocess.Popen:
        log = open(self.folder / f"{name}.log", "w", encoding="utf-8")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self.processes.append(process)
        return process

    def mail_server(self, *flags: str) -> tuple[int, int]:
        """A mail server that asks for a password, and the ports of its SMTP and of its mailbox."""
        smtp, web = free_port(), free_port()
        self.start(f"mailpit-{smtp}", [TOOLS / "mailpit", "--smtp", f"127.0.0.1:{smtp}", "--listen", f"127.0.0.1:{web}", "--disable-version-check",
                                       "--smtp-disable-rdns", "--smtp-auth-file", self.folder / "mail-users", *flags])
        wait_for("the mail server", lambda: answers(web, "/readyz"))
        return smtp, web

    def tls(self) -> list[str]:
        return ["--smtp-tls-cert", str(self.folder / "here.pem"), "--smtp-tls-key", str(self.folder / "here.key")]

    def receiver(self) -> int:
        """A receiver of webhooks with TLS; what it gets lies in `received`."""
        place = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                place.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "here.pem", self.folder / "here.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]

    def logystera(self, *words: str, trusts: bool = True, exits: int = 0) -> str:
        """What a command prints. It must end so."""
        command = [os.environ["LOGYSTERA"], *words, "--data", str(self.folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=self.env(trusts))
        if done.returncode != exits:
            raise AssertionError(f"{' '.join(words)}: exits with {done.returncode}, not {exits}: {done.stdout}{done.stderr}")
        return done.stdout

    def env(self, trusts: bool) -> dict:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("SSL_CERT", "LOGYSTERA_"))}
        return {**env, "SSL_CERT_FILE": str(self.folder / "ca.pem")} if trusts else env

    def up(self, *flags: str) -> subprocess.Popen:
        port, admin = self.ports or (free_port(), free_port())
        command = [os.environ["LOGYSTERA"], "up", "--data", self.folder / "data", "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin}",
                   "--rules", self.folder / "rules.yaml", "--allow-private-addresses", *flags]
        process = self.start("up", command, self.env(trusts=True))
        wait_for("logystera up", lambda: answers(admin, "/health/ready") or process.poll() is not None)
        if process.poll() is not None:
            raise AssertionError(f"logystera up exits with {process.returncode}")
        return process

    def fail_mails(self) -> None:
        """Sends two signals, which the rule fires for."""
        now = int(time.time() * 1000)
        signals = [{"type": "mail.outcome", "at": now - n, "outcome": "failed", "transport": "smtp", "recipients": 1} for n in (2, 1)]
        (self.folder / "signals.ndjson").write_text("".join(json.dumps(s) + "\n" for s in signals))
        command = [os.environ["LOGYSTERA"], "send", self.folder / "signals.ndjson", "--dsn-file", self.folder / "dsn", "--spool", self.folder / "spool"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def mailbox(web: int) -> list[bytes]:
    """The mails that a server has taken, the oldest first, as they came."""
    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{web}/api/v1/{path}", timeout=10) as answer:
            return answer.read()
    ids = [mail["ID"] for mail in json.loads(get("messages"))["messages"]]
    return [get(f"message/{one}/raw") for one in reversed(ids)]
