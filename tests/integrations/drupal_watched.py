"""The watcher is watched: whoever switches it off is told of, by the module's last word and by the gateway."""
import time, urllib.parse
from door import Door
from drupal_door import TYPES
from gateway import Receiver
from scenarios import text
from watched import RULE
from wordpress import wait_for

# No shop is there, but it is watched.
ALL = {*TYPES, "shop.order"}


def lifecycle(world, site):
    return [(s["slug"], s["action"], "actor_hash" in s) for s in world.signals(site, "component.lifecycle")]


class Told:
    """Types that somebody was told of that they are no longer watched."""

    def __init__(self, world):
        self.receiver = Receiver()
        world.gateway.run("channel", "add", "webhook", self.receiver.url)

    def of(self, site):
        groups = [d["group"] for _, d in self.receiver.of(site, RULE, "firing")]
        return {g["changed_type"] if isinstance(g, dict) else g[0]["value"] for g in groups}


def test_a_type_that_is_switched_off_alarms_somebody(world):
    told, site = Told(world), world.site("off")
    site.command()
    site.settings(**{"types[auth.attempt]": None})
    assert told.of(site) == set()
    site.command()
    wait_for("the alert", lambda: told.of(site) == {"auth.attempt"}, 60)
    site.settings(**{"types[auth.attempt]": "auth.attempt"})
    site.command()
    assert told.of(site) == {"auth.attempt"}, "what is switched on alarms nobody"


def test_uninstalling_is_the_last_word(world):
    told, site = Told(world), world.site("removed")
    site.command()
    site.eval("Drupal\\user\\Entity\\User::create(['name' => 'late'])->save();")
    fields = {**site.form("/admin/modules/uninstall", "system_modules_uninstall"), "uninstall[logystera]": "1", "op": "Uninstall"}
    answer = site.post("/admin/modules/uninstall", fields)
    path = urllib.parse.urlparse(answer.headers["Location"]).path
    answer = site.post(path, {**site.form(path, "system_modules_uninstall_confirm_form"), "op": "Uninstall"})
    assert answer.status == 303, text(answer.text)[:500]
    assert [s["action"] for s in world.signals(site, "user.change")] == ["created"]
    assert lifecycle(world, site) == [("logystera", "deactivated", True)], lifecycle(world, site)
    wait_for("the alerts", lambda: told.of(site) == ALL, 60)


def test_withdrawing_is_told_and_then_nothing(world):
    told, site = Told(world), world.bare_site("withdrawn")
    door = Door(world.gateway)
    site.settings(dsn=door.dsn(site.dsn), agree="1")
    site.eval("Drupal\\user\\Entity\\User::create(['name' => 'before'])->save();")
    assert "Nothing is recorded or sent any more" in site.settings(("withdraw", "Withdraw the agreement"), sure="1")
    count = len(door.requests)
    assert "user.change" in {s["type"] for s in world.gateway.signals(site)}, "what was done before is told"
    assert lifecycle(world, site)[-1] == ("logystera", "deactivated", True)
    wait_for("the alerts", lambda: told.of(site) == ALL, 60)
    site.get("/probe/none", cookies=False)
    assert site.command(check=False).returncode == 3 and len(door.requests) == count, "nothing more"


def test_a_gateway_that_hangs_keeps_nobody_from_uninstalling(world):
    site = world.bare_site("hanging")
    door = Door(world.gateway)
    site.settings(dsn=door.dsn(site.dsn), agree="1")
    door.hang()
    start = time.monotonic()
    site.uninstall("logystera")
    took = time.monotonic() - start
    door.go_on()
    assert took < 20, took
    assert "logystera" not in site.eval("echo json_encode(array_keys(Drupal::moduleHandler()->getModuleList()));")
    return f"{took:.1f} s"
