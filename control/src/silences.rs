//! Silences: what a tenant does not want to hear of for a while.

use logystera_infra::directory::{Directory, entry};
use logystera_infra::log::Log;
use logystera_schemas::control::Entity;
use logystera_schemas::ids::{SilenceId, TenantId};
use logystera_schemas::limits::{SILENCE_MS_MAX, SILENCES_MAX};
use logystera_schemas::noise::Silence;
use logystera_schemas::text::check_name;
use logystera_schemas::time::WallMs;
use serde::{Deserialize, Serialize};

use crate::channels::{for_planner, new_id};
use crate::context::Context;
use crate::error::ControlError;
use crate::rules::by;
use crate::settings::{bounded, severity_of, subsystem_of};
use crate::site_change::labels_of;

/// A silence that is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSilence {
    /// Whose; none: the site's tenant, or the default one.
    #[serde(default)]
    pub tenant: Option<String>,
    /// How long, in milliseconds.
    pub for_ms: i64,
    /// When it begins, milliseconds since the epoch; none: now.
    #[serde(default)]
    pub from_ms: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who wants it; none: the command, on its machine.
    #[serde(default)]
    pub author: Option<String>,
    /// Only this site's.
    #[serde(default)]
    pub site: Option<String>,
    /// Only this rule's.
    #[serde(default)]
    pub rule: Option<String>,
    /// Only of this severity.
    #[serde(default)]
    pub severity: Option<String>,
    /// Only of this part of a site.
    #[serde(default)]
    pub subsystem: Option<String>,
    /// Only of sites with these labels, such as `env=production`: of each key one of its values.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// A silence that was made, or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    /// Its id.
    pub silence: String,
    /// Whose it is.
    pub tenant: String,
    /// When it begins, milliseconds since the epoch.
    pub from: i64,
    /// When it is over.
    pub until: i64,
    /// When it was ended by hand.
    pub ended_at: Option<i64>,
}

impl From<&Silence> for Silenced {
    fn from(silence: &Silence) -> Self {
        let (id, tenant) = (silence.silence.to_string(), silence.tenant.to_string());
        let (from, until) = (silence.from.0, silence.until.0);
        Self { silence: id, tenant, from, until, ended_at: silence.ended_at.map(|at| at.0) }
    }
}

/// Days that [`SILENCE_MS_MAX`] is.
const DAYS_MAX: i64 = SILENCE_MS_MAX / 86_400_000;

impl NewSilence {
    /// The silence, if it can be one, under an id that has none or one that is over.
    fn silence(&self, directory: &Directory, host: &str, now: WallMs) -> Result<Silence, ControlError> {
        let flag = |name: &'static str| move |error| ControlError::invalid(format!("--{name}: {error}"));
        let site = self.site.as_deref().map(|site| {
            let missing = || format!("there is no site {site}; `logystera site list` shows them");
            directory.site(site).ok_or_else(|| ControlError::invalid(missing()))
        });
        let site = site.transpose()?;
        let tenant: TenantId = match (&self.tenant, site) {
            (None, None) => only_tenant(directory)?,
            (None, Some(site)) => site.tenant.clone(),
            (Some(tenant), None) => tenant.parse().map_err(flag("tenant"))?,
            (Some(tenant), Some(site)) if *tenant == site.tenant.as_str() => site.tenant.clone(),
            (Some(tenant), Some(site)) => {
                let (id, owner) = (&site.site, &site.tenant);
                return Err(ControlError::invalid(format!("the site {id} is {owner}'s, not {tenant}'s")));
            }
        };
        if directory.tenant(tenant.as_str()).is_none() {
            return Err(ControlError::invalid(format!("there is no tenant {tenant} yet; `site add` makes them")));
        }
        check_name(&self.reason).map_err(|error| ControlError::invalid(format!("--reason {error}")))?;
        let author = self.author.clone().unwrap_or_else(|| by("silence add", host));
        check_name(&author).map_err(|error| ControlError::invalid(format!("--author {error}")))?;
        let from = self.from_ms.map_or(now, WallMs);
        let silence = Silence {
            silence: place(directory, &tenant, now)?,
            tenant,
            author,
            reason: self.reason.clone(),
            created_at: now,
            from,
            until: from.plus(self.for_ms),
            ended_at: None,
            site: site.map(|site| site.site.clone()),
            rule: self.rule.as_deref().map(str::parse).transpose().map_err(flag("rule"))?,
            severity: self.severity.as_deref().map(|text| severity_of("--severity", text)).transpose()?,
            subsystem: self.subsystem.as_deref().map(subsystem_of).transpose()?,
            labels: bounded("--label", labels_of("--label", &self.labels)?)?,
        };
        if !silence.is_bounded() {
            return Err(ControlError::invalid(format!(
                "a silence ends after now and within {DAYS_MAX} days; what nobody wants to hear of for longer is a rule to change"
            )));
        }
        Ok(silence)
    }
}

