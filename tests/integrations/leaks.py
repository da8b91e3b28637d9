"""What people say and what must stay secret is planted in every flow, and looked for in the spool, on the wire, in logs and in the store."""
import base64, gzip, re, urllib.parse
from door import Door
from table import PROBE_CODE, rpc
from wordpress import PASSWORD
from world import TYPES

PLANT = """
$GLOBALS['wpdb']->suppress_errors();
$u = wp_insert_user(['user_login' => 'leakuser', 'user_pass' => 'leak-pass-1', 'user_email' => 'leak-mail@example.test', 'display_name' => 'Leak Name']);
wp_mail('leak-rcpt@example.test', 'leak-subject', 'leak-body');
add_filter('wp_mail_from', function () { return 'w@example.test'; });
wp_mail('leak-rcpt2@example.test', 'leak-subject2', 'leak-body2', ['Cc: leak-cc@example.test']);
update_option('admin_email', 'leak-admin@example.test'); update_option('probe_secret', 'leak-option-value');
update_option('probe_array', ['token' => 'leak-option-nested']); delete_option('probe_secret');
add_option('probe_leak-mail@example.test', '1'); add_option('probe_leak-mail%%40example.test', '1');
$GLOBALS['wpdb']->query("SELECT leak_column FROM nowhere WHERE x = 'leak-sql-value' AND y = 'leak-mail@example.test'");
$GLOBALS['wpdb']->query("UPDATE nowhere SET p = \\"leak-sql-double\\" -- leak-sql-comment");
$p = wp_insert_post(['post_title' => 'leak title', 'post_content' => 'leak-post-content', 'post_status' => 'publish', 'comment_status' => 'open']);
wp_schedule_single_event(time() - 5, 'probe_job', ['leak-cron-argument']);
trigger_error('failed for leak-mail@example.test with "leak-quoted" and \\'leak-single\\'', E_USER_WARNING);
$a = []; echo $a['leak-array-key'];
$k = get_password_reset_key(get_userdata(1)); file_put_contents('%s', json_encode([$p, $k,
    WP_Application_Passwords::create_new_application_password(1, ['name' => 'leak-app-name'])[0]]));
wp_update_user(['ID' => $u, 'user_email' => 'leak-mail@example.test', 'user_pass' => 'leak-pass-1']);
wp_update_user(['ID' => $u, 'user_email' => 'leak-mail@example.test', 'user_pass' => 'leak-pass-2']);
update_user_meta($u, '_two_factor_enabled_providers', ['leak-factor']); delete_user_meta($u, '_two_factor_enabled_providers');
update_option('default_role', 'administrator'); update_option('default_role', 'subscriber');
do_action('woocommerce_order_status_changed', 5, 'pending', 'failed', new class { public $leak = 'leak-order'; function get_payment_method() { return 'stripe'; } });
throw new Exception('leak-exception "leak-exception-quoted" in it');
"""
# An exception's own words are its shape; what it quotes is not.
SHAPES = ["leak-exception"]


