"""The settings page for who owns the site: from the list of plugins to the first alert, a key that is no good, codes of alerts, what was lost."""
import html, re, time, urllib.parse
from gateway import Gateway, Receiver
from scenarios import text
from wordpress import PASSWORD, wait_for
from world import TYPES

PAGE = "/wp-admin/options-general.php?page=logystera"
SCRIPT = "<script>alert(1)</script>"
NOTICE = "Logystera is ready to watch this site."
ALERT_S = 120


def state(page):
    """What the page says first: its class, and its words."""
    found = re.search(r'<div class="logystera-state logystera-(\w+)">.*?<h2>(.*?)</h2>', page, re.S)
    return found.group(1), html.unescape(found.group(2))


def test_an_owner_gets_from_the_list_of_plugins_to_the_first_alert(world):
    site, receiver = world.bare_site("owner"), Receiver()
    mailed = world.scratch / "tmp" / "owner.mailed"
    site.stop()
    site.serve("-d", f"sendmail_path=/bin/sh -c 'cat >> {mailed}'")
    gateway = Gateway(world.scratch / "gateway-owner", None, receiver)
    try:
        made = gateway.add_site("owner")
        site.id = made["site"]
        start = time.monotonic()
        site.log_in()
        the_introduction_is_shown_once(site)
        page = site.get(PAGE).text
        assert state(page) == ("waits", "Not set up yet"), state(page)
        # Who forgets the tick is told what is missing.
        assert "until you agree to it" in site.settings("save", dsn=made["dsn"], **{"types[]": TYPES})
        page = site.get(PAGE).text
        assert state(page) == ("waits", "One step is missing: agree")
        assert page.index('name="agree"') < page.index('name="dsn"'), "what is missing stands first"
        # Without JavaScript, as it is filled in from the top.
        note = site.settings("save", agree="on", flush_every_s=60, **{"types[]": TYPES})
        assert "Events are recorded from the next request on. It works." in note, note
        assert 'Now press "Try an alert"' in note, "the next step"
        page = site.get(PAGE).text
        assert re.search(r'<input[^>]*id="logystera-drill"[^>]*>', page).group(0).count("button-primary") == 1, "it is the stronger button"
        assert state(page) == ("works", "It works."), state(page)
        named = dict(re.findall(r'value="([\w.]+)"[^>]*><span><strong>(.*?):</strong>', page))
        assert set(named) == set(TYPES) and not set(named.values()) & set(TYPES), "each type has words of its own"
        assert page.index('id="logystera-drill"') < page.index('id="logystera-test"'), "and comes first"
        page = site.settings_page("drill")
        assert re.findall(r'<li class="logystera-(\w+)">', page) == ["works", "works", "waits"], page
        assert "5 mails failed on this site, as they were meant to." in text(page)
        alert = wait_for("the alert", lambda: receiver.of(site, "mail-delivery-failing", "firing"), ALERT_S)[0][1]
        took = time.monotonic() - start
        assert [e["outcome"] for e in alert["evidence"]] == ["failed"] * len(alert["evidence"]), alert
        mails = [s for s in gateway.signals(site) if s["type"] == "mail.outcome"]
        assert [(m["outcome"], m["recipients"]) for m in mails] == [("failed", 1)] * 5, mails
        assert not mailed.exists(), "a mail went out"
        the_way_ends_where_it_ends(site, gateway)
        who_needs_another_key_finds_its_place(site, gateway)
    finally:
        gateway.stop()
    return f"{took:.1f} s from signing in to the alert"


def who_needs_another_key_finds_its_place(site, gateway):
    """Where a new key is what helps, its field stands before all else, and who does not look there is told where they do look."""
    page = site.get(PAGE).text
    assert page.index("types[]") < page.index('name="dsn"')
    assert "Logystera does not work" not in site.get("/wp-admin/").text
    gateway.run("site", "revoke-key", site.id, "k1")
    wait_for("the refusal", lambda: "does not accept your connection key" in site.settings("test"), 20)
    page = site.get(PAGE).text
    assert state(page) == ("fails", "It does not work.") and page.index('name="dsn"') < page.index("types[]")
    for path in ["/wp-admin/", "/wp-admin/plugins.php"]:
        assert "Logystera does not work" in site.get(path).text, path
    assert "Logystera does not work" not in site.get("/wp-admin/edit.php").text, "it is not everywhere"


