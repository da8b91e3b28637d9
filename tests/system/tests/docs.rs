//! The examples of the documentation do what they say. A block's language says how it is run; what is run elsewhere, or
//! cannot be run, is named here with the reason.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use logystera_system::docs::{Fence, commands, fence, fences, root};
use logystera_system::process::{PATIENCE, Up, binary, free_port, ok, wait_for};

/// Blocks that this file does not run: page, language, and why.
const NOT_HERE: [(&str, &str, &str); 20] = [
    ("docs/cluster.md", "toml", "tests/deploy checks such files against the binary with Kafka"),
    ("docs/deliveries.md", "json", "alerter/tests has the real ones"),
    ("docs/deliveries.md", "python", "channels/tests/webhook.rs runs it"),
    ("docs/deliveries.md", "js", "tests/messages/languages.py runs it"),
    ("docs/deliveries.md", "php", "tests/messages/languages.py runs it"),
    ("docs/deliveries.md", "go", "tests/messages/languages.py runs it"),
    ("docs/deliveries.md", "java", "tests/messages/languages.py runs it"),
    ("docs/design.md", "json", "shapes with … in them; app/tests/sending_batches.rs has the published vectors"),
    ("docs/design.md", "yaml", "the contract's sketch; docs/rules.md is the manual"),
    ("docs/integrations.md", "php", "a line for a site of its own; tests/integrations has one behind a proxy"),
    ("docs/integrations.md", "sh", "tests/integrations runs both builds"),
    ("docs/operating.md", "sh", "asks a cluster of its reader's own; tests/deploy checks the manifests"),
    ("docs/php.md", "php", "tests/integrations/php_package.py and integrations/php/tests run it"),
    ("docs/php.md", "sh", "tests/integrations/builds runs the build"),
    ("docs/rules.md", "yaml", "rules/src/tests/manual.rs reads it"),
    ("docs/sending-batches.md", "json", "app/tests/sending_batches.rs holds the vectors; answers are shown with …"),
    ("docs/sending-batches.md", "python", "tests/send_python.rs runs the file that it is a copy of"),
    ("docs/topics.md", "python", "the_topics_are_read_as_the_guide_says runs it"),
    ("docs/one-machine.md", "toml", "a_machine_of_its_own_is_set_up_as_the_page_says starts with it"),
    ("infra/deploy/README.md", "sh", "needs Docker and Kubernetes; tests/deploy checks what can be checked offline"),
];

/// Commands that only a binary with Kafka has, or that start a whole installation.
const NOT_IN_THIS_BINARY: [&str; 5] = [
    "logystera gateway",
    "logystera processor",
    "logystera alerter",
    "logystera partitions",
    "--config logystera.toml",
];

/// Programs of others that the examples call, and why they are not run here.
const OTHERS: [(&str, &str); 8] = [
    ("cargo", "it built this test"),
    ("tests/run", "it runs this test"),
    ("kcat", "asks a Kafka; kafka/tests/kafka.rs reads it by the same library"),
    ("duckdb", "run by its package for Python"),
    ("echo", "writes what the next line sends"),
    ("useradd", "needs root; the unit is verified, and its settings are started with"),
    ("install", "needs root"),
    ("systemctl", "needs root"),
];

