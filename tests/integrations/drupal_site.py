"""A real Drupal that somebody has, copied into a scratch folder: a database, PHP's own web server, our module, and one that does things."""
import html, http.client, json, os, pathlib, re, shutil, signal, sqlite3, subprocess, urllib.parse
from wordpress import ADMIN, PASSWORD, SENDMAIL, TREE, Answer, as_nobody, free_port, wait_for

START_S = 60
# Drupal 11 wants a newer PHP than the machine's own: tests/integrations/php84, say.
PHP = os.environ.get("DRUPAL_PHP") or "php"
PROBE = TREE / "tests/integrations/drupal/probe"
BOOT = """<?php
chdir(%r); $loader = require 'autoload.php';
$request = Symfony\\Component\\HttpFoundation\\Request::create('http://default', 'GET', [], [], [], ['SCRIPT_NAME' => '/index.php']);
$kernel = Drupal\\Core\\DrupalKernel::createFromRequest($request, $loader, 'prod'); $kernel->boot(); $kernel->preHandle($request);
"""
INSTALL = """<?php
chdir(%r); $loader = require 'autoload.php'; require 'core/includes/install.core.inc';
install_drupal($loader, ['interactive' => FALSE, 'parameters' => ['profile' => 'minimal', 'langcode' => 'en'], 'forms' => [
  'install_settings_form' => ['driver' => 'Drupal\\sqlite\\Driver\\Database\\sqlite',
    'Drupal\\sqlite\\Driver\\Database\\sqlite' => ['database' => 'sites/default/files/.sqlite', 'prefix' => '']],
  'install_configure_form' => ['site_name' => 'T', 'site_mail' => 'site@example.test', 'enable_update_status_module' => NULL,
    'account' => ['name' => %r, 'mail' => 'admin@example.test', 'pass' => ['pass1' => %r, 'pass2' => %r]]]]]);
"""
MARIADB = """
$databases['default']['default'] = ['driver' => 'mysql', 'namespace' => 'Drupal\\mysql\\Driver\\Database\\mysql', 'prefix' => '',
  'autoload' => 'core/modules/mysql/src/Driver/Database/mysql/', 'unix_socket' => '%s', 'database' => '%s', 'username' => 'wp', 'password' => 'wp',
  'isolation_level' => 'READ COMMITTED'];
$settings['hash_salt'] = 'the salt of the tests';
"""
ROOTS = ["", "web", "docroot"]


def given():
    """The web root of the Drupal in DRUPAL_DIR, below its project's folder; None where none is given."""
    project = pathlib.Path(os.environ.get("DRUPAL_DIR") or "/nonexistent")
    found = [r for r in ROOTS if (project / r / "core/lib/Drupal.php").is_file()]
    return (project, found[0]) if found else None


