"""Files that change behind Drupal's back are told, a small slice at a time; what Drupal changes itself, and a new Drupal, is not."""
import json
from files import Edits

LOOK = """$runtime = Drupal::service('logystera.runtime'); $site = $runtime->site(); $cost = [];
$files = new Drupal\\logystera\\OwnFiles($runtime, Drupal::root(), Drupal::getContainer()->getParameter('site.path'));
$look = function () use ($files, $site) { $start = hrtime(true); $files->look(); $spent = (hrtime(true) - $start) / 1e6;
  $site->recorder->write(); return $spent; };
$end = $site->integrity()->passes() + 1;
if ($runtime->emitter('file.edit') === NULL) { exit('[0, 0]'); }
while ($site->integrity()->passes() < $end) { $look(); }
while ($site->integrity()->passes() === $end) { $cost[] = $look(); }
echo json_encode([count($cost), max($cost)]);"""
PAYLOAD = "<?php /* leak-content */ eval(base64_decode($_POST['x']));\n"
# Slices of 20 ms, and whatever else a busy machine does meanwhile.
SLICE_MS_MAX = 60


def look(site):
    """Looks until the present pass and a whole one are over, and sends: (slices of that one, the longest in ms)."""
    said = json.loads(site.eval(LOOK))
    site.command()
    return said


def change(file, text):
    """Anew: sites share Drupal's own files."""
    mode = file.stat().st_mode
    file.unlink()
    file.write_text(text)
    file.chmod(mode)


def test_files_that_change_on_disk_are_told(world):
    site = world.site("files")
    edits, public = Edits(world, site), site.default / "files"
    state = lambda: json.loads((site.spool() / "files.php").read_text().split("\n", 1)[1])
    # Cron goes on a slice a run; then the rest of the first pass, which only learns.
    site.command()
    place = lambda: (list(state()["known"]), state()["at"], state()["behind"])
    before = place()
    site.command()
    assert place() != before and state()["passes"] == 0, (before, place())
    slices, longest = look(site)
    assert edits.new() == [], "the first pass only learns"
    assert {"site", "root", "public", "core-includes", "core-lib"} == set(state()["known"]), state()["known"].keys()

    core, settings = site.folder / "core/lib/Drupal/Core/Url.php", site.default / "settings.php"
    plain, size, told = core.read_text(), len(PAYLOAD), len("<?php // leak-content\n")
    change(core, plain + "// leak-content\n")
    settings.write_text(settings.read_text() + "// leak-content\n")
    (site.folder / "core/includes/evil.inc").write_text(PAYLOAD)
    (site.folder / "cache.php").write_text("<?php // leak-content\n")
    (site.default / "settings.local.php").write_text("<?php // leak-content\n")
    (public / "2026").mkdir()
    (public / "2026/photo.php").write_text(PAYLOAD)
    (public / "2026/photo.txt").write_text(PAYLOAD)
    (public / "php").mkdir(exist_ok=True)
    (public / "php/made.php").write_text("<?php // by Drupal\n")
    look(site)
    found = edits.new()
    assert found == [
        ("/cache.php", told, "core_file"), ("/core/includes/evil.inc", size, "obfuscated", "core_file"), ("/core/lib/Drupal/Core/Url.php", 16, "core_file"),
        ("/sites/default/files/2026/photo.php", size, "php_in_uploads", "obfuscated"),
        ("/sites/default/settings.local.php", told), ("/sites/default/settings.php", 16),
    ], found
    look(site)
    assert edits.new() == [], "once"
    change(core, plain)
    (site.folder / "cache.php").unlink()
    look(site)
    found = edits.new()
    assert found == [("/cache.php", -told, "core_file"), ("/core/lib/Drupal/Core/Url.php", -16, "core_file")], found

    # Names of any kind, and a link out of the tree.
    for name in ["line\nfeed.php", "bi\u202edi.php", "a;b?c.php", "jane@example.org.php"]:
        (public / name).write_text("<?php x();")
    (public / "out").symlink_to("/etc")
    look(site)
    names = [path for path, *_ in edits.new()]
    assert names == sorted(f"/sites/default/files/{n}" for n in ["*", "*", "a_b_c.php", "bi___di.php"]), names
    store = b"".join(f.read_bytes() for f in world.gateway.folder.glob("logystera.sqlite*"))
    assert b"leak-content" not in store and b"jane" not in store
    assert longest < SLICE_MS_MAX, longest
    return f"{slices} slices, the longest {longest:.0f} ms"


def test_updates_make_no_noise(world):
    site = world.site("updates")
    edits, lib = Edits(world, site), site.folder / "core/lib"
    look(site)
    # A new Drupal lies there, as a deployment leaves it.
    version = lib / "Drupal.php"
    change(version, version.read_text().replace("const VERSION = '", "const VERSION = '9"))
    for file in list((lib / "Drupal/Core/Form").glob("*.php")):
        change(file, file.read_text() + "// new\n")
    (lib / "Drupal/Core/New.php").write_text("<?php new_one();\n")
    look(site)
    assert edits.new() == [], "a new version"
    assert [s["slug"] for s in world.signals(site, "component.lifecycle") if s["action"] == "updated"] == ["drupal"]
    # Caches that Drupal makes among the public files.
    site.eval("drupal_flush_all_caches();"), site.get("/user/login", cookies=False)
    look(site)
    assert edits.new() == [], "caches"
    # Behind it, a change is one again.
    change(lib / "Drupal/Core/New.php", "<?php evil();\n")
    look(site)
    assert edits.new() == [("/core/lib/Drupal/Core/New.php", -3, "core_file")]
