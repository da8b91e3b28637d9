//! What `up` says when it has started: where everything is, and what to do next.

use std::fmt::Write;

use logystera_schemas::control::Site;
use logystera_sender::target::is_plain_abroad;

use super::running::Running;
use crate::cli::DATA_DEFAULT;

/// Where it cannot be written the installation is up all the same.
pub(super) fn print(running: &Running, rules: &str, tls: bool) {
    logystera_infra::terminal::aside(format_args!("{}\n", text(running, rules, tls)));
}

fn text(running: &Running, rules: &str, tls: bool) -> String {
    let deployment = &running.deployment;
    let mut text = format!(
        "Logystera is up. Ctrl-C stops it.\n\
         \x20 data      {}\n\
         \x20 batches   {}/v1/batches, audience {}\n\
         \x20 operators http://{}/metrics, /health/ready\n\
         \x20 rules     {rules}\n",
        running.data.display(),
        deployment.url,
        deployment.audience,
        running.admin_listen,
    );
    let is_open = !tls && !running.listen.ip().is_loopback() && deployment.url.starts_with("http://");
    if is_open || is_plain_abroad(&deployment.url) {
        text.push_str(
            "\nIntegrations refuse plain http beyond this machine: give --tls-cert and --tls-key, or put a proxy with TLS in\n\
             front and name its address with --public-url https://…\n",
        );
    }
    hints(running, &mut text);
    text
}

/// What is still missing before an alert can reach somebody, as commands to copy.
fn hints(running: &Running, text: &mut String) {
    let directory = running.directory.current();
    let data = match running.data.to_str() {
        Some(DATA_DEFAULT) => String::new(),
        _ => format!(" --data {}", running.data.display()),
    };
    let has_channel = directory.tenants().any(|t| directory.channels(&t.tenant).next().is_some());
    let first: Option<&Site> = directory.sites().map(AsRef::as_ref).find(|s| s.closed_at.is_none());
    let id = first.map_or("my-shop", |site| site.site.as_str());
    // Writing to a string cannot fail.
    let mut step = |what: &str, command: String| {
        let _ = write!(text, "\n{what}\n  {command}\n");
    };
    if first.is_none() {
        step(
            "Add a site, in another terminal; it prints its key, and the DSN to paste into its integration:",
            format!("logystera site add \"My shop\"{data} --dsn-file {id}.dsn"),
        );
        step(
            "Send it a batch:",
            format!(
                "echo '{{\"type\":\"cron.run\",\"at\":'$(date +%s000)',\"job\":\"wp_version_check\",\"outcome\":\"ok\"}}' > {id}.ndjson\n  \
             logystera send {id}.ndjson --dsn-file {id}.dsn"
            ),
        );
    }
    if !has_channel {
        step(
            "Add a channel, so that alerts reach somebody:",
            format!("logystera channel add webhook https://example.com/hook{data}"),
        );
    }
    step("Watch:", format!("logystera tail detections --follow{data}"));
}
