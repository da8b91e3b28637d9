//! `site set`: what a site is called, where it is, and what it is sorted by.

use logystera_control::Request;
use logystera_control::site_change::{SiteChange, SiteNow};
use logystera_schemas::text::Shown;
use serde_json::json;

use crate::cli::{CliError, Out};

/// Examples of the command.
pub(super) const EXAMPLES: &str = "Examples:
  logystera site set my-shop --name \"Our shop\" --url https://shop.example
  logystera site set my-shop --label env=production --label team=shop
  logystera site set my-shop --no-url --no-label team

What is not named stays as it is; a label takes the place of one with the same
key. Messages tell name, address and labels from their first attempt on: one
that is tried again says what it said. Channels and silences go by labels:
logystera channel set CHANNEL --label env=production";

/// What is changed.
#[derive(clap::Args)]
pub(super) struct SetArgs {
    /// Its name for people
    #[arg(long)]
    name: Option<String>,
    /// Its address on the web, for people
    #[arg(long, value_name = "URL", conflicts_with = "no_url")]
    url: Option<String>,
    /// No address
    #[arg(long)]
    no_url: bool,
    /// Something that you sort sites by; can be given several times, once of each key
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// No label of this key; can be given several times
    #[arg(long, value_name = "KEY")]
    no_label: Vec<String>,
}

impl SetArgs {
    /// The change that is asked for.
    pub(super) fn request(&self, site: &str) -> Result<Request, CliError> {
        let change = SiteChange {
            name: self.name.clone(),
            url: if self.no_url { Some(String::new()) } else { self.url.clone() },
            labels: self.label.clone(),
            no_labels: self.no_label.clone(),
        };
        if change == SiteChange::default() {
            return Err(CliError::wrong_use(
                "name what is to change, such as --label env=production; --help shows all",
            ));
        }
        if self.url.as_deref() == Some("") {
            return Err(CliError::wrong_use("--url: an address, such as https://shop.example; --no-url takes it away"));
        }
        Ok(Request::SiteSet { site: site.to_owned(), change })
    }
}

/// Says what the site is now.
pub(super) fn tell(out: &mut Out, now: &SiteNow, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return Ok(out.json(&json!(now))?);
    }
    out.line(format_args!("site      {}", now.site))?;
    out.line(format_args!("name      {}", Shown(&now.name)))?;
    out.line(format_args!("address   {}", now.url.as_deref().unwrap_or("-")))?;
    out.line(format_args!("labels    {}", if now.labels.is_empty() { "-".to_owned() } else { now.labels.join(", ") }))?;
    out.line("")?;
    out.line(if now.changed { "It is so from now on." } else { "It was so before: nothing was changed." })?;
    Ok(())
}
