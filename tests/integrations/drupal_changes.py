"""What changes or fails on a real Drupal, action by action: exactly which signals each makes."""
import shutil
from drupal_sign_ins import DrupalTable
from drupal_site import PROBE

FAULT = "/modules/probe/src/Controller/Fault.php"
FAULTS = (PROBE / "src/Controller/Fault.php").read_text().splitlines()


def line(text):
    return next(n for n, code in enumerate(FAULTS, 1) if text in code)


class Changes(DrupalTable):
    def config(self, name, action, before=False, after=False, actor=None):
        """Which hashes there are; what they are of is serialized by PHP and compared there."""
        return {"type": "config.change", "key": name, "action": action, "before": before, "after": after,
                **({"actor_hash": self.hash("user", actor)} if actor else {})}

    def row(self, name, act, *expected, only=None, without=()):
        """`without`: types that the row is not about."""
        seen = self.seen
        act()
        self.site.command()
        new = self.world.gateway.signals(self.site)[seen:]
        self.seen = seen + len(new)
        found = []
        for s in new:
            s = {k: v for k, v in s.items() if k not in {"site", "batch", "received_at", "at", "duration_ms", "late_s"}}
            if s["type"] == "config.change" and "before" not in s:
                s = {**{k: v for k, v in s.items() if not k.endswith("e_hash") and not k.endswith("r_hash") or k == "actor_hash"},
                     "before": "before_hash" in s, "after": "after_hash" in s}
            # A slice of looking at files comes by it sooner or later; drupal_files.py has that.
            if s["type"] not in without and s.get("path") != "/sites/default/settings.php" and (only is None or s["type"] != "cron.run" or s["job"] in only):
                found.append(s)
        order = lambda s: sorted((k, str(v)) for k, v in s.items())
        if sorted(found, key=order) != sorted(expected, key=order):
            self.wrong.append(f"{name}: {len(found)} signals instead of {len(expected)}\n    not expected: "
                              f"{[s for s in found if s not in expected]}\n    missing: {[s for s in expected if s not in found]}")
        self.rows += 1


