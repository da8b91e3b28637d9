"""A real WordPress from Debian's packages, in a scratch folder: MariaDB without a network, PHP's own web server, our plugin."""
import contextlib, fcntl, html, http.client, json, os, pathlib, re, shutil, signal, socket, subprocess, time, urllib.parse

TREE = pathlib.Path(__file__).resolve().parents[2]
# WordPress 6.1 is in Debian 12, 6.8 in Debian 13, each with another theme.
SUITE = os.environ.get("WORDPRESS_SUITE") or "bookworm"
THEME = {"bookworm": "twentytwentyone", "trixie": "twentytwentyfive"}[SUITE]
PACKAGES = ["wordpress", f"wordpress-theme-{THEME}", "php-getid3", "libjs-cropper", "libjs-lodash", "libjs-underscore"]
START_S = 60
DB_OPTIONS = ["--skip-networking", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M",
              "--innodb-flush-log-at-trx-commit=0", "--performance-schema=0"]
# It reads what it is given: of one that does not, a busy machine's PHP says now and then that the mail failed.
SENDMAIL = "/bin/sh -c 'cat > /dev/null'"
ADMIN, PASSWORD = "admin", "pw-12345-planted"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds):
    """The first true answer of check; fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def as_nobody():
    """Servers and PHP refuse to run as root, or run otherwise than on a site: then they are somebody with no rights."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


def home():
    return pathlib.Path(os.environ.get("WORDPRESS_DIR") or TREE / f"target/services/wordpress-{SUITE}")


