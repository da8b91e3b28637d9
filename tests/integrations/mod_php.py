"""Apache with PHP in it (mod_php), as many shared hosts have it: PHP cannot end an answer there and go on."""
import pathlib, shutil, socket, subprocess
from wordpress import START_S, as_nobody, wait_for

MODULES = pathlib.Path("/usr/lib/apache2/modules")
CONFIG = """ServerRoot "{folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile "{folder}/pid"
ErrorLog "{folder}/error.log"
CustomLog "{folder}/access.log" "%{{%H:%M:%S}}t %r %>s %D"
Mutex file:{folder} default
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule php_module {php}
TypesConfig /dev/null
StartServers 4
MinSpareServers 4
MaxSpareServers 4
MaxRequestWorkers 4
<Directory "/">
  AllowOverride None
  AllowOverrideList None
</Directory>
DocumentRoot "{root}"
<Directory "{root}">
  Require all granted
  DirectoryIndex index.php
  FallbackResource /index.php
</Directory>
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
"""


class Server:
    """Serves a site by Apache, where it was served before: stop that server first."""

    def __init__(self, site):
        folder = site.scratch / f"{site.name}.apache"
        folder.mkdir()
        settings = [part.split("=", 1) for part in map(str, site.settings_of_php()) if part != "-d"]
        config = CONFIG.format(folder=folder, port=site.port, modules=MODULES, php=sorted(MODULES.glob("libphp*.so"))[-1], root=site.folder)
        (folder / "apache.conf").write_text(config + "".join(f'php_admin_value {name} "{value}"\n' for name, value in settings))
        site.own(folder)
        apache = shutil.which("apache2", path="/usr/sbin:/usr/bin")
        log = open(folder.with_suffix(".log"), "ab")
        # When it ends, it ends all of its process group: that must not be ours.
        self.process = subprocess.Popen([*as_nobody(), apache, "-f", folder / "apache.conf", "-D", "FOREGROUND"], stdout=log, stderr=log,
                                        start_new_session=True)
        def answers():
            assert self.process.poll() is None, f"Apache ended: see {folder}"
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", site.port)) == 0
        wait_for("Apache", answers, START_S)

    def stop(self):
        self.process.terminate()
        self.process.wait()
