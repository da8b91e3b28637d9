"""The table of plugins, themes and files that are edited through the site."""
import re, shutil
from table import Table
from wordpress import ADMIN, THEME

PLUGIN = "<?php\n/* Plugin Name: Guest\n   Version: {} */\n"
EDITED = PLUGIN.format("1.0") + "// {}\n"


def zip_of(site, version):
    """A plugin as an archive, for WordPress's own installer."""
    folder = site.scratch / f"{site.name}.{version}" / "guest"
    folder.mkdir(parents=True)
    (folder / "guest.php").write_text(PLUGIN.format(version))
    (folder / "more.php").write_text("<?php // more\n")
    return shutil.make_archive(str(site.scratch / f"{site.name}.{version}"), "zip", folder.parent, "guest")


INSTALL = """require_once ABSPATH . 'wp-admin/includes/admin.php'; require_once ABSPATH . 'wp-admin/includes/class-wp-upgrader.php';
$u = new Plugin_Upgrader(new Automatic_Upgrader_Skin()); $r = $u->install('%s', ['overwrite_package' => %s]);
if ($r !== true) { fwrite(STDERR, print_r($r, true)); exit(1); }"""
NEEDS = "require_once ABSPATH . 'wp-admin/includes/admin.php';"


def edit(site, page, fields, text):
    """Saves a file as the editor's button does; gives what the editor says."""
    found = re.search(r'id="nonce" name="nonce" value="(\w+)"|name="nonce" value="(\w+)"', site.get(page).text)
    assert found, page
    return site.post("/wp-admin/admin-ajax.php", {"action": "edit-theme-plugin-file", "nonce": found.group(1) or found.group(2),
                                                   "newcontent": text, **fields})


def test_table_of_components_and_edited_files(world):
    site = world.site("components", "define('DISABLE_WP_CRON', true);")
    one, two = zip_of(site, "1.0"), zip_of(site, "1.1")
    t = Table(world, site)
    active = lambda before, after: t.option("active_plugins", "updated", before, after)
    ours, both = 'a:1:{i:0;s:23:"logystera/logystera.php";}', 'a:2:{i:0;s:15:"guest/guest.php";i:1;s:23:"logystera/logystera.php";}'
    again = 'a:1:{i:1;s:23:"logystera/logystera.php";}'

    t.row("a plugin is installed", lambda: site.eval(INSTALL % (one, "false")), t.component("plugin", "guest", "installed", after="1.0"))
    t.row("activated", lambda: site.eval(f"{NEEDS} activate_plugin('guest/guest.php');"),
          t.component("plugin", "guest", "activated", after="1.0"), active(ours, both))
    t.row("updated", lambda: site.eval(INSTALL % (two, "true")), t.component("plugin", "guest", "updated", "1.0", "1.1"))
    t.row("deactivated", lambda: site.eval(f"{NEEDS} deactivate_plugins('guest/guest.php');"),
          t.component("plugin", "guest", "deactivated", "1.1"), active(both, again))
    t.row("deleted", lambda: site.eval(f"{NEEDS} delete_plugins(['guest/guest.php']);"), t.component("plugin", "guest", "deleted", "1.1"))
    t.row("nothing happened", lambda: None)

    guest = site.folder / "wp-content/plugins/guest"
    guest.mkdir()
    (guest / "guest.php").write_text(PLUGIN.format("1.0"))
    site.own(guest)
    t.row("a folder appears", lambda: None, t.component("plugin", "guest", "installed", after="1.0"))
    page, fields = "/wp-admin/plugin-editor.php?plugin=guest/guest.php&file=guest/guest.php", {"plugin": "guest/guest.php", "file": "guest/guest.php"}
    seen, asked = t.http("GET", "/wp-admin/plugin-editor.php", 200, "admin"), t.http(
        "POST", "/wp-admin/admin-ajax.php", 200, "ajax", action="edit-theme-plugin-file")
    path = "/wp-content/plugins/guest/guest.php"
    saved = lambda delta, *found, path=path: {"type": "file.edit", "path": path, "size_delta": delta, "heuristics": list(found),
                                             "actor_hash": t.hash("user", ADMIN)}
    first, second = EDITED.format("one"), EDITED.format("three")
    t.row("the plugin editor saves", lambda: edit(site, page, fields, first), saved(len(first) - len(PLUGIN.format("1.0"))), seen, asked)
    t.row("and the same file again", lambda: edit(site, page, fields, second), saved(2), seen, asked)
    t.row("without a change", lambda: edit(site, page, fields, second), seen, asked)
    evil = EDITED.format("x") + f"eval(base64_decode('{'QUJD' * 300}'));\n"
    t.row("a payload", lambda: edit(site, page, fields, evil), saved(len(evil) - len(second), "obfuscated", "encoded_payload"), seen, asked)
    t.row("a wrong nonce", lambda: site.post("/wp-admin/admin-ajax.php", {
        "action": "edit-theme-plugin-file", "nonce": "wrong", "newcontent": "planted", **fields}), asked)
    shutil.rmtree(guest)
    t.row("the folder is removed", lambda: None, t.component("plugin", "guest", "deleted", "1.0"))

    theme, style = THEME, f"/wp-content/themes/{THEME}/style.css"
    text = (site.folder / style[1:]).read_text()
    t.row("the theme editor saves", lambda: edit(site, f"/wp-admin/theme-editor.php?theme={theme}&file=style.css",
          {"theme": theme, "file": "style.css"}, text + "/* one */"), saved(9, path=style),
          t.http("GET", "/wp-admin/theme-editor.php", 200, "admin"), asked)
    t.row("and the same file again", lambda: edit(site, f"/wp-admin/theme-editor.php?theme={theme}&file=style.css",
          {"theme": theme, "file": "style.css"}, text), saved(-9, path=style),
          t.http("GET", "/wp-admin/theme-editor.php", 200, "admin"), asked)
    return t.done()