def the_introduction_is_shown_once(site):
    for path in ["/wp-admin/plugins.php", "/wp-admin/", "/wp-admin/plugins.php"]:
        assert NOTICE in site.get(path).text, path
    assert NOTICE not in site.get("/wp-admin/edit.php").text, "it is not everywhere"
    admin = site.jar
    site.eval(f"wp_insert_user(['user_login' => 'sub', 'user_pass' => '{PASSWORD}', 'role' => 'subscriber']);"
              f"wp_insert_user(['user_login' => 'two', 'user_pass' => '{PASSWORD}', 'role' => 'administrator']);")
    site.log_in("sub")
    assert NOTICE not in site.get("/wp-admin/").text, "who has not the right is not told"
    site.jar = admin
    page = site.get("/wp-admin/plugins.php").text
    row = re.search(r'<tr[^>]*data-plugin="logystera/logystera.php".*?</tr>', page, re.S).group(0)
    assert f'href="{site.url}{PAGE}">Settings</a>' in row, row
    hide = html.unescape(re.search(r'href="([^"]*logystera_hide[^"]*)"', page).group(1)).removeprefix(site.url)
    assert site.get(hide.split("&_wpnonce")[0]).status == 403, "no nonce"
    assert NOTICE in site.get("/wp-admin/plugins.php").text
    assert site.get(hide).status == 302
    assert NOTICE not in site.get("/wp-admin/plugins.php").text and NOTICE not in site.get("/wp-admin/").text
    # Of another administrator nobody knows whether they know; who was on the page does.
    site.log_in("two")
    assert NOTICE in site.get("/wp-admin/plugins.php").text
    site.get(PAGE)
    assert NOTICE not in site.get("/wp-admin/plugins.php").text
    site.log_in()


def the_way_ends_where_it_ends(site, gateway):
    """Where it does not get through, the page says how far it came; a number of HTTP is nobody's word."""
    gateway.stop()
    page = site.settings_page("drill")
    assert re.findall(r'<li class="logystera-(\w+)">', page) == ["works", "fails"], page
    assert "cannot be reached. What happens here waits, and is sent later." in text(page)
    assert state(page) == ("look", "It did not get through just now."), state(page)
    gateway.start()
    note = site.settings("test")
    assert note.startswith("It works.") and not re.search(r"\b\d{3}\b", note), note
    site.settings("save", agree="on", **{"types[]": [t for t in TYPES if t != "mail.outcome"]})
    assert "Mail is not watched" in site.settings("drill")


def test_a_key_that_is_no_good_loses_no_other_edit(world):
    site = world.site("badkey")
    secret = re.search(r":([0-9a-f]{64})@", site.dsn).group(1)
    for bad, says in [(f'nonsense"\'{SCRIPT}', "This is no connection key"), (site.dsn.replace(secret, secret[1:]), "The secret in the middle was cut"),
                      (site.dsn.replace("127.0.0.1", "gateway.example"), "It has to begin with https://"),
                      (site.dsn.split("?")[0], "The end is missing")]:
        every = 60 + len(bad)
        note = site.settings_page("save", dsn=bad, agree="on", flush_every_s=every, proxies="192.0.2.0/24", proxy_header="X-Real-IP",
                                  **{"types[]": ["mail.outcome"]})
        field = re.search(r'<input type="text"[^>]*id="logystera-dsn".*?>', note, re.S).group(0)
        assert html.unescape(re.search(r' value="([^"]*)"', field).group(1)) == bad and 'aria-invalid="true"' in field, field
        beside = re.search(r'<p id="logystera-dsn-says" role="status" aria-live="polite" class="logystera-says logystera-bad">(.*?)</p>', note)
        assert says in html.unescape(beside.group(1)), (bad, beside.group(1))
        assert SCRIPT not in note and "The rest was saved" in text(note)
        # All else is saved, nothing is taken back, and the text is shown once.
        kept = site.option("logystera_settings")
        assert kept["flush_every_s"] == every and kept["proxies"] == ["192.0.2.0/24"] and kept["proxy_header"] == "X-Real-IP"
        assert [t for t, on in kept["types"].items() if on] == ["mail.outcome"] and kept["consent"], kept
        assert site.option("logystera_dsn") == site.dsn
        page = site.get(PAGE).text
        assert html.escape(bad) not in page and secret not in page and secret[1:] not in page
    # One that is good goes in beside edits that were made with a bad one.
    assert site.settings("save", dsn=site.dsn, agree="on", **{"types[]": TYPES}).startswith("Saved.")
    assert "aria-invalid=\"false\"" in site.get(PAGE).text


