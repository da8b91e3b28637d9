"""The Drupal module on a real Drupal with a real gateway: DRUPAL_DIR=FOLDER python3 tests/integrations/drupal.py [WORD...]
FOLDER is a project with Drupal 10.3 or newer in it, or in its folder web or docroot, with its libraries; it is copied, not changed.
DRUPAL_DB=mariadb has MariaDB instead of SQLite; DRUPAL_PHP is the PHP to run it [php]; LOGYSTERA names the binary [target/debug/logystera]; KEEP=1 leaves the scratch folder."""
import os, pathlib, re, shutil, sys, tempfile
from drupal_site import Drupal, given
from gateway import Gateway
from scenarios import chosen, passes
from wordpress import Database
import drupal_changes, drupal_door, drupal_faults, drupal_files, drupal_owner, drupal_shop, drupal_sign_ins, drupal_watched


class World:
    def __init__(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="logystera-drupal-"))
        self.scratch.chmod(0o755)
        (self.scratch / "tmp").mkdir()
        (self.scratch / "tmp").chmod(0o1777)
        os.environ["TMPDIR"] = str(self.scratch / "tmp")
        self.gateway, self.sites, self.database = Gateway(self.scratch / "gateway"), [], None
        if os.environ.get("DRUPAL_DB", "sqlite") == "mariadb":
            self.database = Database(self.scratch / "db")

    def bare_site(self, name, settings=""):
        site = Drupal(self.scratch, name, settings, self.database)
        self.sites.append(site)
        site.install("logystera")
        site.serve()
        made = self.gateway.add_site(name)
        site.id, site.dsn = made["site"], made["dsn"]
        answer = site.sign_in(cookies=True)
        assert answer.status == 303, answer.text[:1000]
        return site

    def site(self, name, settings="", **changes):
        """A Drupal whose administrator has installed the module and agreed."""
        site = self.bare_site(name, settings)
        said = site.settings(dsn=site.dsn, agree="1", **changes)
        assert "Events are recorded from the next request on" in said, said
        return site

    def signals(self, site, kind):
        return [s for s in self.gateway.signals(site) if s["type"] == kind]

    def close(self, keep):
        for server in filter(None, [*self.sites, self.gateway, self.database]):
            server.stop()
        if not keep:
            shutil.rmtree(self.scratch, ignore_errors=True)


def main(words):
    if given() is None:
        print("skipped: the scenarios on a real Drupal want one: DRUPAL_DIR=FOLDER, a project with Drupal 10.3 or newer in it")
        return
    tests = chosen([drupal_sign_ins, drupal_changes, drupal_files, drupal_shop, drupal_door, drupal_faults, drupal_watched, drupal_owner], words)
    world, failed = World(), []
    print(f"Drupal {re.search(r'VERSION = .(.+).;', (given()[0] / given()[1] / 'core/lib/Drupal.php').read_text()).group(1)}, "
          f"scratch folder: {world.scratch}", flush=True)
    try:
        for name, test in tests:
            if not passes(name, test, world):
                failed.append(name)
    finally:
        world.close(bool(failed) or "KEEP" in os.environ)
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}; the logs are in {world.scratch}")


if __name__ == "__main__":
    main(sys.argv[1:])
