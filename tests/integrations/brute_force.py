"""Passwords are guessed by a real tool, at the form and at XML-RPC: who hears of it, how soon, and when it is over."""
import collections, json, re, subprocess, threading, time
from proxy import Proxy
from wordpress import wait_for
from world import TYPES

GUESSES = 30
RULE = "login-brute-force"


def guess(site, scratch, path_and_form, method="http-post-form", words=None, port=None):
    """hydra with a list of wrong passwords, by itself or through a proxy; gives what it says."""
    file = scratch / f"{site.name}.{port or 0}.words"
    file.write_text("".join(f"{word}\n" for word in words or [f"wrong-planted-{i}" for i in range(GUESSES)]))
    ran = subprocess.run(["hydra", "-l", "admin", "-P", file, "-t", "4", "-I", "-s", str(port or site.port), "127.0.0.1", method,
                          path_and_form], capture_output=True, text=True, cwd=scratch)
    found = re.search(r"(\d+) valid password", ran.stdout)
    assert found is None or found.group(1) == "0", ran.stdout
    return ran.stdout


# Each guess comes with the password as the address that it claims to come from.
SPOOFED = ("/wp-login.php:log=^USER^&pwd=^PASS^:H=Cookie\\: wordpress_test_cookie=WP+Cookie+check:H=X-Forwarded-For\\: ^PASS^:F=is incorrect")
FORM = "/wp-login.php:log=^USER^&pwd=^PASS^:H=Cookie\\: wordpress_test_cookie=WP+Cookie+check:F=is incorrect"
XMLRPC = ("/xmlrpc.php:<?xml version=\"1.0\"?><methodCall><methodName>wp.getUsersBlogs</methodName><params><param><value>^USER^</value>"
          "</param><param><value>^PASS^</value></param></params></methodCall>:H=Content-Type\\: text/xml:F=faultCode")


class Visitors:
    """Somebody who looks at the site once a second."""

    def __init__(self, site):
        self.site, self.stopped = site, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopped.wait(1):
            self.site.get("/?visitor", cookies=False)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


def failures(world, site, method):
    return [s for s in world.signals(site, "auth.attempt") if s["outcome"] == "failure" and s["method"] == method]


def attack(world, site, door, seconds):
    """Guesses, and waits for the alert and for its end. Gives how long each took from the end of the burst, in seconds."""
    start = time.time()
    guess(site, world.scratch, door)
    burst = time.time()
    at, alert = wait_for("the alert", lambda: world.receiver.of(site, RULE, "firing", start), seconds)[0]
    assert alert["count"] >= 20, alert
    over, _ = wait_for("the end of the alert", lambda: world.receiver.of(site, RULE, "resolved", start), 180)[0]
    return f"alert after {at - burst:.1f} s, over after {over - burst:.1f} s"


def while_requests_go_on(world, name, door, method):
    """By the ends of requests alone: no cron runs."""
    site = world.site(name, "define('DISABLE_WP_CRON', true);")
    with Visitors(site):
        said = attack(world, site, door, 60)
        wait_for("all guesses", lambda: len(failures(world, site, method)) >= GUESSES, 30)
        signal = failures(world, site, method)[0]
        assert signal["reason"] == "bad_password" and signal["user_length"] == 5 and signal["privileged"] is True, signal
        block(site)
        guess(site, world.scratch, door)
        time.sleep(15)
    count = len(failures(world, site, method))
    assert count == GUESSES, f"{count} of {GUESSES} guesses; a blocked source gets no further"
    return said


def test_brute_force_at_the_form_is_told_while_requests_go_on(world):
    return while_requests_go_on(world, "form", FORM, "form")


def test_brute_force_at_xmlrpc_is_told_while_requests_go_on(world):
    return while_requests_go_on(world, "xmlrpc", XMLRPC, "xmlrpc")


def test_brute_force_is_told_by_cron_alone(world):
    """No request but the guesses; the system's crontab calls the plugin's command once a minute."""
    site = world.site("bycron", "define('DISABLE_WP_CRON', true);")
    stopped = threading.Event()
    def crontab():
        while not stopped.wait(60 - time.time() % 60):
            site.command()
    threading.Thread(target=crontab, daemon=True).start()
    try:
        return attack(world, site, FORM, 120)
    finally:
        stopped.set()


def test_brute_force_through_a_proxy_is_its_clients_where_the_proxy_is_trusted(world):
    """Each guess claims to come from somewhere else. The proxy adds where it did come from."""
    site = world.site("proxied", "define('DISABLE_WP_CRON', true);")
    claims = [f"203.0.113.{i}" for i in range(1, GUESSES + 1)]
    guesser, other, proxies = "198.51.100.7", "198.51.100.8", "127.0.0.1"
    hashes = json.loads(site.eval(
        "$h = new Logystera\\Hasher(Logystera\\WordPress\\Settings::hashKey()); echo json_encode(array_map(function ($a) use ($h) {"
        f" return $h->hash('address', $a); }}, {json.dumps([guesser, other, proxies, *claims])}));"))
    known = dict(zip([guesser, other, proxies, *claims], hashes))

    def sources(count, act):
        before = len(failures(world, site, "form"))
        act()

        def arrived():
            # A page writes down what it saw after its answer: it may come too late for the first time.
            site.command()
            new = failures(world, site, "form")[before:]
            return new if len(new) >= count else None

        new = wait_for("all guesses", arrived, 30)
        names = {h: n for n, h in known.items()}
        return collections.Counter(names.get(s["source"], "nobody known") for s in new)

    with Proxy(site, guesser) as one, Proxy(site, other) as two:
        # Nobody has named the proxy: all are it, and what a header says is nobody's.
        found = sources(5, lambda: guess(site, world.scratch, SPOOFED, words=claims[:5], port=one.port))
        assert found == {proxies: 5}, found
        site.settings("save", agree="on", proxies=f"{proxies}/32", proxy_header="X-Forwarded-For", **{"types[]": TYPES})
        start = time.time()
        found = sources(GUESSES + 5, lambda: (guess(site, world.scratch, SPOOFED, words=claims, port=one.port),
                                              guess(site, world.scratch, SPOOFED, words=claims[:5], port=two.port)))
        assert found == {guesser: GUESSES, other: 5}, found
        # One source is told of, and not thirty; who mistyped is not.
        alerts = wait_for("the alert", lambda: world.receiver.of(site, RULE, "firing", start), 60)
        assert len(alerts) == 1 and known[guesser] in json.dumps(alerts[0][1]) and known[other] not in json.dumps(alerts[0][1]), alerts
        # Who goes past the proxy is who they are, whatever they claim.
        (site.folder / "wp-content/mu-plugins/past.php").write_text(
            "<?php if (isset($_GET['past'])) { $_SERVER['REMOTE_ADDR'] = '198.51.100.8'; }")
        found = sources(3, lambda: guess(site, world.scratch, SPOOFED.replace("wp-login.php", "wp-login.php?past", 1), words=claims[:3]))
        assert found == {other: 3}, found


def block(site):
    """What a firewall does, in the site: this source gets no further."""
    plugin = site.folder / "wp-content/mu-plugins/block.php"
    plugin.write_text("<?php if (($_SERVER['HTTP_USER_AGENT'] ?? '') !== 'tests' && PHP_SAPI !== 'cli') { http_response_code(403); exit; }\n")
