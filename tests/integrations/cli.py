"""The commands of WP-CLI. WP_CLI names a real one (a phar, or boot-fs.php); without it a stand-in calls the command's class."""
import json, os, pathlib, subprocess
from wordpress import as_nobody
from world import TYPES

STAND_IN = pathlib.Path(__file__).with_name("wp_cli.php")


def wp(site, *words, user=as_nobody):
    return subprocess.run([*user(), "php", *site.settings_of_php(), os.environ.get("WP_CLI") or STAND_IN, f"--path={site.folder}", "logystera",
                           *words], capture_output=True, text=True, env={**os.environ, "WP_CLI_PHP_ARGS": "", "HOME": str(site.scratch / "tmp")})


def test_commands_of_wp_cli(world):
    site = world.bare_site("cli", "define('DISABLE_WP_CRON', true);")
    for words in [["status"], ["test"], ["flush"], ["lookup", "0" * 32]]:
        ran = wp(site, *words)
        assert ran.returncode == 3 and "agree on the settings page" in ran.stderr, (words, ran)
    world.agree(site)
    site.get("/?one", cookies=False)
    ran = wp(site, "flush")
    # The page may have had it sent already.
    assert ran.returncode == 0 and ran.stdout.startswith("Success: "), ran
    assert world.signals(site, "http.request"), "sent"
    ran = wp(site, "test")
    assert ran.returncode == 0 and "The gateway has it: 1 batches" in ran.stdout, ran
    status = {row["field"]: row["value"] for row in json.loads(wp(site, "status", "--format=json").stdout)}
    assert (status["works"], status["types"]) == ("yes", ", ".join(TYPES)) and status["gateway"] == f"127.0.0.1:{world.gateway.port}", status
    assert "works" in wp(site, "status").stdout

    source = world.signals(site, "auth.attempt")[0]["source"] if world.signals(site, "auth.attempt") else \
        next(s["source"] for s in world.signals(site, "http.request"))
    ran = wp(site, "lookup", source.upper(), "--format=json")
    found = json.loads(ran.stdout)
    assert ran.returncode == 0 and [(f["hash"], f["kind"], f["meaning"]) for f in found] == [(source, "address", "127.0.0.1")], ran
    ran = wp(site, "lookup", source, "0" * 32, "--format=json")
    assert ran.returncode == 1 and [f["kind"] for f in json.loads(ran.stdout)] == ["address", "unknown"], ran
    ran = wp(site, "lookup", "127.0.0.1")
    assert ran.returncode == 2 and ran.stdout == "", ran
    # A name that was typed with a terminal's control characters shows none.
    site.post("/wp-login.php", {"log": "a\u009b31mb", "pwd": "x"}, cookies=False)
    site.command()
    typed = [s["user_hash"] for s in world.signals(site, "auth.attempt") if s["outcome"] == "failure"][-1]
    assert "\u009b" not in wp(site, "lookup", typed).stdout

    world_port, site_dsn = site.dsn.split("@")[1].split("/")[0], site.dsn
    site.eval(f"update_option('logystera_dsn', '{site_dsn.replace(world_port, '127.0.0.1:1')}'); Logystera\\WordPress\\Settings::agree("
              "Logystera\\WordPress\\Settings::dsn());")
    ran = wp(site, "test")
    assert ran.returncode == 1 and ran.stderr.startswith("Error: "), ran
    assert wp(site, "flush").returncode == 1
    if os.geteuid() == 0:
        ran = wp(site, "status", user=lambda: ["setpriv", "--reuid=games", "--regid=nogroup", "--clear-groups"])
        assert ran.returncode == 2 and "run this as that user" in ran.stderr, ran
    return "a real WP-CLI" if os.environ.get("WP_CLI") else "by a stand-in for WP-CLI"