#[test]
fn every_example_is_run_or_has_a_reason() {
    let mut unknown = Vec::new();
    for block in fences() {
        let Fence { page, language, .. } = &block;
        if NOT_HERE.iter().any(|(p, l, _)| p == page && l == language) || language.is_empty() {
            continue;
        }
        match language.as_str() {
            "sh" | "console" => unknown.extend(unknown_commands(&block)),
            _ => unknown.push(format!("{page}: nobody runs this {language}:\n{}", block.text)),
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

/// The block's commands of ours with words that the binary does not know: each is parsed, and then `--help` ends it.
/// The programs of a line with their arguments: a bar in quotes joins none.
fn stages(line: &str) -> Vec<String> {
    let mut stages = vec![String::new()];
    for part in line.split_inclusive(" | ") {
        let is_quoted = stages.last().is_some_and(|stage| stage.matches('\'').count() % 2 == 1);
        match stages.last_mut() {
            Some(stage) if is_quoted || stage.is_empty() => stage.push_str(part),
            _ => stages.push(part.to_owned()),
        }
    }
    stages.iter().map(|stage| stage.trim_end_matches(" | ").to_owned()).collect()
}

fn unknown_commands(block: &Fence) -> Vec<String> {
    let is_here = |line: &str| !NOT_IN_THIS_BINARY.iter().any(|command| line.contains(command));
    let lines = commands(block).into_iter().filter(|line| is_here(line));
    let ours = lines.flat_map(|line| stages(&line));
    let ours = ours.map(|part| part.trim_start_matches("sudo -u logystera ").to_owned());
    let mut unknown = Vec::new();
    for line in ours {
        if !line.starts_with("logystera ") {
            if !OTHERS.iter().any(|(program, _)| line.starts_with(program)) && !line.starts_with("jq ") {
                unknown.push(format!("{}: nobody runs `{line}`", block.page));
            }
            continue;
        }
        let line = line.split(" > ").next().unwrap_or_default().to_owned();
        let done = shell(Path::new("/"), &format!("{line} --help"));
        if !done.status.success() {
            unknown.push(format!("{}: {line}\n{}", block.page, String::from_utf8_lossy(&done.stderr)));
        }
    }
    unknown
}

/// Runs a line in a shell that finds the binary as `logystera`.
fn shell(folder: &Path, line: &str) -> Output {
    let bin = binary().parent().expect("in a folder").display().to_string();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("PATH={bin}:$PATH; {line}")])
        .current_dir(folder)
        .env("no_proxy", "127.0.0.1,localhost");
    command.stdin(Stdio::null()).output().expect("a shell")
}

fn done(folder: &Path, line: &str) -> String {
    let output = shell(folder, line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // What follows ends when its time is up.
    let is_right = output.status.success() || output.status.code() == Some(124);
    assert!(is_right, "{line}\n{said}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &said
}

#[expect(clippy::disallowed_methods, reason = "signals need times of today")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A folder with `logystera.data` in it, which an `up` has.
fn place() -> (tempfile::TempDir, Up, u16) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let up = Up::start(&dir.path().join("logystera.data"), port, free_port(), &[]);
    (dir, up, port)
}

fn write_signals(folder: &Path) {
    let now = now_ms();
    let line =
        |i: i64| format!("{{\"type\":\"cron.run\",\"at\":{},\"job\":\"j{i}\",\"outcome\":\"ok\"}}\n", now - 10 + i);
    std::fs::write(folder.join("signals.ndjson"), (0..5).map(line).collect::<Vec<_>>().concat()).expect("written");
}

/// What goes on for ever gets two seconds.
fn bounded(line: &str) -> String {
    if line.contains("--follow") { format!("timeout 2 {line}") } else { line.to_owned() }
}

#[test]
fn the_tour_of_the_readme_goes_as_it_says() {
    let (dir, up, _) = place();
    write_signals(dir.path());
    let lines = commands(&fence("README.md", "logystera channel add"));
    assert!(lines[0].starts_with("logystera up"));
    let said: Vec<String> = lines[1..].iter().map(|line| done(dir.path(), &bounded(line))).collect();
    assert!(said.iter().any(|said| said.contains("5 signals in 1 batch")), "{said:?}");
    up.stop();
}

#[test]
fn a_machine_of_its_own_is_set_up_as_the_page_says() {
    const PAGE: &str = "docs/one-machine.md";
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("var").display().to_string();
    let here = |text: &str| text.replace("/var/lib/logystera", &data).replace("sudo -u logystera ", "");
    let settings = fence(PAGE, "admin-listen = ").text;
    let (port, admin_port) = (free_port(), free_port());
    let settings = here(&settings).replace(":8080", &format!(":{port}")).replace(":8081", &format!(":{admin_port}"));
    std::fs::write(dir.path().join("logystera.toml"), settings).expect("written");
    let config = dir.path().join("logystera.toml").display().to_string();
    let up = Up::start(Path::new(&data), port, admin_port, &["--config", &config]);
    for line in commands(&fence(PAGE, "site add \"My shop\"")) {
        done(dir.path(), &here(&bounded(&line)));
    }
    // The DSN names the address of the proxy, which is not here.
    let dsn = std::fs::read_to_string(format!("{data}/my-shop.dsn")).expect("a DSN");
    assert!(dsn.contains("@in.example.com/v1/batches"), "the file's public-url");
    let local = dsn.replace("https://", "http://").replace("in.example.com", &format!("127.0.0.1:{port}"));
    std::fs::write(dir.path().join("my-shop.dsn"), local).expect("written");
    let said: Vec<String> = commands(&fence(PAGE, "hello.ndjson")).iter().map(|line| done(dir.path(), line)).collect();
    assert!(said[1].contains("dry run") && said[1].contains("1 signal in 1 batch,"), "{said:?}");
    assert!(said[2].contains("1 signal sent"), "{said:?}");
    up.stop();

    let unit = std::fs::read_to_string(root().join("infra/deploy/systemd/logystera.service")).expect("the unit");
    let unit = unit.replace("/usr/local/bin/logystera", &binary().display().to_string());
    std::fs::write(dir.path().join("logystera.service"), unit).expect("written");
    if has("systemd-analyze") {
        let verified = done(dir.path(), "systemd-analyze verify --man=no ./logystera.service");
        assert!(!verified.contains("logystera.service:"), "{verified}");
    }
}

/// Whether a program is there; says so if not, and fails in CI for those that it has.
fn has(program: &str) -> bool {
    let is_there = shell(Path::new("/"), &format!("command -v {program}")).status.success();
    if !is_there {
        eprintln!("skipped: {program} is not installed");
    }
    is_there
}

/// Ends with its handle, also if the test fails.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a batch through a proxy that `start` starts in a folder with a certificate, for the gateway's port and to listen on another.
fn through_a_proxy(program: &str, start: impl FnOnce(&Path, u16, u16) -> Killed) {
    if !has(program) || !has("openssl") {
        return;
    }
    let (dir, up, port) = place();
    let tls_port = free_port();
    done(
        dir.path(),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout privkey.pem -out fullchain.pem",
    );
    let proxy = start(dir.path(), port, tls_port);
    wait_for("the proxy", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", tls_port)).ok());

    let data = dir.path().join("logystera.data").display().to_string();
    let dsn = dir.path().join("dsn");
    ok(&["site", "add", "shop", "--data", &data, "--dsn-file", &dsn.display().to_string()]);
    let text = std::fs::read_to_string(&dsn).expect("a DSN");
    let text =
        text.replace("http://", "https://").replace(&format!("127.0.0.1:{port}"), &format!("localhost:{tls_port}"));
    std::fs::write(&dsn, text).expect("written");
    write_signals(dir.path());
    let send = "logystera send signals.ndjson --dsn-file dsn --give-up-after-s 0 --backoff-ms 1";
    let strange = shell(dir.path(), send);
    assert_eq!(strange.status.code(), Some(3), "an authority that nobody knows");
    let said = done(dir.path(), &format!("{send} --ca fullchain.pem"));
    assert!(said.contains("5 signals sent"), "{said}");
    if has("curl") {
        let asked = |of: &str| {
            let asks = format!("curl -s -o answer -w '%{{http_code}}' --noproxy '*' --cacert fullchain.pem {of}");
            done(dir.path(), &asks.replace("HERE", &format!("https://localhost:{tls_port}")))
        };
        assert!(asked("HERE/health/ready").starts_with("404"), "only what senders need");
        std::fs::write(dir.path().join("large"), vec![b'x'; 3 << 19]).expect("written");
        // More than a batch may have: that must not look like an outage, for which a sender would wait. Not in HTTP/2: there curl 7.88
        // takes an answer that comes before the end of its upload as a broken stream.
        let large = asked("--http1.1 --data-binary @large HERE/v1/batches");
        assert!(large.starts_with("413"), "{large}");
    }
    drop(proxy);
    up.stop();
}

#[test]
fn a_batch_gets_through_the_nginx_of_the_page() {
    through_a_proxy("nginx", |folder, port, tls_port| {
        let path = folder.display();
        let server =
            std::fs::read_to_string(root().join("infra/deploy/proxy/nginx.conf")).expect("the proxy's settings");
        let server = server
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
            .replace("listen [::]:443 ssl http2;", "")
            .replace("listen 443", &format!("listen 127.0.0.1:{tls_port}"))
            .replace("/etc/ssl/in.example.com", &path.to_string())
            .replace("in.example.com", "localhost");
        let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};"))
            .concat();
        let whole = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off; {temp}\n{server}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), whole).expect("written");
        done(folder, &format!("nginx -t -c {path}/nginx.conf"));
        // One process: workers would outlive a master that is killed, and hold the output that whoever runs the tests waits for.
        let nginx = Command::new("nginx").args(["-c", &format!("{path}/nginx.conf")]).spawn();
        Killed(nginx.expect("nginx starts"))
    });
}

