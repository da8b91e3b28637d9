"""Under PHP-FPM a page is delivered first and then its process sends."""
import time
import fpm
from door import Door
from wordpress import wait_for
from world import TYPES

PAGE_S_MAX = 1.0


# Right when all plugins are loaded: neither a page, nor WordPress's cron, nor a request of the site to itself comes further.
FATAL = "<?php add_action('plugins_loaded', function () { nothing_of_that_name(); }, 99);"


def test_a_fatal_on_every_request_is_told_without_cron(world):
    """Where PHP cannot end an answer and go on, as under Apache's module, the page that died sends, for a short time."""
    site = world.site("fatal", "define('DISABLE_WP_CRON', true);")
    door = Door(world.gateway)
    site.save(door.dsn(site.dsn), TYPES)
    site.command()
    before = len(world.gateway.signals(site))
    (site.folder / "wp-content/mu-plugins/fatal.php").write_text(FATAL)
    assert [site.get("/", cookies=False).status for _ in range(60)] == [500] * 60
    time.sleep(10.5)
    site.get("/", cookies=False)
    told = world.gateway.signals(site)[before:]
    assert {"php.error", "http.request"} <= {s["type"] for s in told}, told
    assert len([s for s in told if s["type"] == "http.request"]) >= 60, len(told)
    # A gateway that hangs holds no page up for long, and only one in ten seconds.
    door.hang()
    took = []
    for _ in range(12):
        start = time.monotonic()
        site.get("/", cookies=False)
        took.append(time.monotonic() - start)
        time.sleep(1)
    door.go_on()
    assert max(took) < 3 and len([t for t in took if t > 1]) <= 2, took
    return f"slowest page {max(took):.1f} s while the gateway hung"


def test_under_fpm_a_page_does_not_wait_for_the_gateway(world):
    site = world.bare_site("fpm", "define('DISABLE_WP_CRON', true);")
    site.stop()
    server = fpm.Server(site)
    try:
        world.agree(site)
        door = Door(world.gateway)
        site.save(door.dsn(site.dsn), TYPES)
        site.command()
        door.requests.clear()
        door.hang()
        site.get("/?before", cookies=False)
        time.sleep(10.5)
        # WordPress's editor asks in this way whether a save broke the site: nothing must come before its answer.
        site.eval("set_transient('scrape_key_abc', 'y', 60);")
        scraped = site.get("/?wp_scrape_key=abc&wp_scrape_nonce=y", cookies=False)
        assert "wp_scraping_result_start:abc" in scraped.text, scraped.text[-200:]
        time.sleep(1)
        assert door.requests == [], "sent during the editor's scrape"
        start = time.monotonic()
        site.get("/?sends", cookies=False)
        took = time.monotonic() - start
        assert took < PAGE_S_MAX, took
        wait_for("the try", lambda: door.requests, 2)
        time.sleep(max(0, start + 4 - time.monotonic()))
        door.go_on()
        site.eval("Logystera\\WordPress\\Plugin::site()->flush(10000, true);")
        paths = [s["path"] for s in world.signals(site, "http.request")]
        assert paths.count("/") >= 2 and "/wp-admin/admin-ajax.php" not in paths, paths
        assert not (site.spool() / "kick.php").exists(), "a request of its own was sent, although PHP can end the answer"
        # And without anything in the way: page views alone bring everything to the gateway.
        site.get("/?again", cookies=False)
        time.sleep(10.5)
        before = len(world.gateway.signals(site))
        site.get("/?last", cookies=False)
        wait_for("the signals", lambda: len(world.gateway.signals(site)) >= before + 2, 5)
    finally:
        server.stop()
    return f"the page that sent took {took * 1000:.0f} ms while the gateway hung"
