"""Passwords are guessed by a real tool, at the form and at XML-RPC: who hears of it, how soon, and when it is over."""
import os, re, subprocess, threading, time
from wordpress import wait_for

GUESSES = 30
RULE = "login-brute-force"


def guess(site, scratch, path_and_form, method="http-post-form"):
    """hydra with a list of wrong passwords; gives how many it tried."""
    words = scratch / f"{site.name}.words"
    words.write_text("".join(f"wrong-planted-{i}\n" for i in range(GUESSES)))
    ran = subprocess.run(["hydra", "-l", "admin", "-P", words, "-t", "4", "-I", "-s", str(site.port), "127.0.0.1", method,
                          path_and_form], capture_output=True, text=True, cwd=scratch)
    found = re.search(r"(\d+) valid password", ran.stdout)
    assert found is None or found.group(1) == "0", ran.stdout
    return ran.stdout


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


def block(site):
    """What a firewall does, in the site: this source gets no further."""
    plugin = site.folder / "wp-content/mu-plugins/block.php"
    plugin.write_text("<?php if (($_SERVER['HTTP_USER_AGENT'] ?? '') !== 'tests' && PHP_SAPI !== 'cli') { http_response_code(403); exit; }\n")