#[test]
fn a_batch_gets_through_the_caddy_of_the_page() {
    through_a_proxy("caddy", |folder, port, tls_port| {
        let file = root().join("infra/deploy/proxy/Caddyfile");
        // As it stands there, certificates and all.
        let check = format!("HOME={} caddy validate --adapter caddyfile --config {}", folder.display(), file.display());
        done(folder, &check);
        let server = std::fs::read_to_string(file).expect("the proxy's settings");
        let site = format!("https://localhost:{tls_port} {{\n\tbind 127.0.0.1\n\ttls fullchain.pem privkey.pem\n");
        let server =
            server.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}")).replace("in.example.com {\n", &site);
        let whole = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{server}");
        std::fs::write(folder.join("Caddyfile"), whole).expect("written");
        let mut caddy = Command::new("caddy");
        caddy.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(folder).env("HOME", folder);
        Killed(caddy.stderr(Stdio::null()).spawn().expect("caddy starts"))
    });
}

/// Python with the packages that the guide names, in a folder of its own; none where they cannot be had.
fn python() -> Option<String> {
    let venv = binary().ancestors().nth(2).expect("target/").join("tools/docs");
    let python = venv.join("bin/python").display().to_string();
    let ready = || shell(Path::new("/"), &format!("{python} -c 'import fastavro, duckdb'")).status.success();
    let install =
        format!("python3 -m venv {0} && {0}/bin/pip install -q fastavro==1.13.1 duckdb==2.0.1", venv.display());
    if ready() || (shell(Path::new("/"), &install).status.success() && ready()) {
        return Some(python);
    }
    eprintln!("skipped: fastavro and duckdb cannot be had");
    None
}