def test_table_of_mail_settings_and_accounts(world):
    site = world.site("changes")
    t = Changes(world, site)
    mail = lambda outcome, **more: {"type": "mail.outcome", "outcome": outcome, **more}
    send = lambda to, key="x", *options, more="": lambda: site.eval(
        f"Drupal::service('plugin.manager.mail')->mail('probe', '{key}', '{to}', 'en'{more});", *options)
    change = lambda code: lambda: site.eval(f"$f = Drupal::configFactory(); {code}")
    edit = lambda code: change(f"$f->getEditable('system.site'){code}->save();")

    t.row("a mail", send("a@example.test"), mail("sent", transport="mail", recipients=1), without=["php.error"])
    t.row("a mail to two", send("a@example.test, b@example.test"), mail("sent", transport="mail", recipients=2), without=["php.error"])
    t.row("a mail that the system refuses", send("a@example.test", "x", "-d", "sendmail_path=/bin/false"),
          mail("failed", transport="mail", error_class="other", recipients=1), without=["php.error"])
    t.row("a mail that a module takes back", send("a@example.test", "taken"), mail("skipped", transport="mail", recipients=1))
    t.row("a mail that is only made", send("a@example.test", more=", [], NULL, FALSE"))
    t.row("all caches are cleared: the managers are still asked", lambda: site.eval("drupal_flush_all_caches();"))

    t.row("a setting is changed", edit("->set('name', 'planted')"), t.config("system.site", "updated", True, True))
    t.row("to the same", edit("->set('name', 'planted')"))
    t.row("one is added", change("$f->getEditable('probe.x')->set('a', 'planted')->save();"), t.config("probe.x", "added", after=True))
    t.row("renamed", change("$f->rename('probe.x', 'probe.y');"), t.config("probe.x", "deleted", before=True), t.config("probe.y", "added", after=True))
    t.row("and deleted", change("$f->getEditable('probe.y')->delete();"), t.config("probe.y", "deleted", before=True))
    t.row("anybody may register", change("$f->getEditable('user.settings')->set('register', 'visitors')->save();"),
          {**t.config("user.settings", "updated", True, True), "flags": ["registration_opened"]})
    t.row("and not any more", change("$f->getEditable('user.settings')->set('register', 'admin_only')->save();"), t.config("user.settings", "updated", True, True))
    t.row("errors are shown to everybody", change("$f->getEditable('system.logging')->set('error_level', 'verbose')->save();"),
          {**t.config("system.logging", "updated", True, True), "flags": ["debug_on"]})
    t.row("state", lambda: site.eval("Drupal::state()->set('probe.x', 'planted');"))
    t.row("our own", change("$f->getEditable('logystera.settings')->set('flush_every_s', 61)->save();"))
    t.row("an import of configuration", lambda: site.eval(
        "$c = Drupal::getContainer(); $d = sys_get_temp_dir() . '/x' . bin2hex(random_bytes(4)); mkdir($d); $sync = new Drupal\\Core\\Config\\FileStorage($d);"
        "$active = $c->get('config.storage'); foreach ($active->listAll() as $n) { $sync->write($n, $active->read($n)); }"
        "$site = $sync->read('system.site'); $site['slogan'] = 'planted'; $sync->write('system.site', $site);"
        "$compare = new Drupal\\Core\\Config\\StorageComparer($sync, $active); $compare->createChangelist();"
        "(new Drupal\\Core\\Config\\ConfigImporter($compare, $c->get('event_dispatcher'), $c->get('config.manager'), $c->get('lock'),"
        "$c->get('config.typed'), $c->get('module_handler'), $c->get('module_installer'), $c->get('theme_handler'), $c->get('string_translation'),"
        "$c->get('extension.list.module'), $c->get('extension.list.theme')))->import();"), t.config("system.site", "updated", True, True))
    t.row("another hash salt", lambda: (open(site.default / "settings.php", "a").write("\n$settings['hash_salt'] = 'planted';\n"), site.command()),
          t.config("settings.hash_salt", "updated", True, True))

    load = "$u = user_load_by_name('alice');"
    user = lambda code: lambda: site.eval(code)
    t.row("roles", user("foreach (['ed', 'au'] as $r) Drupal\\user\\Entity\\Role::create(['id' => $r, 'label' => $r])->save();"),
          t.config("user.role.ed", "added", after=True), t.config("user.role.au", "added", after=True),
          *[t.config(f"system.action.user_{verb}_role_action.{role}", "added", after=True) for role in ["ed", "au"] for verb in ["add", "remove"]])
    t.row("an account", user("Drupal\\user\\Entity\\User::create(['name' => 'alice', 'mail' => 'al@example.test', 'status' => 1])->save();"),
          t.user("created", "authenticated", "alice"))
    t.row("a role", user(f"{load} $u->addRole('ed'); $u->save();"), t.user("role_granted", "ed", "alice"))
    t.row("another in its place", user(f"{load} $u->removeRole('ed'); $u->addRole('au'); $u->save();"),
          t.user("role_revoked", "ed", "alice"), t.user("role_granted", "au", "alice"))
    t.row("another mail address and password", user(f"{load} $u->setEmail('al2@example.test'); $u->setPassword('planted'); $u->save();"),
          t.user("password_changed", "au", "alice"), t.user("email_changed", "au", "alice"))
    factor = lambda status: f"Drupal::service('user.data')->set('tfa', $u->id(), 'tfa_user_settings', ['status' => {status}]);"
    t.row("a second factor, on", user(load + factor(1)))
    t.row("and off", user(load + factor(0)), t.user("second_factor_off", "au", "alice"))
    t.row("on, and thrown away", user(load + factor(1) + "Drupal::service('user.data')->delete('tfa', $u->id());"), t.user("second_factor_off", "au", "alice"))
    t.row("said by another module", user(load + "Drupal::moduleHandler()->invokeAll('logystera_second_factor_off', [(int) $u->id()]);"),
          t.user("second_factor_off", "au", "alice"))
    t.row("a second factor, again", user(load + factor(1)))
    t.row("blocked, and let in again", user(f"{load} $u->block(); $u->save(); $u->activate(); $u->save();"),
          mail("sent", transport="mail", recipients=1), without=["php.error"])
    t.row("what a role may do", user("Drupal\\user\\Entity\\Role::load('au')->grantPermission('administer users')->save();"),
          t.config("user.role.au", "updated", True, True))
    t.row("the account is deleted", user(f"{load} $u->delete();"), t.user("deleted", "au", "alice"))
    t.row("one with two roles", user("Drupal\\user\\Entity\\User::create(['name' => 'bob', 'roles' => ['ed', 'au']])->save();"),
          t.user("created", "ed", "bob"), t.user("role_granted", "au", "bob"))
    return t.done()