HEADS = """%s $heads = 0; add_filter('extra_plugin_headers', function ($h) use (&$heads) { $heads++; return $h; });
for ($i = 0; $i < 100; $i++) { do_action($i %% 2 ? 'activated_plugin' : 'deactivated_plugin', 'logystera/logystera.php', false); } echo $heads;""" % NEEDS


def test_of_a_plugin_that_is_switched_one_head_is_read(world):
    """And not that of each plugin: who switches fifty on at once waits no longer for us the more there are."""
    site = world.site("heads", "define('DISABLE_WP_CRON', true);", types=["component.lifecycle"])
    for i in range(20):
        (site.folder / f"wp-content/plugins/guest{i}.php").write_text(PLUGIN.format("1.0"))
    heads = int(site.eval(HEADS))
    assert heads == 100, heads
    site.command()
    told = [(s["action"], s["slug"]) for s in world.signals(site, "component.lifecycle") if s["slug"] == "logystera"]
    assert told.count(("activated", "logystera")) == told.count(("deactivated", "logystera")) == 50, told


def test_the_editor_still_finds_a_broken_plugin(world):
    """WordPress asks itself whether a save broke the site, and takes it back: we stand in the way of neither."""
    site = world.site("editor", "define('DISABLE_WP_CRON', true);")
    guest = site.folder / "wp-content/plugins/guest"
    guest.mkdir()
    (guest / "guest.php").write_text(PLUGIN.format("1.0"))
    site.own(guest)
    site.eval(f"{NEEDS} activate_plugin('guest/guest.php');")
    page, fields = "/wp-admin/plugin-editor.php?plugin=guest/guest.php&file=guest/guest.php", {"plugin": "guest/guest.php", "file": "guest/guest.php"}
    good = edit(site, page, fields, EDITED.format("good")).text
    assert '"success":true' in good, good
    broken = edit(site, page, fields, EDITED.format("broken") + "no_such_function();\n").text
    assert '"success":false' in broken and "no_such_function" in broken, broken
    assert "good" in (guest / "guest.php").read_text(), "the save was taken back"
    site.command()
    deltas = [s["size_delta"] for s in world.signals(site, "file.edit")]
    assert deltas == [len(EDITED.format("good")) - len(PLUGIN.format("1.0"))], deltas