#[test]
fn the_topics_are_read_as_the_guide_says() {
    const PAGE: &str = "docs/topics.md";
    let (dir, up, _) = place();
    write_signals(dir.path());
    let data = dir.path().join("logystera.data").display().to_string();
    ok(&["site", "add", "shop", "--data", &data, "--dsn-file", &dir.path().join("dsn").display().to_string()]);
    done(dir.path(), "logystera send signals.ndjson --dsn-file dsn");
    // Refused whole, so that a record of another kind is in the topic.
    std::fs::write(dir.path().join("old"), "{\"type\":\"cron.run\",\"at\":5,\"job\":\"a\",\"outcome\":\"ok\"}\n")
        .expect("written");
    shell(dir.path(), "logystera send old --dsn-file dsn");
    let Some(python) = python() else { return up.stop() };
    for line in commands(&fence(PAGE, "duckdb -c")) {
        let line = match line.strip_prefix("duckdb -c ") {
            Some(sql) => format!("{python} -c 'import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())' {sql}"),
            None if line.contains("| jq") && !has("jq") => continue,
            None => line.replace("2026-01-01T00:00:00Z", "beginning"),
        };
        let said = done(dir.path(), &line);
        if line.contains("duckdb") {
            assert!(said.contains("[('cron.run', 'shop', 5), ('integration.dropped', 'shop', 1)]"), "{said}");
        }
    }
    let script = fence(PAGE, "def decode").text
        + "import sqlite3, sys\n\
           rows = sqlite3.connect(sys.argv[1]).execute('select value from log_signals').fetchall()\n\
           for decoded in filter(None, (decode(value) for (value,) in rows)):\n    \
               for signal in decoded.get('signals', []):\n        print(signal[0], signal[1]['job' if 'job' in signal[1] else 'reason'])\n\
           print(len(PAST), 'older versions')\n";
    std::fs::write(dir.path().join("read.py"), script).expect("written");
    let said =
        done(&root(), &format!("{python} {0}/read.py {0}/logystera.data/logystera.sqlite", dir.path().display()));
    for expected in ["logystera.signal.CronRun j0", "logystera.signal.IntegrationDropped", "6 older versions"] {
        assert!(said.contains(expected), "{said}");
    }
    up.stop();
}
