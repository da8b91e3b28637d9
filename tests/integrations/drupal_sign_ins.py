"""Sign-ins on a real Drupal, action by action: exactly which signals each makes."""
import base64, json, re
from table import Table
from wordpress import ADMIN, PASSWORD

JSON = {"Content-Type": "application/json"}


class DrupalTable(Table):
    def http(self, method, path, status, group, agent="tests", action=None, **more):
        """`action`: the route that answers; the probe's where nothing else is said, and the sign-in's."""
        action = action or {"/probe": "probe:fault", "/user/login": "user:login"}.get(path if path == "/user/login" else path[:6])
        return super().http(method, path, status, group, agent, **({"action": action} if action else {}), **more)

    def each(self, actions, *expected):
        for name, act in actions:
            self.row(name, act, *expected)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def link(site, seconds_ago=0):
    """A one-time link of the administrator's, as Drupal's mail has it."""
    text = site.eval(f"$u = Drupal\\user\\Entity\\User::load(1); $t = time() - {seconds_ago};"
                     "echo \"/user/reset/1/$t/\" . user_pass_rehash($u, $t) . '/login';")
    return re.search(r"/user/reset/\S+", text).group(0)


def test_table_of_sign_ins(world):
    site = world.site("signins")
    site.eval("Drupal\\user\\Entity\\User::create(['name' => 'gone', 'mail' => 'g@example.test', 'pass' => 'x', 'status' => 0])->save();")
    t = DrupalTable(world, site)
    # The form itself comes out of the page cache, which our module never sees.
    form = lambda user, password: lambda: site.sign_in(user, password)
    rest = lambda **fields: lambda: site.post("/user/login?_format=json", json.dumps(fields), headers=JSON, cookies=False)
    get = lambda path, **headers: lambda: site.get(path, headers=headers, cookies=False)
    site.get("/user/login", cookies=False)
    t.settle()
    page = t.http("POST", "/user/login", 200, "login")
    json_login = lambda status: t.http("POST", "/user/login", status, "login", action="user:login:http")

    t.row("a page out of the cache", get("/user/login"))
    t.row("a page", get("/probe/none?planted=query"), t.http("GET", "/probe/none", 200, "page"))
    t.row("a page that is not there", get("/nowhere"), t.http("GET", "/nowhere", 404, "page"))
    t.row("a wrong password", form(ADMIN, "wrong"), t.auth("failure", "form", "bad_password", privileged=True), page)
    t.row("an unknown user", form("nobody1", "wrong"), t.auth("failure", "form", "unknown_user", "nobody1"), page)
    t.row("another spelling", form("ADMIN", "wrong"), t.auth("failure", "form", "bad_password", privileged=True), page)
    t.row("a blocked account", form("gone", "x"), t.auth("failure", "form", "blocked", "gone", privileged=False), page)
    t.row("no password", form(ADMIN, ""), page)
    t.row("the right password", form(ADMIN, PASSWORD), t.auth("success", "form", privileged=True), {**page, "status": 303})
    t.row("REST, wrong", rest(name=ADMIN, **{"pass": "wrong"}), t.auth("failure", "rest", "bad_password", privileged=True), json_login(400))
    t.row("REST, unknown", rest(name="nobody1", **{"pass": "wrong"}), t.auth("failure", "rest", "unknown_user", "nobody1"), json_login(400))
    t.row("REST, a blocked account", rest(name="gone", **{"pass": "x"}), t.auth("failure", "rest", "blocked", "gone", privileged=False), json_login(400))
    t.row("REST without a password", rest(name=ADMIN), json_login(400))
    t.row("REST, right", rest(name=ADMIN, **{"pass": PASSWORD}), t.auth("success", "rest", privileged=True), json_login(200))
    probe = lambda status: t.http("GET", "/probe/none", status, "page")
    t.row("HTTP Basic, wrong", get("/probe/none", **basic(ADMIN, "wrong")), t.auth("failure", "rest", "bad_password", privileged=True), probe(403))
    t.row("HTTP Basic, unknown", get("/probe/none", **basic("nobody1", "wrong")), t.auth("failure", "rest", "unknown_user", "nobody1"), probe(403))
    t.row("HTTP Basic, right", get("/probe/none", **basic(ADMIN, PASSWORD)), t.auth("success", "rest", privileged=True), probe(403))
    old, good = link(site, 999999), link(site)
    reset = lambda status: t.http("GET", "/user/*/*/*/*/*", status, "login", action="user:reset:login")
    t.row("a one-time link", get(good), t.auth("success", "one_time_link", privileged=True), reset(302))
    t.row("the same again", get(good), t.auth("failure", "one_time_link", "expired", privileged=True), reset(302))
    t.row("an old one", get(old), t.auth("failure", "one_time_link", "expired", privileged=True), reset(302))
    t.row("a module signs somebody in, from a command", lambda: site.eval(
        "$r = $kernel->getContainer()->get('request_stack'); $request->setSession(new Symfony\\Component\\HttpFoundation\\Session\\Session("
        "new Symfony\\Component\\HttpFoundation\\Session\\Storage\\MockArraySessionStorage())); $r->push($request);"
        "user_login_finalize(Drupal\\user\\Entity\\User::load(1));"),
        {k: v for k, v in {**t.auth("success", "cli", privileged=True), "source": t.hash("address", "command line")}.items() if k != "network"})
    forgot = lambda name: lambda: site.post("/user/password", {**site.form("/user/password", "user_pass", cookies=False), "name": name,
                                                               "op": "Submit"}, cookies=False)
    password = lambda status: t.http("POST", "/user/password", status, "login", action="user:pass")
    site.get("/user/password", cookies=False), t.settle()
    asked = {"type": "mail.outcome", "outcome": "sent", "transport": "mail", "recipients": 1}
    t.row("a link for a new password", forgot(ADMIN), t.auth("reset_requested", "form", privileged=True), asked, password(303))
    t.row("by the mail address", forgot("admin@example.test"), t.auth("reset_requested", "form", privileged=True, length=18), asked, password(303))
    t.row("for nobody", forgot("nobody1"), t.auth("reset_requested", "form", "unknown_user", "nobody1"), password(303))
    t.row("what nobody may see", get("/admin/config"), t.http("GET", "/admin/config", 403, "admin", action="system:admin_config"))
    for flag, query in [("sqli", "id=1%20UNION%20SELECT%20pass%20FROM%20users"), ("xss", "q=%3Cscript%3Ealert(1)%3C/script%3E"),
                        ("traversal", "f=../../../../etc/passwd"), ("rfi", "f=http://evil.example/x.txt?"), ("php_wrapper", "f=php://input")]:
        t.row(f"an attack: {flag}", get(f"/probe/none?{query}"), t.http("GET", "/probe/none", 200, "page", flags=[flag]))
    t.row("a bot that a module knows", get("/probe/bot"), t.http("GET", "/probe/bot", 200, "page", bot="verified"))
    t.row("a scanner", get("/users/admin/?x=1", **{"User-Agent": "bot/1 (a@example.test)"}), t.http("GET", "/users/*/", 404, "page", "bot/1 *"))
    return t.done()


