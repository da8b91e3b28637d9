"""A network of sites: each has an agreement, a spool and a gateway's key of its own."""
import pathlib, re
from door import Door
from watched import told
from wordpress import WordPress, wait_for
from world import TYPES

MAKE = """define('WP_INSTALLING_NETWORK', true); require ABSPATH_ . 'wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php'; require ABSPATH . 'wp-admin/includes/network.php';
foreach ($wpdb->tables('ms_global') as $table => $name) { $wpdb->$table = $name; } install_network();
$r = populate_network(1, '%s', 'admin@example.test', 'Net', '/', false);
if (is_wp_error($r) && $r->get_error_code() !== 'no_wildcard_dns') { fwrite(STDERR, $r->get_error_message()); exit(1); }"""
ALLOWED = "define('LOGYSTERA_ALLOW_PRIVATE', true);"
AGREE = """update_option('logystera_dsn', '%s'); $d = Logystera\\WordPress\\Settings::dsn(); Logystera\\WordPress\\Settings::agree($d);"""


ROLES = ("editor", "author", "subscriber", "none")


def in_site(site, path, code):
    return site.php_file(f"require ABSPATH_ . 'wp-load.php';\n{code}", prelude=f"$_SERVER['REQUEST_URI'] = '{path}';")


def network(world, name):
    """A network of two sites, "/" and "/two/", on which nobody has agreed; gives it with its host and what its configuration says."""
    site = WordPress(world.scratch, world.database, name)
    world.sites.append(site)
    host = f"127.0.0.1:{site.port}"
    site.configure("define('WP_ALLOW_MULTISITE', true);")
    site.php_file(MAKE % host)
    # The addresses of a network's sites stand in the database, not among the 'WP_HOME' and 'WP_SITEURL' of the configuration.
    config = (f"define('MULTISITE', true); define('SUBDOMAIN_INSTALL', false); define('DOMAIN_CURRENT_SITE', '{host}');"
              "define('PATH_CURRENT_SITE', '/'); define('SITE_ID_CURRENT_SITE', 1); define('BLOG_ID_CURRENT_SITE', 1);"
              "/* 'WP_HOME' 'WP_SITEURL' */ define('DISABLE_WP_CRON', true);")
    site.configure(config)
    in_site(site, "/", f"wp_insert_site(['domain' => '{host}', 'path' => '/two/', 'network_id' => 1, 'title' => 'Two', 'user_id' => 1]); require_once ABSPATH . 'wp-admin/includes/plugin.php';"
                       "$e = activate_plugin('logystera/logystera.php', '', true); if (is_wp_error($e)) { exit(1); }")
    # WordPress takes the colon of a port out of a new site's address.
    site.database.query(f"UPDATE wp_blogs SET domain = '{host}'; "
                        f"UPDATE wp_2_options SET option_value = '{site.url}/two' WHERE option_name IN ('siteurl', 'home')", site.name)
    return site, host, config


def test_each_site_of_a_network_is_one_of_its_own(world):
    site, host, config = network(world, "network")
    doors = [Door(world.gateway), Door(world.gateway)]
    made = [world.gateway.add_site("network one"), world.gateway.add_site("network two")]
    paths = ["/", "/two/"]
    in_site(site, "/", AGREE % doors[0].dsn(made[0]["dsn"]))
    # What only this machine can reach is no gateway, unless the network's owner allows it.
    ran = site.command(f"--url=http://{host}/")
    assert ran.returncode == 1 and doors[0].requests == [], (ran, doors[0].requests)
    site.configure(config + ALLOWED)
    for path in paths:
        in_site(site, path, f"update_option('blogname', 'before {path}');")
    # The second site has not agreed, from wherever it is changed.
    in_site(site, "/", "switch_to_blog(2); update_option('blogdescription', 'changed'); update_user_meta(1, 'wp_2_capabilities', ['author' => true]);")
    site.command(f"--url=http://{host}/")
    refused = site.command(f"--url=http://{host}/two/")
    assert refused.returncode == 3 and doors[1].requests == [], (refused, doors[1].requests, "the second site did not agree")
    in_site(site, "/two/", AGREE % doors[1].dsn(made[1]["dsn"]))
    spool = lambda: re.search(r'"spool":"(\w+)"', (pathlib.Path(in_site(site, "/", "echo Logystera\\WordPress\\SpoolFolder::find();")) /
                                                        "state.php").read_text()).group(1)
    before = spool()
    in_site(site, "/", "switch_to_blog(2); switch_to_blog(2); Logystera\\WordPress\\Plugin::site()->flush(3000, true);")
    assert spool() == before, "left at another site, the first one drew a new spool"
    for path in paths:
        in_site(site, path, f"add_option('probe_{path.strip('/') or 'one'}', '1'); $u = get_user_by('login', 'admin');"
                            "if (get_current_blog_id() === 2) { $u->add_role('editor'); }")
    folders = [in_site(site, p, "echo Logystera\\WordPress\\SpoolFolder::find();") for p in paths]
    assert folders[0] != folders[1], folders
    # Changes under switch_to_blog() are the other site's; settings of the network are the main site's.
    in_site(site, "/two/", "update_site_option('registration', 'all'); set_site_transient('probe', 1);"
                           "switch_to_blog(1); update_option('probe_from_two', 1);")
    in_site(site, "/", "$id = wpmu_create_user('visitor', 'x', 'v@example.test'); add_user_to_blog(1, $id, 'editor'); add_user_to_blog(2, $id, 'author');"
                       "require_once ABSPATH . 'wp-admin/includes/ms.php'; require_once ABSPATH . 'wp-admin/includes/user.php'; wpmu_delete_user($id);")
    for path in paths:
        ran = site.command(f"--url=http://{host}{path}")
        assert ran.returncode == 0, ran.stderr
    found = []
    for one in made:
        site.id = one["site"]
        found.append([s.get("key") or s["role"] for s in world.gateway.signals(site) if s["type"] in ("config.change", "user.change")])
    changes = [[f for f in one if f not in ROLES] for one in found]
    assert changes == [["blogname", "probe_one", "network.registration", "probe_from_two"], ["probe_two"]], changes
    deleted = []
    for one in made:
        site.id = one["site"]
        deleted.append([s["role"] for s in world.gateway.signals(site) if s["type"] == "user.change" and s["action"] == "deleted"])
    assert deleted == [["editor"], ["author"]], deleted
    shown = in_site(site, "/", "require_once ABSPATH . 'wp-admin/includes/admin.php'; wp_set_current_user(1); grant_super_admin(1);"
                               "Logystera\\WordPress\\Admin\\Network::show();")
    rows = re.findall(r"<tr><th scope=.row.>(.*?)</tr>", shown)
    assert len(rows) == 2 and all(f"127.0.0.1:{d.port}" in r and "It works." in r for d, r in zip(doors, rows)), shown
    assert in_site(site, "/", "wp_set_current_user(0); Logystera\\WordPress\\Admin\\Network::show();") == "", "who may not sees nothing"
    in_site(site, "/", "require_once ABSPATH . 'wp-admin/includes/admin.php'; deactivate_plugins('logystera/logystera.php', false, true);"
                       "delete_plugins(['logystera/logystera.php']);")
    left = site.database.query("SELECT option_name FROM wp_options WHERE option_name LIKE '%logystera%' UNION ALL "
                               "SELECT option_name FROM wp_2_options WHERE option_name LIKE '%logystera%' UNION ALL "
                               "SELECT option_name FROM wp_2_options WHERE option_name = 'cron' AND option_value LIKE '%logystera%'", site.name)
    assert left == "" and not list(site.folder.parent.glob(".logystera*")), left


