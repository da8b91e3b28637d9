"""What is told when something does not happen."""
import time
from brute_force import Visitors
from wordpress import wait_for
from world import TYPES

# In rules.yaml a cron is stopped after 60 s, and a site is silent after 3 minutes.
WATCH_S = 100


def seen(world, site):
    """The site's cron has run, by WordPress's own means, and the gateway heard of it."""
    site.eval("wp_schedule_single_event(time() - 5, 'probe_job');")
    site.cron()
    site.command()
    assert any(s["outcome"] == "ok" for s in world.signals(site, "cron.run"))
    return time.time()


def alerts(world, site, start):
    return [(d["rule"], d["state"]) for _, d in world.receiver.of(site, since=start)]


def test_traffic_with_a_dead_cron_tells_of_the_cron_only(world):
    site = world.site("deadcron", "define('DISABLE_WP_CRON', true);")
    start = seen(world, site)
    with Visitors(site):
        at, alert = wait_for("the alert", lambda: world.receiver.of(site, "cron-stopped", "firing", start), 120)[0]
        assert alert["reason"] == "stopped", alert
        time.sleep(20)
        assert alerts(world, site, start) == [("cron-stopped", "firing")], alerts(world, site, start)
    return f"after {at - start:.0f} s"


def test_a_type_that_the_operator_switched_off_is_not_missed(world):
    site = world.site("cronoff", "define('DISABLE_WP_CRON', true);")
    start = seen(world, site)
    site.settings("save", **{"types[]": [t for t in TYPES if t != "cron.run"]}, agree="on")
    with Visitors(site):
        time.sleep(WATCH_S)
    # That it was switched off is told, and nothing for its being off.
    assert alerts(world, site, start) == [("watching-switched-off", "firing")], alerts(world, site, start)


def test_a_site_without_traffic_is_silent_and_nothing_else(world):
    site = world.site("silent", "define('DISABLE_WP_CRON', true);")
    start = seen(world, site)
    at, alert = wait_for("the alert", lambda: world.receiver.of(site, "site-silent", "firing", start), 260)[0]
    assert alert["reason"] == "blind", alert
    assert alerts(world, site, start) == [("site-silent", "firing")], alerts(world, site, start)
    return f"after {at - start:.0f} s"
