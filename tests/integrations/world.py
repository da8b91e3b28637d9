"""What the scenarios share: one database, one gateway, and sites in scratch folders."""
import os, pathlib, shutil, tempfile
from gateway import Gateway, Receiver
from wordpress import ADMIN, PASSWORD, TREE, Database, WordPress, extract, wait_for

TYPES = ["auth.attempt", "component.lifecycle", "config.change", "cron.run", "db.event", "file.edit", "http.request",
         "mail.outcome", "php.error", "shop.order", "user.change"]


class World:
    def __init__(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="logystera-integrations-"))
        self.scratch.chmod(0o755)
        # The servers run as somebody else, who cannot write where we may.
        (self.scratch / "tmp").mkdir()
        (self.scratch / "tmp").chmod(0o1777)
        os.environ["TMPDIR"] = str(self.scratch / "tmp")
        self.sites, self.database, self.gateway = [], None, None

    def start(self):
        extract()
        self.database = Database(self.scratch / "db")
        self.receiver = Receiver()
        self.gateway = Gateway(self.scratch / "gateway", TREE / "tests/integrations/rules.yaml", self.receiver)

    def close(self, keep):
        for server in [*self.sites, self.gateway, self.database]:
            if server:
                server.stop()
        if not keep:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def site(self, name, config="", types=None, serve=()):
        """A WordPress whose administrator has activated the plugin and agreed; `types` are on, or all."""
        site = self.bare_site(name, config, serve)
        self.agree(site, types)
        return site

    def bare_site(self, name, config="", serve=()):
        site = WordPress(self.scratch, self.database, name, config)
        self.sites.append(site)
        site.eval("require_once ABSPATH . 'wp-admin/includes/plugin.php'; $e = activate_plugin('logystera/logystera.php');"
                  "if (is_wp_error($e)) { fwrite(STDERR, $e->get_error_message()); exit(1); }")
        site.serve(*serve)
        return site

    def agree(self, site, types=None):
        made = self.gateway.add_site(site.name)
        site.id, site.dsn = made["site"], made["dsn"]
        site.log_in()
        site.save(site.dsn, TYPES if types is None else types)

    def signals(self, site, kind):
        return [s for s in self.gateway.signals(site) if s["type"] == kind]