# What the button of the settings page does.
WITHDRAW = """require_once ABSPATH . 'wp-admin/includes/admin.php'; wp_set_current_user(1); $_POST['sure'] = '1';
$_REQUEST['_wpnonce'] = wp_create_nonce('logystera_withdraw'); Logystera\\WordPress\\Admin\\Page::withdraw();"""
OFF = "require_once ABSPATH . 'wp-admin/includes/admin.php'; wp_set_current_user(1); deactivate_plugins('logystera/logystera.php', false, true);"


class One:
    """A site of a network, as the gateway knows it."""

    def __init__(self, world, network, path, host):
        made = world.gateway.add_site(f"{network.name} {path.strip('/') or 'one'}")
        self.world, self.network, self.path, self.url, self.id = world, network, path, f"http://{host}{path}", made["site"]
        in_site(network, path, AGREE % made["dsn"])
        self.send()

    def send(self):
        ran = self.network.command(f"--url={self.url}")
        assert ran.returncode == 0, ran

    def last_words(self):
        return [s for s in self.world.signals(self, "component.lifecycle") if (s["slug"], s["action"]) == ("logystera", "deactivated")]


def test_each_site_of_a_network_has_a_last_word(world):
    site, host, config = network(world, "lastwords")
    site.configure(config + ALLOWED)
    # The third one never agreed.
    in_site(site, "/", f"wp_insert_site(['domain' => '{host}', 'path' => '/three/', 'network_id' => 1, 'title' => 'Three', 'user_id' => 1]);")
    one, two = [One(world, site, path, host) for path in ["/", "/two/"]]
    in_site(site, "/", "switch_to_blog(2); add_option('probe_waits', '1');")
    in_site(site, "/two/", WITHDRAW)
    assert [bool(s.get("actor_hash")) for s in two.last_words()] == [True] and one.last_words() == [], "of its own, and by whom"
    assert "probe_waits" in {s["key"] for s in world.signals(two, "config.change")}, "what waited is told before"
    wait_for("the alerts", lambda: told(world, two) == set(TYPES), 60)
    assert told(world, one) == set(), "the other goes on"
    count = len(world.gateway.signals(two))
    in_site(site, "/", "add_option('probe_one', '1'); switch_to_blog(2); add_option('probe_two', '1');")
    one.send()
    assert site.command(f"--url={two.url}").returncode == 3 and len(world.gateway.signals(two)) == count, "nothing more"
    assert "probe_one" in {s["key"] for s in world.signals(one, "config.change")}
    # Switched off for all of them, where the first one is: each says so itself, once.
    again = One(world, site, "/two/", host)
    in_site(site, "/", OFF)
    assert [len(o.last_words()) for o in (one, again, two)] == [1, 1, 1], "once each"
    assert all(o.last_words()[-1].get("actor_hash") for o in (one, again)), "by whom"
    for o in (one, again):
        wait_for("the alerts", lambda: told(world, o) == set(TYPES), 60)
    left = site.database.query("SELECT option_name FROM wp_3_options WHERE option_name LIKE '%logystera%'", site.name)
    assert left == "", ("nobody agreed there", left)
