//! `channel set`: what a channel gets, and when.

use logystera_control::Request;
use logystera_control::settings::{NONE, SettingsChange};

use crate::cli::CliError;

/// Examples of the command.
pub(super) const EXAMPLES: &str = "Examples:
  logystera channel set ch_0123456789 --severity warning --subsystem mail
  logystera channel set ch_0123456789 --quiet 22:00-07:00+02:00 \\
    --quiet-except critical
  logystera channel set ch_0123456789 --no-resolved --per-minute 10
  logystera channel set ch_0123456789 --label env=production
                          only alerts of sites with this label
  logystera channel set ch_0123456789 --fallback on
                          told of what no other channel took, and only that
  logystera channel set ch_0123456789 --severity info --all-subsystems \\
    --no-quiet
                          undoes the first two

What is not named stays as it is. An alert that no channel takes has a row in
topic attempts that says so: logystera delivery list --state not_sent";

/// What is changed.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line, each its own")]
pub(super) struct SetArgs {
    /// Only what is at least this bad: warning, critical; info takes everything
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// Only this part of a site, such as mail; can be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "all_subsystems")]
    subsystem: Vec<String>,
    /// Every part of a site
    #[arg(long)]
    all_subsystems: bool,
    /// Only this rule's alerts; can be given several times
    #[arg(long, value_name = "RULE", conflicts_with = "all_rules")]
    rule: Vec<String>,
    /// Those of every rule
    #[arg(long)]
    all_rules: bool,
    /// Only this site's alerts; can be given several times
    #[arg(long, value_name = "SITE", conflicts_with = "all_sites")]
    site: Vec<String>,
    /// Those of every site
    #[arg(long)]
    all_sites: bool,
    /// Only alerts of sites with this label; can be given several times: one value of each key is enough
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "all_labels")]
    label: Vec<String>,
    /// Those of sites with any labels, or none
    #[arg(long)]
    all_labels: bool,
    /// Tell it that something is over, too
    #[arg(long, conflicts_with = "no_resolved")]
    resolved: bool,
    /// Do not tell it that something is over
    #[arg(long)]
    no_resolved: bool,
    /// Hours in which nothing is sent, as 22:00-07:00+02:00: from, to, and how far that clock is from UTC
    #[arg(long, value_name = "HOURS", conflicts_with = "no_quiet")]
    quiet: Option<String>,
    /// No such hours
    #[arg(long)]
    no_quiet: bool,
    /// What is told in these hours all the same: what is at least this bad; none: nothing
    #[arg(long, value_name = "SEVERITY")]
    quiet_except: Option<String>,
    /// Messages a minute, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "no_per_minute")]
    per_minute: Option<u32>,
    /// As many as its kind takes: Slack and Teams 30, email 20, a webhook as they come
    #[arg(long)]
    no_per_minute: bool,
    /// Whether it is told of what no other channel took, and of nothing else; one channel of a tenant can be
    #[arg(long, value_name = "on|off", value_parser = ["on", "off"])]
    fallback: Option<String>,
}

impl SetArgs {
    /// The change that is asked for.
    pub(super) fn request(&self, channel: &str) -> Result<Request, CliError> {
        let list = |named: &[String], all: bool| (all || !named.is_empty()).then(|| named.to_vec());
        let resolved = (self.resolved || self.no_resolved).then_some(self.resolved);
        let change = SettingsChange {
            severity: self.severity.clone(),
            subsystems: list(&self.subsystem, self.all_subsystems),
            rules: list(&self.rule, self.all_rules),
            sites: list(&self.site, self.all_sites),
            labels: list(&self.label, self.all_labels),
            resolved,
            quiet: if self.no_quiet { Some(NONE.to_owned()) } else { self.quiet.clone() },
            quiet_except: self.quiet_except.clone(),
            per_minute: if self.no_per_minute { Some(0) } else { self.per_minute },
            fallback: self.fallback.as_ref().map(|said| said == "on"),
        };
        if change == SettingsChange::default() {
            return Err(CliError::wrong_use("name what is to change, such as --severity warning; --help shows all"));
        }
        Ok(Request::ChannelSet { channel: channel.to_owned(), change })
    }
}