class Drupal:
    """A site: its files, its database, a web server with four workers, and a client with cookies."""

    def __init__(self, scratch, name="site", settings="", database=None):
        project, root = given()
        self.scratch, self.name, self.port, self.jar, self.server = scratch, name, free_port(), {}, None
        self.url = f"http://127.0.0.1:{self.port}"
        home, installed = scratch / name, scratch / "installed"
        self.folder, self.log = home / root, scratch / f"{name}.php.log"
        self.default = self.folder / "sites/default"
        self.log.touch(), self.own(self.log)
        if database:
            self.make(project, home, database)
        else:
            if not installed.is_dir():
                self.make(project, home)
                home.rename(installed)
            # Drupal's own files are the same ones: who changes one makes it anew.
            subprocess.run(["cp", "-al", installed, home], check=True)
            for own in [self.default, self.folder / "modules"]:
                shutil.rmtree(own)
                subprocess.run(["cp", "-a", installed / own.relative_to(home), own], check=True)
            with sqlite3.connect(self.default / "files/.sqlite") as data:
                # What Drupal keeps there knows the folder that it was in.
                for (table,) in data.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'cache_%'").fetchall():
                    data.execute(f"DELETE FROM {table}")
            data.close()
            self.own(self.default / "files")
        with open(self.default / "settings.php", "a") as out:
            out.write(f"\n{settings}\n")

    def make(self, project, home, database=None):
        """A Drupal of its own, with our module's files and the probe, in whatever database."""
        subprocess.run(["cp", "-a", project, home], check=True)
        files = self.folder / "core/assets/scaffold/files"
        self.default.mkdir(parents=True, exist_ok=True)
        for source, target in [("default.settings.php", self.default / "default.settings.php"), ("index.php", self.folder / "index.php"),
                               ("ht.router.php", self.folder / ".ht.router.php")]:
            shutil.copy(files / source, target)
        for left in ["settings.php", "files"]:
            left = self.default / left
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        self.build()
        shutil.copytree(PROBE, self.folder / "modules/probe")
        self.own(home)
        shutil.copy(files / "default.settings.php", self.default / "settings.php")
        connection = ""
        if database:
            database.query(f"CREATE DATABASE `{self.name}`")
            # Again below: the installer goes by what it finds, and adds SQLite all the same.
            connection = MARIADB % (database.socket, self.name)
            with open(self.default / "settings.php", "a") as out:
                out.write(connection)
        self.own(home)
        piece = self.scratch / f"{self.name}.piece.php"
        piece.write_text(INSTALL % (str(self.folder), ADMIN, PASSWORD, PASSWORD))
        self.php([piece])
        self.default.chmod(0o755), (self.default / "settings.php").chmod(0o644)
        with open(self.default / "settings.php", "a") as out:
            out.write(f"\n$settings['trusted_host_patterns'] = ['^127\\.0\\.0\\.1$', '^default$'];\n{connection}\n")
        self.install("probe", "basic_auth")

    def build(self):
        subprocess.run([TREE / "integrations/drupal/build", self.folder / "modules"], check=True)
        self.own(self.folder / "modules")

    def own(self, path):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", path], check=True)

    def php(self, arguments, check=True, options=(), user=None):
        """`user`: what stands before the command, as the web server's user otherwise."""
        settings = ["-d", "display_errors=stderr", "-d", f"error_log={self.log}", "-d", "memory_limit=512M", "-d", f"sendmail_path={SENDMAIL}"]
        ran = subprocess.run([*(as_nobody() if user is None else user), PHP, *settings, *options, *map(str, arguments)],
                             cwd=self.folder, capture_output=True, text=True)
        if check and ran.returncode:
            raise AssertionError(f"PHP failed: {ran.stdout[-2000:]} {ran.stderr[-2000:]}")
        return ran if not check else ran.stdout

    def eval(self, code, *options, check=True, user=None):
        """Runs PHP within a booted Drupal, as a command does."""
        piece = self.scratch / f"{self.name}.piece.php"
        piece.write_text(BOOT % str(self.folder) + code)
        return self.php([piece], check, options, user)

    def install(self, *modules):
        self.eval(f"Drupal::service('module_installer')->install({json.dumps(modules)});")

    def uninstall(self, *modules):
        self.eval(f"Drupal::service('module_installer')->uninstall({json.dumps(modules)});")

    def state(self, name):
        return json.loads(self.eval(f"echo json_encode(Drupal::state()->get('{name}'));"))

    def option(self, name):
        """As the table asks for it."""
        return self.state(name.replace("logystera_", "logystera."))

    def command(self, check=True):
        ran = self.php(["modules/logystera/cron.php", f"--root={self.folder}"], check=False)
        if check and ran.returncode:
            raise AssertionError(f"{ran.stdout} {ran.stderr}")
        return ran

    def spool(self):
        return pathlib.Path(self.state("logystera.spool")["folder"])

    def settings_of_php(self):
        settings = {"memory_limit": "256M", "sendmail_path": SENDMAIL, "log_errors": "1", "error_log": self.log, "display_errors": "0",
                    "opcache.revalidate_freq": "0"}
        return [part for name, value in settings.items() for part in ("-d", f"{name}={value}")]

    # --- Its pages ------------------------------------------------------------------------------------------------------------

    def serve(self):
        log = open(self.scratch / f"{self.name}.server.log", "ab")
        self.server = subprocess.Popen(
            [*as_nobody(), PHP, *self.settings_of_php(), "-S", f"127.0.0.1:{self.port}", "-t", self.folder, self.folder / ".ht.router.php"],
            cwd=self.folder, stdout=log, stderr=log, env={**os.environ, "PHP_CLI_SERVER_WORKERS": "4"}, start_new_session=True)

        def answers():
            try:
                return self.get("/user/login", cookies=False).status
            except OSError:
                return None
        wait_for("the web server", answers, START_S)

    def stop(self):
        if self.server:
            os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait()
            self.server = None

    def request(self, method, path, body=None, headers=None, cookies=True):
        headers = {"User-Agent": "tests", **(headers or {})}
        if cookies and self.jar:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.jar.items())
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body, doseq=True)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, headers)
        answer = Answer(connection.getresponse())
        connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or [] if cookies else []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.jar[name] = value
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def form(self, path, form_id, cookies=True):
        """The fields of a form, as a browser would send them; no buttons."""
        text = self.get(path, cookies=cookies).text
        forms = [f for f in re.findall(r"<form.*?</form>", text, re.S) if f'value="{form_id}"' in f]
        assert forms, f"no form {form_id} in {path}: {text[:500]}"
        fields = {}
        for tag in re.findall(r"<input[^>]*>", forms[0]):
            of = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            if of.get("type") in ("submit", None) or "name" not in of or (of["type"] == "checkbox" and "checked" not in of):
                continue
            fields[html.unescape(of["name"])] = html.unescape(of.get("value", ""))
        return fields

    def sign_in(self, user=ADMIN, password=PASSWORD, cookies=False):
        fields = {**self.form("/user/login", "user_login_form", cookies), "name": user, "pass": password, "op": "Log in"}
        return self.post("/user/login", fields, cookies=cookies)

    def settings_page(self, button=("op", "Save"), **changes):
        """Presses a button of the settings page; the page that comes then."""
        path = "/admin/config/system/logystera"
        fields = {**self.form(path, "logystera_settings"), **changes, button[0]: button[1]}
        answer = self.post(path, {k: v for k, v in fields.items() if v is not None})
        if answer.status == 303:
            answer = self.get(urllib.parse.urlparse(answer.headers["Location"]).path)
        assert answer.status == 200, answer.status
        return answer.text

    def settings(self, button=("op", "Save"), **changes):
        """The same, and what the page says."""
        said = html.unescape(re.sub(r"<[^>]+>", " ", self.settings_page(button, **changes)))
        if "another service" in said and changes.get("agree"):
            return self.settings(button, agree="1")
        return said
