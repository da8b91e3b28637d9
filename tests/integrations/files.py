"""Files that change behind WordPress's back are told, a small slice at a time; what WordPress changes itself is not."""
import json
from components import INSTALL, PLUGIN, zip_of

LOOK = """$site = Logystera\\WordPress\\Plugin::site(); $files = new Logystera\\WordPress\\OwnFiles($site); $cost = [];
$look = function () use ($files, $site) { $start = hrtime(true); $files->look(); $spent = (hrtime(true) - $start) / 1e6;
  $site->recorder->write(); return $spent; };
$end = $site->integrity()->passes() + 1;
while ($site->integrity()->passes() < $end) { $look(); }
while ($site->integrity()->passes() === $end) { $cost[] = $look(); }
echo json_encode([count($cost), max($cost)]);"""
PAYLOAD = "<?php /* leak-content */ eval(base64_decode($_POST['x']));\n"


def look(site):
    """Looks until the present pass and a whole one are over, and sends: (slices of that one, the longest in ms)."""
    said = json.loads(site.eval(LOOK))
    site.command()
    return said


class Edits:
    """What is told of files since the last time: (path, bytes, heuristics)."""

    def __init__(self, world, site):
        self.world, self.site, self.seen = world, site, 0

    def new(self):
        signals = self.world.signals(self.site, "file.edit")
        new, self.seen = signals[self.seen:], len(signals)
        return sorted((s["path"], s["size_delta"], *s["heuristics"]) for s in new)


def test_files_that_change_on_disk_are_told(world):
    site = world.site("files", "define('DISABLE_WP_CRON', true);")
    edits, content = Edits(world, site), site.folder / "wp-content"
    state = lambda: json.loads((site.spool() / "files.php").read_text().split("\n", 1)[1])
    # Cron goes on a slice a run; then the rest of the first pass, which only learns.
    site.command()
    place = lambda: (list(state()["known"]), state()["at"], state()["behind"])
    before = place()
    site.command()
    assert place() != before and state()["passes"] == 0, (before, place())
    look(site)
    assert edits.new() == [], "the first pass only learns"
    assert {"mu-plugins", "content", "root", "uploads", "wp-admin", "wp-includes"} == set(state()["known"]), state()

    core, plain = site.folder / "wp-includes/functions.php", (site.folder / "wp-includes/functions.php").read_text()
    core.write_text(plain + "// leak-content\n")
    (content / "mu-plugins/cache.php").write_text("<?php // leak-content\n")
    (content / "advanced-cache.php").write_text(PAYLOAD)
    (content / "other.php").write_text("<?php // leak-content\n")
    (site.folder / "wp-config.php").write_text((site.folder / "wp-config.php").read_text() + "// leak-content\n")
    (content / "uploads/2026").mkdir()
    (content / "uploads/2026/photo.php").write_text(PAYLOAD)
    (content / "uploads/2026/index.php").write_text("<?php\n// Silence is golden.\n")
    (site.folder / "wp-admin/js/evil.js").write_text("leak-content")
    size, told = len(PAYLOAD), len("<?php // leak-content\n")
    look(site)
    found = edits.new()
    assert found == [
        ("/wp-admin/js/evil.js", 12, "core_file"), ("/wp-config.php", 16),
        ("/wp-content/advanced-cache.php", size, "obfuscated", "core_file"),
        ("/wp-content/mu-plugins/cache.php", told, "core_file"), ("/wp-content/other.php", told),
        ("/wp-content/uploads/2026/photo.php", size, "php_in_uploads", "obfuscated"), ("/wp-includes/functions.php", 16, "core_file"),
    ], found
    look(site)
    assert edits.new() == [], "once"
    core.write_text(plain)
    (content / "mu-plugins/cache.php").unlink()
    look(site)
    found = edits.new()
    assert found == [("/wp-content/mu-plugins/cache.php", -told, "core_file"), ("/wp-includes/functions.php", -16, "core_file")], found

    # Another site's spool, a link out of the tree, and names of any kind.
    for name in ["line\nfeed.php", "bi\u202edi.php", "a;b?c.php", "jane@example.org.php"]:
        (content / "uploads" / name).write_text("<?php x();")
    (content / "uploads/out").symlink_to("/etc")
    look(site)
    names = [path for path, *_ in edits.new()]
    assert names == sorted(f"/wp-content/uploads/{n}" for n in ["*", "*", "a_b_c.php", "bi___di.php"]), names
    store = b"".join(f.read_bytes() for f in world.gateway.folder.glob("logystera.sqlite*"))
    assert b"leak-content" not in store and b"jane" not in store


def test_updates_make_no_noise(world):
    site = world.site("updates", "define('DISABLE_WP_CRON', true);")
    edits, content, includes = Edits(world, site), site.folder / "wp-content", site.folder / "wp-includes"
    look(site)
    # A new WordPress lies there: a deployment, or its own updater.
    version = includes / "version.php"
    version.write_text(version.read_text().replace("$wp_version = '", "$wp_version = '9"))
    for file in list(includes.glob("*.php"))[:50]:
        file.write_text(file.read_text() + "// new\n")
    (includes / "new.php").write_text("<?php new_one();\n")
    look(site)
    assert edits.new() == [], "a new version"
    assert [s["slug"] for s in world.signals(site, "component.lifecycle") if s["action"] == "updated"] == ["wordpress"]
    # A plugin's update writes what it needs, and so does one that is switched on.
    writes = "add_action('upgrader_process_complete', function () { file_put_contents(WP_CONTENT_DIR . '/object-cache.php.txt', ''); " \
        "file_put_contents(WP_CONTENT_DIR . '/advanced-cache.php', '<?php cache();'); }, 1);"
    site.eval(writes + INSTALL % (zip_of(site, "1.0"), "false"))
    look(site)
    assert edits.new() == [], "a plugin's update"
    guest = content / "plugins/guest/guest.php"
    guest.write_text(PLUGIN.format("1.0") + "register_activation_hook(__FILE__, function () { file_put_contents(WP_CONTENT_DIR . '/db-error.php', '<?php x();'); });")
    site.eval("require_once ABSPATH . 'wp-admin/includes/plugin.php'; activate_plugin('guest/guest.php');")
    look(site)
    assert edits.new() == [], "an activation"
    # Behind it, a change is one again.
    (content / "db-error.php").write_text("<?php other();")
    (includes / "new.php").write_text("<?php evil();\n")
    look(site)
    assert edits.new() == [("/wp-content/db-error.php", 4, "core_file"), ("/wp-includes/new.php", -3, "core_file")]


def test_a_slice_is_small_whatever_lies_there(world):
    site = world.site("manyfiles", "define('DISABLE_WP_CRON', true);")
    folder = site.folder / "wp-content/uploads/2026"
    folder.mkdir()
    for i in range(10_000):
        (folder / (f"{i}.php" if i % 10 == 0 else f"{i}.jpg")).touch()
    first = look(site)
    (folder / "zz.php").write_text("<?php x();")
    slices, most = look(site)
    assert Edits(world, site).new() == [("/wp-content/uploads/2026/zz.php", 10, "php_in_uploads")]
    assert slices >= 4, slices
    # 20 ms, and what it takes to list a folder and to read and write what is remembered, on a busy machine.
    assert min(first[1], most) < 500, (first, most)
    return f"{slices} slices a pass, the longest {min(first[1], most):.0f} ms"
