"""The module's page for who owns the site, on a real Drupal: to the first alert, a key that is no good, codes of alerts."""
import html, re, time, urllib.parse
from gateway import Receiver
from scenarios import text
from wordpress import wait_for

PAGE = "/admin/config/system/logystera"
SCRIPT = "<script>alert(1)</script>"
ALERT_S = 120


def state(page):
    """What the page says first: its class, and its words."""
    found = re.search(r'class="[^"]*logystera-state logystera-(\w+)[^"]*".*?<h2[^>]*>(.*?)</h2>', page, re.S)
    return found.group(1), html.unescape(found.group(2))


def test_an_owner_gets_from_the_module_to_the_first_alert(world):
    receiver = Receiver()
    world.gateway.run("channel", "add", "webhook", receiver.url)
    site = world.bare_site("owner")
    start = time.monotonic()
    page = site.get(PAGE).text
    assert state(page) == ("waits", "Not set up yet"), state(page)
    # Who forgets the tick is told what is missing.
    assert state(site.settings_page(dsn=site.dsn)) == ("waits", "One step is missing: agree")
    page = site.settings_page(agree="1")
    assert state(page) == ("works", "It works.") and "Events are recorded from the next request on" in page, text(page)
    page = site.settings_page(("tryAlert", "Try an alert"))
    assert re.findall(r'<li class="logystera-(\w+)">', page) == ["works", "works", "waits"], page
    wait_for("the alert", lambda: receiver.of(site, "mail-delivery-failing", "firing"), ALERT_S)
    took = time.monotonic() - start
    assert [m["outcome"] for m in world.signals(site, "mail.outcome")] == ["failed"] * 5
    world.gateway.stop()
    try:
        page = site.settings_page(("tryAlert", "Try an alert"))
        assert re.findall(r'<li class="logystera-(\w+)">', page) == ["works", "fails"], page
        assert state(page) == ("look", "It did not get through just now."), state(page)
    finally:
        world.gateway.start()
    said = site.settings(("sendTest", "Check now"))
    assert "It works. The service that watches for you has what this site sent." in text(said), said
    return f"{took:.1f} s from the page to the alert"


def test_installing_says_once_where_to_go_on(world):
    site = world.bare_site("told")
    # And what goes with it is said before it is uninstalled.
    fields = {**site.form("/admin/modules/uninstall", "system_modules_uninstall"), "uninstall[logystera]": "1", "op": "Uninstall"}
    answer = site.post("/admin/modules/uninstall", fields)
    page = site.get(urllib.parse.urlparse(answer.headers["Location"]).path).text
    assert "what the codes of earlier alerts stand for is forgotten" in text(page), text(page)[:1000]
    site.uninstall("logystera")
    fields = {**site.form("/admin/modules", "system_modules"), "modules[logystera][enable]": "1", "op": "Install"}
    answer = site.post("/admin/modules", fields)
    assert answer.status == 303, text(answer.text)[:500]
    page = site.get(urllib.parse.urlparse(answer.headers["Location"]).path).text
    assert f'<a href="{PAGE}">set it up</a>' in page, text(page)[:1000]
    assert "set it up</a>" not in site.get("/admin/modules").text, "once"


def test_a_key_that_is_no_good_loses_no_other_edit(world):
    site = world.site("badkey")
    secret = re.search(r":([0-9a-f]{64})@", site.dsn).group(1)
    types = ["auth.attempt", "component.lifecycle", "config.change", "cron.run", "db.event", "file.edit", "http.request", "php.error", "shop.order", "user.change"]
    for bad, says in [(f'nonsense"\'{SCRIPT}', "This is no connection key"), (site.dsn.replace(secret, secret[1:]), "The secret in the middle was cut"),
                      (site.dsn.replace("127.0.0.1", "gateway.example"), "It has to begin with https://"),
                      (site.dsn.split("?")[0], "The end is missing")]:
        every = str(60 + len(bad))
        page = site.settings_page(dsn=bad, flush_every_s=every, **{f"types[{t}]": None for t in types})
        field = re.search(r'<input[^>]*name="dsn"[^>]*>', page).group(0)
        assert html.unescape(re.search(r' value="([^"]*)"', field).group(1)) == bad and 'aria-invalid="true"' in field, field
        beside = re.search(r'<p id="logystera-dsn-says" role="status" aria-live="polite" class="logystera-says logystera-bad"[^>]*>(.*?)</p>', page, re.S)
        assert says in html.unescape(beside.group(1)), (bad, beside.group(1))
        assert SCRIPT not in page and "The rest was saved" in page
        fields = site.form(PAGE, "logystera_settings")
        assert fields["flush_every_s"] == every and fields["agree"] == "1" and site.state("logystera.dsn") == site.dsn, fields
        assert [n for n in fields if n.startswith("types[")] == ["types[mail.outcome]"] and fields["dsn"] == "", fields


def test_codes_of_alerts_are_looked_up_many_at_once(world):
    site = world.site("codes")
    odd = f"mallory{SCRIPT}"
    site.sign_in(odd, "wrong"), site.sign_in("trent", "wrong")
    site.command()
    failed = world.signals(site, "auth.attempt")
    codes = [failed[0]["user_hash"], failed[1]["user_hash"], failed[0]["source"], "0" * 32]
    expected = [[codes[0], odd, "user"], [codes[1], "trent", "user"], [codes[2], "127.0.0.1", "address on the internet"],
                [codes[3], "not known here, or not any more", "—"]]

    def rows(page):
        assert SCRIPT not in page, "shown as it is"
        cells = [re.findall(r"<t[hd]([^>]*)>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr.*?</tr>", page, re.S)]
        return [[html.unescape(c).strip() for _, c in row][:3] for row in cells if "logystera-code" in row[0][0]]
    alert = f"5 failures\nuser_hash: {codes[0].upper()}, {codes[1]}{SCRIPT}\nsource={codes[2]} jane@example.test {codes[3]} {codes[0]}"
    page = site.settings_page(("lookUp", "Look up"), hashes=alert)
    assert rows(page) == expected, rows(page)
    link = f"{PAGE}?hash={','.join(codes)}"
    page = site.get(link).text
    assert rows(page) == expected and page.index("logystera-code") < page.index("types[auth.attempt]"), "what was asked for stands first"
    for odd_link in ["?hash=" + urllib.parse.quote(SCRIPT), "?hash[]=x", "?hash="]:
        assert rows(site.get(PAGE + odd_link).text) == [], odd_link
    site.eval("Drupal\\user\\Entity\\User::create(['name' => 'sub', 'pass' => 'pw', 'mail' => 's@example.test', 'status' => 1])->save();")
    site.jar = {}
    assert site.get(link).status == 403
    assert site.sign_in("sub", "pw", cookies=True).status == 303
    answer = site.get(link)
    assert answer.status == 403 and "trent" not in answer.text
