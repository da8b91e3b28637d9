"""Action by action: exactly which signals it makes, with which fields. A row is a name, what is done, and what is expected."""
import base64, hashlib, hmac, json, re, time
from wordpress import ADMIN, PASSWORD

# Fields whose values are measured.
MEASURED = {"duration_ms", "late_s"}
NOT_SENT_BY_SITES = {"site", "batch", "received_at", "at"}
PROBE = "/wp-content/plugins/probe/probe.php"
PROBE_CODE = """<?php
/* Plugin Name: Probe
   Version: 1.0 */
add_action('init', function () {
    $probe = $_GET['probe'] ?? '';
    if ($probe === 'warning') { echo $undefined_planted; }
    if ($probe === 'twice') { for ($i = 0; $i < 2; $i++) { echo $undefined_planted; } }
    if ($probe === 'silenced') { echo @file_get_contents('/nowhere/planted'); }
    if ($probe === 'fatal') { probe_has_no_such_function('planted-argument'); }
    if ($probe === 'memory') { ini_set('memory_limit', '32M'); $a = []; while (true) { $a[] = str_repeat('x', 100000); } }
    if ($probe === 'database') { $GLOBALS['wpdb']->suppress_errors(); $GLOBALS['wpdb']->query("SELECT * FROM nowhere WHERE x = 'planted'"); }
    if ($probe === 'bot') { add_filter('logystera_bot', function () { return 'unverified'; }); }
    if ($probe === 'timeout') { set_time_limit(1); while (true) { } }
});
add_action('probe_job', function () { });
add_action('wc_ajax_probe', function () { });
add_action('wp_ajax_nopriv_probe_asks', function () { exit; });
add_action('probe_job_fails', function () { probe_has_no_such_function(); });
"""
LINE = {name: number for number, line in enumerate(PROBE_CODE.splitlines(), 1) for name in re.findall(r"probe === '(\w+)'", line)}
LINE["job"] = next(n for n, line in enumerate(PROBE_CODE.splitlines(), 1) if "probe_job_fails" in line)


class Table:
    """Does an action, has the site send, and compares what is new at the gateway with what is expected."""

    def __init__(self, world, site):
        self.world, self.site, self.rows, self.wrong = world, site, 0, []
        self.key = bytes.fromhex(site.option("logystera_key"))
        # The theme keeps its first settings when a page is first shown.
        site.get("/", cookies=False)
        self.settle()

    def settle(self):
        self.site.command()
        self.seen = len(self.world.gateway.signals(self.site))

    def hash(self, kind, value):
        return hmac.new(self.key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]

    def row(self, name, act, *expected, only=None, without=None):
        """`only`: jobs of this name, where WordPress's own may run beside it; `without`: a type that the row is not about."""
        act()
        self.site.command()
        new = self.world.gateway.signals(self.site)[self.seen:]
        self.seen += len(new)
        found = [{k: v for k, v in s.items() if k not in NOT_SENT_BY_SITES | MEASURED} for s in new]
        found = [s for s in found if s["type"] != without]
        # A slice of looking at files comes by it sooner or later; files.py has that.
        found = [s for s in found if s.get("path") != "/wp-config.php"]
        if only:
            found = [s for s in found if s["type"] != "cron.run" or s["job"].startswith(only)]
        order = lambda s: json.dumps(s, sort_keys=True)
        if sorted(found, key=order) != sorted(expected, key=order):
            extra = [s for s in found if s not in expected]
            missing = [s for s in expected if s not in found]
            self.wrong.append(f"{name}: {len(found)} signals instead of {len(expected)}\n    not expected: {extra}\n    missing: {missing}")
        self.rows += 1

    def done(self):
        assert not self.wrong, "\n".join(self.wrong)
        return f"{self.rows} actions"

    # --- Expected signals ---------------------------------------------------------------------------------------------------

    def http(self, method, path, status, group, agent="tests", **more):
        return {"type": "http.request", "method": method, "path": path, "status": status, "route_group": group, "user_agent": agent,
                "source": self.hash("address", "127.0.0.1"), "network": self.hash("network", "127.0.0.0/24"), **more}

    def auth(self, outcome, method, reason=None, user=ADMIN, length=None, privileged=None):
        signal = {"type": "auth.attempt", "outcome": outcome, "method": method, "source": self.hash("address", "127.0.0.1"),
                  "user_hash": self.hash("user", user), "user_length": length or len(user), "network": self.hash("network", "127.0.0.0/24")}
        signal.update({"reason": reason} if reason else {}, **({"privileged": privileged} if privileged is not None else {}))
        return signal

    def option(self, name, action, before=None, after=None, actor=None, **more):
        signal = {"type": "config.change", "key": name, "action": action, **more}
        for field, value in [("before_hash", before), ("after_hash", after)]:
            signal.update({field: self.hash("value", value)} if value is not None else {})
        signal.update({"actor_hash": self.hash("user", actor)} if actor else {})
        return signal

    def user(self, action, role, login):
        return {"type": "user.change", "action": action, "role": role, "user_hash": self.hash("user", login), "user_length": len(login)}

    def error(self, level, line, message, component="probe", file=PROBE, asked=True):
        signal = {"type": "php.error", "level": level, "component": component, "file_hash": self.hash("file", file), "line": line,
                  "message_hash": self.hash("message", message)}
        return {**signal, **({"source": self.hash("address", "127.0.0.1")} if asked else {})}

    def component(self, kind, slug, action, before=None, after=None, actor=None):
        signal = {"type": "component.lifecycle", "kind": kind, "slug": slug, "action": action}
        signal.update({"from_version": before} if before else {}, **({"to_version": after} if after else {}))
        signal.update({"direction": "up"} if action == "updated" else {})
        signal.update({"actor_hash": self.hash("user", actor)} if actor else {})
        return signal


