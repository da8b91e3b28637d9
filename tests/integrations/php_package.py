"""The package for any PHP application: the examples of docs/php.md, with PHP's own server and a real gateway."""
import os, re, signal, socket, subprocess, time, urllib.error, urllib.parse, urllib.request
from wordpress import START_S, TREE, as_nobody, free_port, wait_for

PAGE = TREE / "docs/php.md"


def examples():
    """The page's pieces of PHP by the name in their first line."""
    return {name: text for text, name in re.findall(r"```php\n(<\?php // (\S+).*?)```", PAGE.read_text(), re.S)}


class Shop:
    """An application in a folder of its own, as the page sets one up."""

    def __init__(self, world, name):
        self.folder, self.port, self.name = world.scratch / name, free_port(), name
        self.spool, self.log = self.folder / "var", world.scratch / f"{name}.log"
        self.folder.mkdir()
        subprocess.run([TREE / "integrations/php/build", self.folder / "lib"], check=True)
        for file, text in examples().items():
            if "/" not in file and file.endswith(".php"):
                (self.folder / file).write_text(text.replace("/var/lib/shop/logystera", str(self.spool)))
        self.log.touch()
        for path in [self.folder, self.log]:
            if os.geteuid() == 0:
                subprocess.run(["chown", "-R", "nobody:nogroup", path], check=True)
        made = world.gateway.add_site(name)
        self.id, self.dsn, self.server = made["site"], made["dsn"], None

    def run(self, *words, dsn=None):
        settings = ["-d", "log_errors=1", "-d", f"error_log={self.log}", "-d", "display_errors=0", "-d", "sendmail_path=/bin/true"]
        return subprocess.run([*as_nobody(), "php", *settings, *words], capture_output=True, text=True, cwd=self.folder, env=self.environment(dsn))

    def environment(self, dsn):
        return {**os.environ, "LOGYSTERA_DSN": self.dsn if dsn is None else dsn}

    def serve(self):
        self.server = subprocess.Popen([*as_nobody(), "php", "-d", "log_errors=1", "-d", f"error_log={self.log}", "-d", "display_errors=0",
                                        "-d", "opcache.revalidate_freq=0", "-S",
                                        f"127.0.0.1:{self.port}", "index.php"], cwd=self.folder, env=self.environment(None),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        def answers():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for("PHP's server", answers, START_S)

    def ask(self, path, fields=None):
        data = urllib.parse.urlencode(fields).encode() if fields else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"User-Agent": "tests/1"})
        try:
            return urllib.request.urlopen(request, timeout=30).status
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self):
        os.killpg(self.server.pid, signal.SIGTERM)
        self.server.wait()


def test_examples_for_plain_php_run_with_a_real_gateway(world):
    shop = Shop(world, "shop")
    # Those of frameworks that are not there are read by PHP, at least.
    for name, text in examples().items():
        (shop.folder / "read.php").write_text(text)
        ran = shop.run("-l", "read.php")
        assert ran.returncode == 0, (name, ran)
    # A site that nobody watches goes on as it is.
    ran = shop.run("send.php", dsn="")
    assert (ran.returncode, ran.stdout) == (0, "logystera: idle\n") and not shop.spool.exists(), ran
    shop.serve()
    try:
        assert shop.ask("/cart?leak-query") == 200
        assert shop.ask("/sign-in", {"name": "jane", "password": "leak-password"}) == 403
        (shop.folder / "index.php").write_text((shop.folder / "index.php").read_text() + "echo $leak_undefined; if (isset($_GET['fatal'])) { no_such(); }\n")
        time.sleep(0.1)
        assert shop.ask("/warns") == 200 and shop.ask("/dies?fatal=1") == 500
    finally:
        shop.stop()
    ran = shop.run("nightly.php")
    assert ran.returncode == 0, ran
    ran = shop.run("send.php")
    assert (ran.returncode, ran.stdout) == (0, "logystera: sent\n"), (ran, shop.log.read_text())
    signals = world.gateway.signals(shop)
    of = lambda kind, *fields: [tuple(s.get(f) for f in fields) for s in signals if s["type"] == kind]
    assert of("http.request", "method", "path", "status") == [
        ("GET", "/cart", 200), ("POST", "/sign-in", 403), ("GET", "/warns", 200), ("GET", "/dies", 500)], signals
    assert of("auth.attempt", "outcome", "reason", "privileged") == [("failure", "bad_password", False)], signals
    assert of("php.error", "level", "component") == [("warning", "app"), ("warning", "app"), ("fatal", "app")], signals
    assert of("cron.run", "job", "outcome") == [("nightly-export", "ok")] and of("mail.outcome", "outcome", "recipients") == [("sent", 1)], signals
    user = of("auth.attempt", "user_hash")[0][0]
    said = shop.run("-r", f"echo (require 'logystera.php')->explain('{user}');")
    assert said.stdout == "jane", said
    store = b"".join(f.read_bytes() for f in world.gateway.folder.glob("logystera.sqlite*"))
    assert b"leak" not in store and b"jane" not in store
    # Where the gateway is away the command says so; what is wrong in the settings is said, too.
    away = shop.dsn.replace(f":{world.gateway.port}/", ":1/")
    shop.run("nightly.php", dsn=away)
    ran = shop.run("send.php", dsn=away)
    assert (ran.returncode, ran.stdout) == (1, "logystera: failed\n"), ran
    ran = shop.run("send.php", dsn="nonsense")
    assert ran.returncode == 255 and "a DSN looks like" in shop.log.read_text(), ran
    return f"{len(examples())} pieces of PHP on the page"