def plant(site):
    import json
    note = site.scratch / "tmp" / "leaks.json"
    try:
        site.eval(PLANT % note)
        raise RuntimeError("the exception was not thrown")
    except AssertionError:
        post, key, app_password = json.loads(note.read_text())
    site.post("/wp-login.php", {"log": "admin", "pwd": "leak-typed-password"}, cookies=False)
    site.post("/wp-login.php", {"log": "leak-typed-user", "pwd": "leak-typed-password"}, cookies=False)
    site.post("/wp-login.php", {"log": "leak-mail@example.test", "pwd": "leak-pass-1"}, cookies=False)
    site.post("/xmlrpc.php", rpc("wp.getUsersBlogs", "admin", "leak-xmlrpc-password"), headers={"Content-Type": "text/xml"}, cookies=False)
    for password in [app_password, "leak-app-password"]:
        site.get("/?rest_route=/wp/v2/users/me", cookies=False, headers={
            "Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()})
    site.post("/wp-login.php?action=lostpassword", {"user_login": "leak-mail@example.test"}, cookies=False)
    for path in [f"/wp-login.php?action=rp&key={key}&login=admin", f"/reset/{key}/admin", f"/x/{key}", "/?s=leak-search&email=leak-mail@example.test",
                 "/search/leak-search/", "/author/leakuser/", "/u/leak-mail@example.test/", "/u/leak-mail%40example.test",
                 "/u/leak-mail%2540example.test", "/author//leakuser", "/p/Leak%20Name", "/author%2Fleakuser", "/call/555-123-4567"]:
        site.get(path, cookies=False, headers={"User-Agent": "bot/1 (+leak-agent@example.test)", "Referer": "http://x/?leak-referer"})
    site.post("/wp-comments-post.php", {"comment": "leak-comment-text", "author": "leak-author", "email": "leak-commenter@example.test",
                                        "comment_post_ID": post, "comment_parent": 0}, cookies=False)
    site.get("/?probe=warning&x=leak-query", cookies=False)
    for path in ["/?id=leak-attack%27%20or%201=1", "/?f=..%2f..%2fleak-path", "/?wc-ajax=leak-shop-action", "/wp-admin/admin-ajax.php?action=leak-ajax-action",
                 "/wp-login.php?action=leak-login-action", "/?u=http://leak.example/leak.php"]:
        site.get(path, cookies=False)
    site.post("/", {"leak-field": "<script>leak-script</script>", "x": ["leak-posted", "php://filter/leak"]}, cookies=False)
    site.post("/?rest_route=/leak", '{"leak": "<script>leak-json"}', headers={"Content-Type": "application/json"}, cookies=False)
    site.get("/?probe=database", cookies=False)
    site.get("/?probe=fatal", cookies=False)
    site.cron()
    nonce = site.form("/wp-admin/options-general.php?page=logystera", "logystera_save")["_wpnonce"]
    return [key, app_password, app_password.replace(" ", ""), nonce, PASSWORD, *[v for n, v in site.jar.items() if n.startswith("wordpress_") and
            n != "wordpress_test_cookie"]]


def places(world, site, door):
    """Bytes by name of where they are; compressed ones unpacked."""
    found = {}
    for file in site.spool().iterdir():
        data = file.read_bytes()
        found[f"spool/{file.name}"] = data
        if b"\x1f\x8b" in data:
            found[f"spool/{file.name}, unpacked"] = gzip.decompress(data[data.index(b"\x1f\x8b"):])
    for i, (headers, body) in enumerate(door.requests):
        found[f"wire/{i}"] = repr(headers).encode() + (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    for file in world.gateway.folder.glob("logystera.sqlite*"):
        found[f"store/{file.name}"] = file.read_bytes()
    found["the gateway's log"] = world.gateway.folder.with_suffix(".log").read_bytes()
    found["the site's log"] = b"\n".join(line for line in site.log.read_bytes().split(b"\n") if b"plugins/logystera" in line)
    return found


def test_nothing_that_was_planted_leaks(world):
    site = world.bare_site("secrets", "define('DISABLE_WP_CRON', true);")
    folder = site.folder / "wp-content/plugins/probe"
    folder.mkdir()
    (folder / "probe.php").write_text(PROBE_CODE)
    site.eval("require_once ABSPATH . 'wp-admin/includes/plugin.php'; activate_plugin('probe/probe.php');")
    world.agree(site)
    door = Door(world.gateway)
    site.save(door.dsn(site.dsn), TYPES)
    secrets = plant(site)
    site.command()
    site.post("/wp-login.php", {"log": "admin", "pwd": "leak-typed-password"}, cookies=False)  # and some that wait in the spool
    kinds = {s["type"] for s in world.gateway.signals(site)}
    assert kinds >= {"auth.attempt", "config.change", "cron.run", "db.event", "http.request", "mail.outcome", "php.error", "user.change"}, kinds
    # The fields that are made of what must not be told were made.
    signals = world.gateway.signals(site)
    made = {f"{s['type']}.{k}" for s in signals for k in s} | {f for s in signals for f in s.get("flags", [])} | {s.get("action") for s in signals}
    assert made >= {"http.request.network", "http.request.action", "auth.attempt.network", "php.error.source", "db.event.source", "shop.order.gateway",
                    "sqli", "xss", "traversal", "rfi", "php_wrapper", "powerful_default_role", "password_changed", "second_factor_off"}, made
    assert any(s.get("outcome") == "reset_requested" for s in signals)
    secret = re.search(r":([0-9a-f]{64})@", site.dsn).group(1)
    key = site.option("logystera_key")
    sought = [s.encode() for s in [*secrets, secret, key, "@example.test", "planted-AUTH_KEY", "127.0.0.1:%d/?" % site.port]]
    sought += [b"127.0.0.0/24", b"555-123-4567", b"leak-mail%40", b"leak-mail%2540"]
    sought += [bytes.fromhex(secret), bytes.fromhex(key), b"leak", b"Leak"]
    sought += [urllib.parse.quote(s).encode() for s in secrets] + [urllib.parse.unquote(s).encode() for s in secrets]
    leaked = []
    for place, data in places(world, site, door).items():
        # What hashes stand for stays on the site: names that were typed, and the shapes of messages. Nothing else, not even there.
        if "lookup" in place or "meanings" in place:
            for allowed in ["127.0.0.0/24", "leak-typed-user", "leakuser", "leak-mail@example.test", "leak_column", *SHAPES]:
                data = re.sub(rb"(?m)^([0-9a-f]{32}\t\d+\t\w+\t.*)" + re.escape(allowed.encode()), rb"\1", data)
        leaked += [f"{place}: {s!r} in {data[max(0, data.index(s) - 60):][:160]!r}" for s in sought if s and s in data]
    assert not leaked, "\n".join(leaked)
    return f"{len(set(sought))} secrets, {len(places(world, site, door))} places"