def rpc(method, *values):
    params = "".join(f"<param><value>{v}</value></param>" for v in values)
    return f'<?xml version="1.0"?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>'


def struct(**members):
    inner = "".join(f"<member><name>{k}</name><value>{v}</value></member>" for k, v in members.items())
    return f"<struct>{inner}</struct>"


def array(*values):
    return "<array><data>" + "".join(f"<value>{v}</value>" for v in values) + "</data></array>"


def test_table_of_sign_ins(world):
    site = world.site("signins", "define('DISABLE_WP_CRON', true);")
    app_password = site.eval("echo WP_Application_Passwords::create_new_application_password(1, ['name' => 't'])[0];")
    t = Table(world, site)
    xml = {"Content-Type": "text/xml"}
    form = lambda user, password: lambda: site.post("/wp-login.php", {"log": user, "pwd": password}, cookies=False, headers={
        "Cookie": "wordpress_test_cookie=WP+Cookie+check"})
    call = lambda body: lambda: site.post("/xmlrpc.php", body, headers=xml, cookies=False)
    rest = lambda user, password: lambda: site.get("/?rest_route=/wp/v2/users/me", cookies=False, headers={
        "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()})
    login, xmlrpc = t.http("POST", "/wp-login.php", 200, "login"), t.http("POST", "/xmlrpc.php", 200, "xmlrpc")

    t.row("a page", lambda: site.get("/?planted=query", cookies=False), t.http("GET", "/", 200, "page"))
    t.row("an attack by its query", lambda: site.get("/?id=1%27%20or%201=1&planted=..%2f..%2fetc%2fpasswd", cookies=False),
          t.http("GET", "/", 200, "page", flags=["sqli", "traversal"]))
    t.row("an attack by its body", lambda: site.post("/", {"planted": "<script>planted</script>"}, cookies=False),
          t.http("POST", "/", 200, "page", flags=["xss"]))
    t.row("one in JSON", lambda: site.post("/?rest_route=/planted", '{"planted": "\\u003cscript>"}', cookies=False,
          headers={"Content-Type": "application/json"}), t.http("POST", "/", 404, "rest", flags=["xss"]))
    forgotten = lambda status: t.http("POST", "/wp-login.php", status, "login", action="lostpassword")
    t.row("a link for a new password, for nobody", lambda: site.post("/wp-login.php?action=lostpassword", {"user_login": "nobody1"}, cookies=False),
          t.auth("reset_requested", "form", "unknown_user", "nobody1"), forgotten(200))
    t.row("a wrong password", form(ADMIN, "wrong"), t.auth("failure", "form", "bad_password", privileged=True), login)
    t.row("an unknown user", form("nobody1", "wrong"), t.auth("failure", "form", "unknown_user", "nobody1"), login)
    t.row("another spelling", form(" Admin", "wrong"), t.auth("failure", "form", "bad_password", length=5, privileged=True), login)
    t.row("a mail address", form("admin@example.test", "wrong"), t.auth("failure", "form", "bad_password", length=18, privileged=True), login)
    t.row("no password", form(ADMIN, ""), login)
    t.row("the right password", form(ADMIN, PASSWORD), t.auth("success", "form", privileged=True), {**login, "status": 302})
    t.row("XML-RPC, wrong", call(rpc("wp.getUsersBlogs", ADMIN, "wrong")), t.auth("failure", "xmlrpc", "bad_password", privileged=True), xmlrpc)
    t.row("XML-RPC, right", call(rpc("wp.getUsersBlogs", ADMIN, PASSWORD)), t.auth("success", "xmlrpc", privileged=True), xmlrpc)
    three = array(*[struct(methodName="wp.getUsersBlogs", params=array(ADMIN, f"wrong{i}")) for i in range(3)])
    t.row("XML-RPC, three in one: WordPress looks at the first", call(rpc("system.multicall", three)),
          t.auth("failure", "xmlrpc", "bad_password", privileged=True), xmlrpc)
    t.row("XML-RPC, an application password", call(rpc("wp.getUsersBlogs", ADMIN, app_password)),
          t.auth("success", "app_password", privileged=True), xmlrpc)
    t.row("XML-RPC without a user", call(rpc("demo.sayHello")), xmlrpc)
    t.row("REST, a wrong application password", rest(ADMIN, "wrong"), t.auth("failure", "app_password", "bad_password", privileged=True),
          t.http("GET", "/", 401, "rest"))
    t.row("REST, an unknown user", rest("nobody1", "wrong"), t.auth("failure", "app_password", "unknown_user", "nobody1"),
          t.http("GET", "/", 401, "rest"))
    t.row("REST, the right one", rest(ADMIN, app_password), t.auth("success", "app_password", privileged=True), t.http("GET", "/", 200, "rest"))
    t.row("a forged cookie at the admin area", lambda: site.get("/wp-admin/", cookies=False, headers={
        "Cookie": f"wordpress_{hashlib.md5(site.url.encode()).hexdigest()}=admin%7C{int(time.time()) + 9999}%7Cplanted%7Cplanted"}),
        t.auth("failure", "cookie", "other", privileged=True), t.http("GET", "/wp-admin/", 302, "admin"))
    t.row("a scanner", lambda: site.get("/author/admin/?x=1", cookies=False, headers={"User-Agent": "bot/1 (a@example.test)"}),
          t.http("GET", "/author/*/", 200, "page", "bot/1 *"))
    return t.done()


def test_table_of_mail_settings_accounts_and_the_database(world):
    site = world.site("changes", "define('DISABLE_WP_CRON', true);")
    t = Table(world, site)
    mail = lambda outcome, **more: {"type": "mail.outcome", "outcome": outcome, **more}
    send = lambda to, *options, before="": lambda: site.eval(
        f"add_filter('wp_mail_from', function () {{ return 'w@example.test'; }}); {before} wp_mail({to}, 'planted', 'planted');", *options)
    smtp = "add_action('phpmailer_init', function ($m) { $m->isSMTP(); $m->Host = '127.0.0.1'; $m->Port = 9; });"
    instead = "add_filter('pre_wp_mail', function () { return true; });"

    t.row("a mail", send("'a@example.test'"), mail("sent", transport="mail", recipients=1))
    t.row("a mail to two", send("['a@example.test', 'b@example.test']"), mail("sent", transport="mail", recipients=2))
    t.row("a mail that the system refuses", send("'a@example.test'", "-d", "sendmail_path=/bin/false"),
          mail("failed", transport="mail", error_class="other", recipients=1))
    t.row("a mail server that is away", send("'a@example.test'", before=smtp), mail("failed", transport="smtp", error_class="connect", recipients=1))
    t.row("a mail that somebody else takes", send("'a@example.test'", before=instead), mail("skipped", transport="other", recipients=1))

    t.row("an option is changed", lambda: site.eval("update_option('blogname', 'planted-new');"), t.option("blogname", "updated", "T", "planted-new"))
    t.row("to the same", lambda: site.eval("update_option('blogname', 'planted-new');"))
    t.row("an option is added", lambda: site.eval("add_option('probe_x', 'planted-1');"), t.option("probe_x", "added", after="planted-1"))
    t.row("an option is deleted", lambda: site.eval("delete_option('probe_x');"), t.option("probe_x", "deleted", before="planted-1"))
    t.row("a token in its name", lambda: site.eval("add_option('s_9f86d081884c7d659a2feaa0c55ad015', 'planted-1');"),
          t.option("s_token", "added", after="planted-1"))
    t.row("registration is opened, and closed", lambda: site.eval("update_option('users_can_register', 1); update_option('users_can_register', 0);"),
          t.option("users_can_register", "updated", "0", "1", flags=["registration_opened"]), t.option("users_can_register", "updated", "1", "0"))
    t.row("newcomers may run the site", lambda: site.eval("update_option('default_role', 'administrator'); update_option('default_role', 'subscriber');"),
          t.option("default_role", "updated", "subscriber", "administrator", flags=["powerful_default_role"]),
          t.option("default_role", "updated", "administrator", "subscriber"))
    order = lambda *statuses: "".join(f"do_action('woocommerce_order_status_changed', 5, '{a}', '{b}', $order);" for a, b in statuses)
    paid_by = lambda gateway: f"$order = new class {{ function get_payment_method() {{ return '{gateway}'; }} }};"
    shop = lambda outcome, gateway: {"type": "shop.order", "outcome": outcome, "gateway": gateway}
    t.row("an order is paid, packed and taken back", lambda: site.eval(
        paid_by("stripe") + order(("pending", "processing"), ("processing", "completed"), ("completed", "refunded"))),
        shop("paid", "stripe"), shop("refunded", "stripe"))
    t.row("orders that fail or are cancelled", lambda: site.eval(paid_by("") + order(("pending", "failed"), ("pending", "cancelled"), ("pending", "on-hold"))),
          shop("failed", "none"), shop("cancelled", "none"))
    t.row("transients", lambda: site.eval("set_transient('probe', 'planted', 60); get_transient('probe'); delete_transient('probe');"))
    t.row("the list of jobs", lambda: site.eval("wp_schedule_single_event(time() + 9999, 'probe_job');"))
    t.row("a new security key", lambda: (site.configure("define('AUTH_KEY', 'planted-other'); define('DISABLE_WP_CRON', true);"), site.command()),
          t.option("AUTH_KEY", "updated", "planted-AUTH_KEY", "planted-other"))
    t.row("errors are shown to everybody", lambda: (site.configure("define('AUTH_KEY', 'planted-other'); define('DISABLE_WP_CRON', true);"
          "define('WP_DEBUG', true); define('WP_DEBUG_DISPLAY', true);"), site.command()), t.option("WP_DEBUG", "updated", flags=["debug_on"]), without="php.error")
    t.row("and no more", lambda: (site.configure("define('AUTH_KEY', 'planted-other'); define('DISABLE_WP_CRON', true);"), site.command()),
          t.option("WP_DEBUG", "updated"))
    # Its keys are known all the same: none of the eight went.
    t.row("more bytes of settings than a request hashes", lambda: site.eval(
        "(new Logystera\\WordPress\\Emitter('config.change', Logystera\\WordPress\\Plugin::site()))->value('x', str_repeat('x', 300000));"
        "Logystera\\WordPress\\Plugin::background(10000, true);"))

    t.row("an account", lambda: site.eval("wp_insert_user(['user_login' => 'alice', 'user_pass' => 'planted', 'user_email' => 'al@example.test']);"),
          t.user("created", "subscriber", "alice"))
    alice = "$u = get_user_by('login', 'alice');"
    t.row("a role, by WordPress's function", lambda: site.eval(f"{alice} $u->set_role('editor');"),
          t.user("role_revoked", "subscriber", "alice"), t.user("role_granted", "editor", "alice"))
    t.row("a second role", lambda: site.eval(f"{alice} $u->add_role('author');"), t.user("role_granted", "author", "alice"))
    t.row("a role, by raw meta", lambda: site.eval(f"{alice} update_user_meta($u->ID, 'wp_capabilities', ['administrator' => true]);"),
          t.user("role_revoked", "editor", "alice"), t.user("role_revoked", "author", "alice"), t.user("role_granted", "administrator", "alice"))
    t.row("the meta deleted", lambda: site.eval(f"{alice} delete_user_meta($u->ID, 'wp_capabilities');"), t.user("role_revoked", "administrator", "alice"))
    t.row("the meta added", lambda: site.eval(f"{alice} add_user_meta($u->ID, 'wp_capabilities', ['author' => true]);"), t.user("role_granted", "author", "alice"))
    t.row("a single capability", lambda: site.eval(f"{alice} $u->add_cap('planted_cap');"))
    t.row("another mail address and password", lambda: site.eval(
        f"{alice} add_filter('pre_wp_mail', '__return_true'); remove_all_filters('pre_wp_mail'); "
        "add_filter('send_password_change_email', '__return_false'); add_filter('send_email_change_email', '__return_false');"
        "wp_update_user(['ID' => $u->ID, 'user_email' => 'al2@example.test', 'user_pass' => 'planted2']);"),
        t.user("password_changed", "author", "alice"), t.user("email_changed", "author", "alice"))
    t.row("a name, and the same password", lambda: site.eval(f"{alice} wp_update_user(['ID' => $u->ID, 'display_name' => 'planted']);"))
    t.row("a password by a link", lambda: site.eval(f"{alice} add_filter('wp_mail_from', function () {{ return 'w@example.test'; }});"
          "add_filter('send_password_change_email', '__return_false'); remove_action('after_password_reset', 'wp_password_change_notification');"
          "reset_password($u, 'planted3');"), t.user("password_changed", "author", "alice"))
    t.row("an application password", lambda: site.eval("WP_Application_Passwords::create_new_application_password(1, ['name' => 'planted']);"),
          t.user("app_password_created", "administrator", ADMIN), t.option("using_application_passwords", "added", after="1"))
    t.row("a second factor, on and off", lambda: site.eval("update_user_meta(1, '_two_factor_enabled_providers', ['Planted']);"
          "delete_user_meta(1, '_two_factor_enabled_providers'); delete_user_meta(1, '_two_factor_enabled_providers');"),
          t.user("second_factor_off", "administrator", ADMIN))
    t.row("an account is deleted", lambda: site.eval(f"require ABSPATH . 'wp-admin/includes/user.php'; {alice} wp_delete_user($u->ID);"),
          t.user("deleted", "author", "alice"))

    quiet = "$GLOBALS['wpdb']->suppress_errors();"
    t.row("an error of the database", lambda: site.eval(f"{quiet} $GLOBALS['wpdb']->query(\"SELECT * FROM nowhere WHERE x = 'planted'\");"),
          {"type": "db.event", "kind": "error", "code": "1146", "query_hash": t.hash("query", "SELECT * FROM nowhere WHERE x = ?")})
    t.row("a broken query, cut in a value", lambda: site.eval(f"{quiet} $GLOBALS['wpdb']->query(\"SELECT 'planted\");"),
          {"type": "db.event", "kind": "error", "code": "1064", "query_hash": t.hash("query", "SELECT ?")})
    t.row("a good query", lambda: site.eval("$GLOBALS['wpdb']->query('SELECT 1');"))
    return t.done()


def probe(site):
    """A plugin that fails in every way, on request."""
    folder = site.folder / "wp-content/plugins/probe"
    folder.mkdir()
    (folder / "probe.php").write_text(PROBE_CODE)
    site.own(folder)


def test_table_of_errors_and_jobs(world):
    site = world.site("errors", "define('DISABLE_WP_CRON', true); define('WP_DISABLE_FATAL_ERROR_HANDLER', false);")
    probe(site)
    site.eval("require_once ABSPATH . 'wp-admin/includes/plugin.php'; activate_plugin('probe/probe.php');")
    site.cron()
    t = Table(world, site)
    ask = lambda name: lambda: site.get(f"/?probe={name}", cookies=False)
    page = lambda status: t.http("GET", "/", status, "page")

    undefined = "Undefined variable $undefined_planted"
    t.row("a warning", ask("warning"), t.error("warning", LINE["warning"], undefined), page(200))
    t.row("the same twice", ask("twice"), t.error("warning", LINE["twice"], undefined), page(200))
    t.row("a silenced error", ask("silenced"), page(200))
    t.row("an error of the database", ask("database"), page(200), {"type": "db.event", "kind": "error", "code": "1146",
          "query_hash": t.hash("query", "SELECT * FROM nowhere WHERE x = ?"), "source": t.hash("address", "127.0.0.1")})
    t.row("a plugin knows a bot", ask("bot"), {**page(200), "bot": "unverified"})
    t.row("what a shop registered", lambda: site.get("/?wc-ajax=probe", cookies=False), {**page(200), "action": "wc-ajax:probe"})
    t.row("what nobody registered", lambda: site.get("/?wc-ajax=planted&action=planted", cookies=False), page(200))
    t.row("what a plugin answers", lambda: site.get("/wp-admin/admin-ajax.php?action=probe_asks", cookies=False),
          t.http("GET", "/wp-admin/admin-ajax.php", 200, "ajax", action="probe_asks"))
    t.row("what no plugin answers", lambda: site.get("/wp-admin/admin-ajax.php?action=planted", cookies=False),
          t.http("GET", "/wp-admin/admin-ajax.php", 400, "ajax"))
    t.row("a fatal error", ask("fatal"), page(500),
          t.error("fatal", LINE["fatal"], "Uncaught Error: Call to undefined function probe_has_no_such_function() in <path>:0"))
    t.row("no memory left", ask("memory"), page(500),
          t.error("fatal", LINE["memory"], "Allowed memory size of 0 bytes exhausted (tried to allocate 0 bytes)"))
    t.row("no time left", ask("timeout"), page(500), t.error("fatal", LINE["timeout"], "Maximum execution time of 0 second exceeded"))

    job = lambda name: lambda: (site.eval(f"wp_schedule_single_event(time() - 5, '{name}');"), site.cron())
    ran = lambda name, outcome: {"type": "cron.run", "job": name, "outcome": outcome}
    t.row("a job", job("probe_job"), ran("probe_job", "ok"), t.http("GET", "/wp-cron.php", 200, "cron"), only="probe")
    t.row("a job that nobody does", job("probe_nobody"), ran("probe_nobody", "ok"), t.http("GET", "/wp-cron.php", 200, "cron"), only="probe")
    t.row("a job that fails", job("probe_job_fails"), ran("probe_job_fails", "failed"), t.http("GET", "/wp-cron.php", 500, "cron"),
          t.error("fatal", LINE["job"], "Uncaught Error: Call to undefined function probe_has_no_such_function() in <path>:0", asked=False), only="probe")
    t.row("cron without a job", site.cron, t.http("GET", "/wp-cron.php", 200, "cron"), only="probe")
    return t.done()
