"""The watcher is watched: whoever switches it off is told of, by the plugin's last word and by the gateway."""
import json
from door import Door
from wordpress import ADMIN, wait_for
from world import TYPES

RULE = "watching-switched-off"
NEEDS = "require_once ABSPATH . 'wp-admin/includes/admin.php';"


def told(world, site):
    """Types that somebody was told of that they are no longer watched."""
    groups = [d["group"] for _, d in world.receiver.of(site, RULE, "firing")]
    return {g["changed_type"] if isinstance(g, dict) else g[0]["value"] for g in groups}


def lifecycle(world, site):
    return [(s["slug"], s["action"]) for s in world.signals(site, "component.lifecycle")]


def behind_a_door(world, site):
    """Agrees to the gateway behind a door, and to no other before: two spools would wait for each other."""
    door, made = Door(world.gateway), world.gateway.add_site(site.name)
    site.id = made["site"]
    site.log_in()
    site.save(door.dsn(made["dsn"]), TYPES)
    return door


def test_a_type_that_is_switched_off_alarms_somebody(world):
    site = world.site("off", "define('DISABLE_WP_CRON', true);")
    site.command()
    site.save(site.dsn, [t for t in TYPES if t != "auth.attempt"])
    assert told(world, site) == set()
    site.command()
    wait_for("the alert", lambda: told(world, site) == {"auth.attempt"}, 60)
    site.save(site.dsn, TYPES)
    site.command()
    assert told(world, site) == {"auth.attempt"}, "what is switched on alarms nobody"


def test_deactivating_is_the_last_word(world):
    """In the admin area, where the page's end sends it, after all that the same request did."""
    site = world.site("deactivated", "define('DISABLE_WP_CRON', true);")
    site.command()
    before = len(world.gateway.signals(site))
    site.eval(f"{NEEDS} wp_set_current_user(1); wp_create_user('late', 'x'); deactivate_plugins('logystera/logystera.php'); wp_create_user('later', 'x');")
    new = world.gateway.signals(site)[before:]
    assert [s["action"] for s in new if s["type"] == "user.change"] == ["created", "created"], new
    assert ("logystera", "deactivated") in lifecycle(world, site), new
    actors = [s.get("actor_hash") for s in new if s["type"] == "component.lifecycle"]
    assert len(actors) == 1 and actors[0], "once, and by whom"
    wait_for("the alerts", lambda: told(world, site) == set(TYPES), 60)


def test_withdrawing_is_told_and_then_nothing(world):
    site = world.bare_site("withdrawn", "define('DISABLE_WP_CRON', true);")
    door = behind_a_door(world, site)
    site.eval("wp_create_user('before', 'x');")
    assert "Nothing is recorded or sent any more" in site.settings("withdraw", sure="1")
    count = len(door.requests)
    assert "user.change" in {s["type"] for s in world.gateway.signals(site)}, "what was done before is told"
    assert lifecycle(world, site)[-1] == ("logystera", "deactivated")
    wait_for("the alerts", lambda: told(world, site) == set(TYPES), 60)
    site.get("/", cookies=False)
    assert site.command().returncode == 3 and len(door.requests) == count, "nothing more"


def test_a_gateway_that_hangs_keeps_nobody_from_switching_it_off(world):
    import time
    site = world.bare_site("hanging", "define('DISABLE_WP_CRON', true);")
    door = behind_a_door(world, site)
    door.hang()
    start = time.monotonic()
    site.eval(f"{NEEDS} deactivate_plugins('logystera/logystera.php');")
    took = time.monotonic() - start
    assert took < 10, took
    assert "logystera" not in json.dumps(site.option("active_plugins"))
    return f"{took:.1f} s"