def test_table_of_errors_and_cron(world):
    site = world.site("errors")
    t = Changes(world, site)
    ask = lambda kind: lambda: site.get(f"/probe/{kind}", cookies=False)
    page = lambda kind, status=200: t.http("GET", f"/probe/{kind}", status, "page")
    error = lambda level, text, message: t.error(level, line(text), message, file=FAULT)
    undefined = "Undefined variable $undefined_planted"
    t.row("a warning", ask("warning"), error("warning", "echo $undefined", undefined), page("warning"))
    twice = next(n for n, code in enumerate(FAULTS, 1) if "echo $undefined" in code and n > line("echo $undefined"))
    t.row("the same twice", ask("twice"), t.error("warning", twice, undefined, file=FAULT), page("twice"))
    t.row("a silenced one", ask("silenced"), page("silenced"))
    t.row("a fault", ask("fatal"), error("fatal", "probe_has_no_such", "Call to undefined function Drupal<path>()"), page("fatal", 500))
    memory = "Allowed memory size of 0 bytes exhausted (tried to allocate 0 bytes)"
    t.row("no memory", ask("memory"), error("fatal", "str_repeat", memory), page("memory", 500))
    t.row("exit", ask("exit"), page("exit", 418))
    missing = ("SQLSTATE[0]: Base table or view not found: 0 Table ? doesn't exist" if world.database
               else "SQLSTATE[HY000]: General error: 0 no such table: nowhere")
    t.row("an error of the database", ask("database"), page("database", 500),
          {"type": "db.event", "kind": "error", "code": "1146" if world.database else "1", "source": t.hash("address", "127.0.0.1"),
           "query_hash": t.hash("query", "SELECT * FROM nowhere WHERE x = :x")}, without=["php.error"])
    t.row("the same is one of PHP, too", ask("database"), page("database", 500), {**error("fatal", "database()->query", "x"),
          "message_hash": t.hash("message", missing)}, without=["db.event"])

    job = lambda name, outcome="ok": {"type": "cron.run", "job": name, "outcome": outcome}
    ours = ["cron", "probe_cron", "queue:probe"]
    cron = lambda before="": lambda: site.eval(f"{before} Drupal::service('cron')->run();", check=False)
    t.row("cron without its detailed log", cron("Drupal::configFactory()->getEditable('system.cron')->set('logging', FALSE)->save();"), job("cron"),
          only=ours, without=["config.change"])
    site.eval("Drupal::configFactory()->getEditable('system.cron')->set('logging', TRUE)->save();")
    t.settle()
    t.row("cron", cron(), job("cron"), job("probe_cron"), only=ours)
    t.row("a job that throws", cron("Drupal::state()->set('probe.cron', 'throws');"), job("cron"), job("probe_cron", "failed"), only=ours)
    other = "Drupal::database()->insert('semaphore')->fields(['name' => 'cron', 'value' => 'other', 'expire' => time() + 99])->execute();"
    quiet = "Drupal::state()->delete('probe.cron');"
    t.row("cron that runs already", cron(f"{quiet} {other}"), job("cron", "missed"), only=ours)
    site.eval("Drupal::database()->delete('semaphore')->condition('name', 'cron')->execute();")
    fill = lambda *items: "".join(f"Drupal::queue('probe')->createItem('{i}');" for i in items)
    t.row("a queue", cron(fill("a", "b")), job("cron"), job("probe_cron"), job("queue:probe"), only=ours)
    t.row("one that fails", cron(fill("a", "throws")), job("cron"), job("probe_cron"), job("queue:probe", "failed"), only=ours)
    return t.done()


def test_table_of_components(world):
    site = world.site("components")
    site.command()
    t = Changes(world, site)
    modules = site.folder / "modules"
    info = lambda name, version: (modules / name / f"{name}.info.yml").write_text(
        f"name: {name}\ntype: module\nversion: '{version}'\ncore_version_requirement: '>=10.3'\n")

    def files(version):
        (modules / "other").mkdir(exist_ok=True)
        info("other", version)
        site.own(modules / "other")
    part = lambda action, before=None, after=None: t.component("module", "other", action, before, after)
    config, version = ["config.change"], site.eval("echo Drupal::VERSION;")
    t.row("a module comes as files", lambda: files("1.0"), part("installed", after="1.0"), without=config)
    t.row("it is installed", lambda: site.install("other"), part("activated", after="1.0"), without=config)
    t.row("another version", lambda: files("1.1"), part("updated", "1.0", "1.1"), without=config)
    t.row("it is uninstalled", lambda: site.uninstall("other"), part("deactivated", before="1.1"), without=config)
    t.row("its files go", lambda: shutil.rmtree(modules / "other"), part("deleted", before="1.1"), without=config)
    t.row("a theme", lambda: site.eval("Drupal::service('theme_installer')->install(['olivero']);"),
          t.component("theme", "olivero", "activated", after=version), without=config)
    t.row("and gone", lambda: site.eval("Drupal::service('theme_installer')->uninstall(['olivero']);"),
          t.component("theme", "olivero", "deactivated", before=version), without=config)
    return t.done()
