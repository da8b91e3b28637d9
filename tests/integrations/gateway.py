"""The real gateway in one process, `logystera up`, and a receiver of its alerts."""
import http.server, json, os, pathlib, subprocess, threading, time, urllib.request
from wordpress import TREE, free_port, wait_for

START_S = 60


def binary():
    built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or TREE / "target")
    return os.environ.get("LOGYSTERA") or str((TREE / built / "debug/logystera").resolve())


class Receiver:
    """Takes webhooks and keeps them with the time of their arrival."""

    def __init__(self):
        self.alerts = alerts = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                alerts.append((time.time(), json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def of(self, site, rule=None, state=None, since=0):
        """A site's alerts that came after a time, oldest first: (arrival, detection). A resolution tells of the firing too that it overtook:
        a batch that has both brings one message."""
        def tells(d):
            return state in (None, d["state"]) or (state == "firing" and d.get("stands_for", {}).get("firings", 0) > 0)
        found = [(at, a.get("data", a)) for at, a in list(self.alerts) if at >= since]
        return [(at, d) for at, d in found if d.get("site") == site.id and rule in (None, d["rule"]) and tells(d)]


class Gateway:
    """An installation in a folder of its own."""

    def __init__(self, folder, rules=None, receiver=None):
        self.folder, self.rules, self.process, self.port, self.admin = folder, rules, None, free_port(), free_port()
        self.start()
        if receiver:
            self.run("channel", "add", "webhook", receiver.url)

    def start(self):
        log = open(self.folder.with_suffix(".log"), "ab")
        self.process = subprocess.Popen(
            [binary(), "up", "--data", self.folder, "--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin}",
             "--allow-private-addresses", *(["--rules", self.rules] if self.rules else [])], stdout=log, stderr=log)
        def ready():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/health/ready", timeout=5).status == 200
            except OSError:
                return False
        wait_for("the gateway", ready, START_S)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def run(self, *arguments):
        ran = subprocess.run([binary(), *arguments, "--data", self.folder, "--json"], capture_output=True, text=True)
        if ran.returncode:
            raise AssertionError(f"{arguments}: {ran.stderr}")
        return [json.loads(line) for line in ran.stdout.splitlines() if line.strip()]

    def add_site(self, name):
        return self.run("site", "add", name)[0]

    def signals(self, site):
        """What the gateway has of a site, in order. Records that are no signals are left out."""
        return [s for s in self.run("tail", "signals", "--from", "beginning", "--site", site.id) if "type" in s]

    def detections(self):
        return self.run("tail", "detections", "--from", "beginning")