def test_lockouts(world):
    site = world.site("lockouts")
    site.eval("Drupal::configFactory()->getEditable('user.flood')->set('user_limit', 2)->set('ip_limit', 6)->save();")
    t = DrupalTable(world, site)
    site.get("/user/login", cookies=False)
    t.settle()
    form = lambda user: lambda: site.sign_in(user, "wrong")
    status = lambda n, action=None: t.http("POST", "/user/login", n, "login", action=action)
    bad, lock = t.auth("failure", "form", "bad_password", privileged=True), t.auth("lockout", "form", "blocked", privileged=True)
    t.each([("form, 1", form(ADMIN)), ("form, 2", form(ADMIN))], bad, status(200))
    t.row("form, the account is locked", form(ADMIN), lock, status(403))
    rest = lambda: site.post("/user/login?_format=json", json.dumps({"name": ADMIN, "pass": "wrong"}), headers=JSON, cookies=False)
    json_status = lambda n: status(n, "user:login:http")
    t.each([("REST, 1", rest), ("REST, 2", rest)], {**bad, "method": "rest"}, json_status(400))
    t.row("REST, the account is locked", rest, {**lock, "method": "rest"}, json_status(403))
    ask = lambda: site.get("/probe/none", headers=basic(ADMIN, "wrong"), cookies=False)
    page = t.http("GET", "/probe/none", 403, "page")
    t.each([("HTTP Basic, 1", ask), ("HTTP Basic, 2", ask)], {**bad, "method": "rest"}, page)
    t.row("HTTP Basic, the account is locked", ask, {**lock, "method": "rest"}, page)
    t.row("form, the address", form("other1"), t.auth("failure", "form", "unknown_user", "other1"), status(200))
    t.row("form, the address is locked", form("other2"), t.auth("lockout", "form", "blocked", "other2"), status(403))
    return t.done()