/// The installation's only tenant.
fn only_tenant(directory: &Directory) -> Result<TenantId, ControlError> {
    let all: Vec<&TenantId> = directory.tenants().map(|known| &known.tenant).collect();
    match all[..] {
        [only] => Ok(only.clone()),
        [] => Err(ControlError::invalid("there is no tenant yet; `site add` makes them".to_owned())),
        _ => {
            let names: Vec<&str> = all.iter().map(|tenant| tenant.as_str()).collect();
            Err(ControlError::invalid(format!("whose alerts? --tenant or --site says it ({})", names.join(", "))))
        }
    }
}

/// A new id, or that of the silence that has been over for longest if the tenant has as many as are kept.
fn place(directory: &Directory, tenant: &TenantId, now: WallMs) -> Result<SilenceId, ControlError> {
    let own: Vec<&Silence> = directory.silences().map(|s| &**s).filter(|s| s.tenant == *tenant).collect();
    if own.len() < SILENCES_MAX {
        return Ok(new_id("sl_"));
    }
    let over = own.iter().filter(|silence| silence.is_over(now));
    let oldest = over.min_by_key(|silence| (silence.ended_at.unwrap_or(silence.until), silence.silence.clone()));
    oldest.map(|silence| silence.silence.clone()).ok_or_else(|| {
        ControlError::invalid(format!(
            "{tenant} has {SILENCES_MAX} silences that are not over, as many as there may be: `logystera silence end ID` ends one"
        ))
    })
}

impl<L: Log> Context<L> {
    /// Silences something. The planner hears of it in the same commit.
    pub(crate) async fn add_silence(&self, new: &NewSilence) -> Result<Silenced, ControlError> {
        let directory = self.writer.directory()?;
        let silence = new.silence(&directory, &self.host, WallMs(self.clock.wall_ms()))?;
        self.check_rules(&directory, &silence.tenant, silence.rule.as_slice())?;
        self.put_silence(silence).await
    }

    /// Ends a silence: what it held back and still fires is told.
    pub(crate) async fn end_silence(&self, id: &str) -> Result<Silenced, ControlError> {
        let directory = self.writer.directory()?;
        let now = WallMs(self.clock.wall_ms());
        let known = directory.silence(id).ok_or_else(|| {
            ControlError::invalid(format!("there is no silence {id}; `logystera silence list` shows them"))
        })?;
        if known.is_over(now) {
            return Err(ControlError::invalid(format!("the silence {id} is over already")));
        }
        self.put_silence(Silence { ended_at: Some(now), ..(**known).clone() }).await
    }

    async fn put_silence(&self, silence: Silence) -> Result<Silenced, ControlError> {
        let told = Silenced::from(&silence);
        let to_planner = for_planner(&silence.tenant, &silence, &self.writer.log);
        self.writer.log.append(vec![entry(&Entity::Silence(silence)), to_planner]).await?;
        Ok(told)
    }
}

#[cfg(test)]
#[path = "silences_tests.rs"]
mod tests;