def test_codes_of_alerts_are_looked_up_many_at_once(world):
    site = world.site("codes")
    odd = f"mallory{SCRIPT}"
    # WordPress takes markup out of names before anybody sees them; other things have none to take out.
    strange = site.eval(f"$l = Logystera\\WordPress\\Plugin::site()->lookup; echo $l->hash('user', '{odd}'); $l->write();")
    site.post("/wp-login.php", {"log": "trent", "pwd": "wrong"}, cookies=False)
    site.command()
    failed = [s for s in world.signals(site, "auth.attempt") if s["outcome"] == "failure"][0]
    codes = [strange, failed["user_hash"], failed["source"], "0" * 32]

    def rows(page):
        body = re.search(r'<section id="logystera-lookup">.*?</section>', page, re.S).group(0)
        assert SCRIPT not in page, "shown as it is"
        return [[html.unescape(c) for c in re.findall(r"<(?:code|td[^>]*)>(.*?)</", row)][:3] for row in re.findall(r"<tr><th.*?</tr>", body, re.S)][1:]
    expected = [[codes[0], odd, "user"], [codes[1], "trent", "user"], [codes[2], "127.0.0.1", "address on the internet"],
                [codes[3], "not known here, or not any more", "—"]]
    nonce = re.search(r'name="logystera_nonce" value="(\w+)"', site.get(PAGE).text).group(1)
    alert = f"5 failures\nuser_hash: {codes[0].upper()}, {codes[1]}{SCRIPT}\nsource={codes[2]} jane@example.test {codes[3]} {codes[0]}"
    page = site.post(PAGE, {"hashes": alert, "logystera_nonce": nonce}).text
    assert rows(page) == expected, rows(page)
    assert "jane@example.test" not in page and "\n".join(codes) in page, "only codes come back"
    # The form that alerts and the console link to. It has no nonce, and changes nothing.
    before = site.database.query("SELECT option_name, option_value FROM wp_options WHERE option_name LIKE 'logystera%'", site.name)
    link = f"{PAGE}&hash={','.join(codes)}"
    page = site.get(link).text
    assert rows(page) == expected and page.index("logystera-lookup") < page.index("What it watches"), "what was asked for stands first"
    assert before == site.database.query("SELECT option_name, option_value FROM wp_options WHERE option_name LIKE 'logystera%'", site.name)
    for odd_link in ["&hash=" + urllib.parse.quote(SCRIPT), "&hash[]=x", "&hash="]:
        page = site.get(PAGE + odd_link).text
        assert SCRIPT not in page and rows(page) == [], odd_link
    assert rows(site.post(PAGE, {"hashes": alert, "logystera_nonce": "0" * 10}).text) == [], "a form without a nonce"
    # Who is not signed in is asked to, and comes back to it; who has not the right sees nothing.
    answer = site.get(link, cookies=False)
    assert answer.status == 302 and codes[0] in urllib.parse.unquote(answer.headers["Location"]) and "trent" not in answer.text
    site.eval(f"wp_insert_user(['user_login' => 'sub', 'user_pass' => '{PASSWORD}', 'role' => 'editor']);")
    admin, _ = site.jar, site.log_in("sub")
    answer = site.get(link)
    assert answer.status == 403 and "trent" not in answer.text
    site.jar = admin
    what_was_lost_is_dated(site)
    # Of a site that nobody agreed for nothing is known.
    site.settings("withdraw", sure="1")
    page = site.get(link).text
    assert "no code is known" in text(page) and "trent" not in page


def what_was_lost_is_dated(site):
    assert "Nothing was lost" in text(site.get(PAGE).text)
    site.database.query("INSERT INTO wp_options (option_name, option_value, autoload) VALUES ('logystera_lost_user.change|disk', '3', 'no'),"
                        "('logystera_lost_since', '1700000000000', 'no')", site.name)
    shown = text(site.get(PAGE).text)
    assert "November 14, 2023 10:13 pm Accounts 3 The disk took nothing." in shown, shown
    assert state(site.get(PAGE).text) == ("fails", "It does not work.")
    # Once it was told it is still shown, with its date, and the page is well again.
    site.command()
    page = site.get(PAGE).text
    assert "November 14, 2023 10:13 pm Accounts 3 The disk took nothing." in text(page) and state(page) == ("works", "It works."), state(page)