def extract():
    """Brings WordPress as Debian packs it to home() / "site", once for all runs; one that runs beside waits."""
    root, new, site = home() / "root/usr/share/wordpress", home() / "site.new", home() / "site"
    subprocess.run([TREE / "tests/services/debs", SUITE, home(), *PACKAGES], check=True)
    with open(home() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if site.is_dir():
            return
        shutil.rmtree(new, ignore_errors=True)
        # A link of the package into /etc. The others lead into other packages' folders: the copy has the files themselves.
        (root / ".htaccess").unlink(missing_ok=True)
        subprocess.run(["cp", "-aL", root, new], check=True)
        new.rename(site)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode("utf-8", "replace")


class Database:
    """A MariaDB of its own, on a socket."""

    def __init__(self, folder):
        self.folder, self.socket = folder, folder / "s"
        folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        with open(folder.with_suffix(".log"), "wb") as log:
            subprocess.run([*as_nobody(), "mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--skip-test-db",
                            "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M"], stdout=log, stderr=log, check=True)
            self.process = subprocess.Popen([*as_nobody(), "mariadbd", "--no-defaults", f"--datadir={folder}/data",
                                             f"--socket={self.socket}", *DB_OPTIONS], stdout=log, stderr=log)
        wait_for("the database", lambda: self.query("SELECT 1", check=False) is not None, START_S)
        self.query("CREATE USER wp@localhost IDENTIFIED BY 'wp'; GRANT ALL ON *.* TO wp@localhost")

    def query(self, sql, name="", check=True):
        ran = subprocess.run(["mariadb", "--no-defaults", "-uroot", "-S", self.socket, "-N", "-B", "-e", sql, *([name] if name else [])],
                             capture_output=True, text=True)
        if check and ran.returncode:
            raise AssertionError(ran.stderr)
        return ran.stdout if ran.returncode == 0 else None

    def stop(self):
        self.process.terminate()
        self.process.wait()


class WordPress:
    """A site: its files, its database, a web server with four workers, and a client with cookies."""

    def __init__(self, scratch, database, name="site", config=""):
        self.scratch, self.database, self.name, self.port = scratch, database, name, free_port()
        self.folder, self.log, self.jar, self.server = scratch / name / "www", scratch / f"{name}.debug.log", {}, None
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder.parent.mkdir()
        subprocess.run(["cp", "-a", home() / "site", self.folder], check=True)
        database.query(f"CREATE DATABASE `{name}`")
        self.log.touch()
        self.own(self.log)
        for sub in ["uploads", "mu-plugins"]:
            (self.folder / "wp-content" / sub).mkdir(exist_ok=True)
        subprocess.run([TREE / "integrations/wordpress/build", self.folder / "wp-content/plugins"], check=True)
        self.configure(config)
        self.own(self.folder.parent)
        self.php_file("""define('WP_INSTALLING', true); function wp_new_blog_notification() {}
            require ABSPATH_ . 'wp-load.php'; require ABSPATH . 'wp-admin/includes/upgrade.php';
            wp_install('T', 'admin', 'admin@example.test', false, '', '%s');""" % PASSWORD)

    def configure(self, more=""):
        constants = {"DB_NAME": self.name, "DB_USER": "wp", "DB_PASSWORD": "wp", "DB_HOST": f"localhost:{self.database.socket}",
                     "DB_CHARSET": "utf8mb4", "DB_COLLATE": "", "WP_SITEURL": self.url, "WP_HOME": self.url,
                     "WP_ENVIRONMENT_TYPE": "local", "WP_HTTP_BLOCK_EXTERNAL": True, "WP_ACCESSIBLE_HOSTS": "127.0.0.1,localhost",
                     "AUTOMATIC_UPDATER_DISABLED": True, "WP_DEBUG": False,
                     "FS_METHOD": "direct"}
        for key in ["AUTH_KEY", "SECURE_AUTH_KEY", "LOGGED_IN_KEY", "NONCE_KEY", "AUTH_SALT", "SECURE_AUTH_SALT", "LOGGED_IN_SALT", "NONCE_SALT"]:
            constants.setdefault(key, f"planted-{key}")
        defines = "".join(f"define({json.dumps(k)}, {json.dumps(v)});\n" for k, v in constants.items()
                          if f"'{k}'" not in more)
        (self.folder / "wp-config.php").write_text(
            f"<?php\n{more}\n{defines}$table_prefix = 'wp_'; defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');\n"
            "require_once ABSPATH . 'wp-settings.php';\n")

    def own(self, path):
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", path], check=True)

    def settings_of_php(self):
        settings = {"memory_limit": "256M", "sendmail_path": SENDMAIL, "log_errors": "1", "error_log": self.log, "display_errors": "0",
                    # A file that a test has written is read anew at once.
                    "opcache.revalidate_freq": "0"}
        return [part for name, value in settings.items() for part in ("-d", f"{name}={value}")]

    def serve(self, *options):
        log = open(self.scratch / f"{self.name}.server.log", "ab")
        self.server = subprocess.Popen(
            [*as_nobody(), "php", *self.settings_of_php(), *options, "-S", f"127.0.0.1:{self.port}"],
            cwd=self.folder, env={**os.environ, "PHP_CLI_SERVER_WORKERS": "4"}, stdout=log, stderr=log, start_new_session=True)
        def answers():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for("the web server", answers, START_S)

    @contextlib.contextmanager
    def served_by(self, module, *options):
        """By another server than PHP's own: `fpm` or `mod_php`."""
        self.stop()
        server = module.Server(self, *options)
        try:
            yield server
        finally:
            server.stop()

    def stop(self):
        if self.server:
            os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait()
            self.server = None

    def php_file(self, code, *options, prelude=""):
        """Runs a piece of PHP by itself: with wp-load.php where it says so."""
        script = self.scratch / f"{self.name}.piece.php"
        host = f"127.0.0.1:{self.port}"
        script.write_text(f"<?php {prelude} $_SERVER += ['HTTP_HOST' => '{host}', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1'];\n"
                          f"const ABSPATH_ = '{self.folder}/';\n{code}")
        ran = subprocess.run([*as_nobody(), "php", *self.settings_of_php(), *options, script],
                             capture_output=True, text=True, cwd=self.folder)
        if ran.returncode:
            raise AssertionError(f"PHP failed: {ran.stdout[-2000:]} {ran.stderr[-2000:]}")
        return ran.stdout

    def eval(self, code, *options):
        """Runs PHP inside the site, as an administrator's script would."""
        return self.php_file(f"require ABSPATH_ . 'wp-load.php';\n{code}", *options)

    def option(self, name):
        return json.loads(self.eval(f"echo json_encode(get_option('{name}', null));"))

    def cron(self):
        """What a crontab does: calls wp-cron.php."""
        return self.get("/wp-cron.php", cookies=False)

    def command(self, *options):
        """The plugin's own command."""
        return subprocess.run([*as_nobody(), "php", self.folder / "wp-content/plugins/logystera/cron.php", *options],
                              capture_output=True, text=True)

    # --- A browser --------------------------------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, cookies=True, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"User-Agent": "tests", **(headers or {})}
        if cookies and self.jar:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.jar.items())
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body, doseq=True)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        if cookies:
            for cookie in response.headers.get_all("Set-Cookie") or []:
                name, value = cookie.split(";")[0].split("=", 1)
                self.jar[name] = value
        answer = Answer(response)
        connection.close()
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body, **more):
        return self.request("POST", path, body, **more)

    def log_in(self, user=ADMIN, password=PASSWORD):
        self.jar = {"wordpress_test_cookie": "WP+Cookie+check"}
        answer = self.post("/wp-login.php", {"log": user, "pwd": password})
        assert answer.status == 302, answer.status

    def form(self, page, action):
        """The hidden fields of the form on a page that posts this action."""
        text = self.get(page).text
        for form in re.findall(r"<form.*?</form>", text, re.S):
            fields = dict(re.findall(r'<input type="hidden"(?: id="[^"]*")? name="([^"]*)" value="([^"]*)"', form))
            if fields.get("action") == action:
                return fields
        raise AssertionError(f"{page} has no form for {action}")

    def settings_page(self, action, **values):
        """Does what a button of the settings page does, and gives the page that comes then."""
        fields = self.form("/wp-admin/options-general.php?page=logystera", f"logystera_{action}")
        answer = self.post("/wp-admin/admin-post.php", {**fields, **values})
        assert answer.status == 302, (answer.status, answer.text[:500])
        return self.get(answer.headers["Location"].removeprefix(self.url)).text

    def settings(self, action, **values):
        """The same, and gives the note that the page shows then."""
        page = self.settings_page(action, **values)
        note = re.search(r'<div class="notice notice-(?:success|info|warning|error)" role="\w+"><p>(.*?)</p>', page, re.S)
        return html.unescape(note.group(1)) if note else ""

    def save(self, dsn, types):
        """Saves a DSN and the types, and agrees: to another gateway than before it takes a second time."""
        note = self.settings("save", dsn=dsn, flush_every_s=60, agree="on", **{"types[]": types})
        if "another service" in note:
            note = self.settings("save", agree="on", **{"types[]": types})
        assert note.startswith("Saved. Events are recorded"), note

    def spool(self):
        """The spool's folder; None where there is none."""
        found = self.option("logystera_spool")
        return pathlib.Path(found["folder"]) if found else None
