//! What a start that is told less than the one before goes on with: rules that were published stay, as nobody said to take them away;
//! private addresses are a permission, which holds for one run, and who misses it is told.

use std::path::Path;

use logystera_channels::Target;
use logystera_channels::address::{AddressError, vet_url};
use logystera_infra::directory::{Directory, DirectoryView};
use logystera_infra::log::Log;
use logystera_infra::secrets::MasterKey;
use logystera_processor::core::RuleSet;
use logystera_rules::from_canonical;
use logystera_schemas::ids::Sha256Digest;

use crate::cli::CliError;
use crate::installation::rules::rules_or_default;
use logystera_control::deployment::Deployment;

use crate::installation::channels::target;
use crate::installation::deployment::address_policy;

/// What `--rules` calls the default pack.
const DEFAULT_PACK: &str = "default";

/// The rules that this start was told of: a file, a folder of them, or the default pack by its name.
pub(super) fn named(rules: Option<&Path>) -> Result<Option<RuleSet>, CliError> {
    let path = rules.filter(|path| *path != Path::new(DEFAULT_PACK));
    rules.map(|_| rules_or_default(path)).transpose()
}

/// The rules that were published last, else the default pack.
pub(super) fn published(
    deployment: &Deployment,
    directory: &DirectoryView,
    log: &impl Log,
) -> Result<RuleSet, CliError> {
    let pack = rules_or_default(None)?;
    let Some(configured) = &deployment.rules else { return Ok(pack) };
    if configured.digest == pack.digest.to_string() {
        return Ok(pack);
    }
    let digest: Option<Sha256Digest> = configured.digest.parse().ok();
    let set = digest.map(|digest| directory.rule_set(log, &digest)).transpose()?.flatten();
    let body = set.as_ref().and_then(|set| std::str::from_utf8(&set.body.0).ok());
    let kept = body.and_then(|body| from_canonical(body).ok()).ok_or_else(|| {
        CliError::not_available(format!(
            "the rules that sites were last judged by (digest {:.12}) cannot be read by this version: say which ones hold from now on, \
             with --rules PATH, or --rules {DEFAULT_PACK} for the default pack",
            configured.digest
        ))
    })?;
    tracing::info!(
        digest = %kept.digest,
        rules = kept.rules.len(),
        "no --rules: the rules that were published last hold on; --rules {DEFAULT_PACK} publishes this version's default pack"
    );
    Ok(kept)
}

/// The rules, for the one who started it.
pub(super) fn shown(named: Option<&Path>, rules: &RuleSet) -> String {
    match named {
        Some(path) if path != Path::new(DEFAULT_PACK) => path.display().to_string(),
        _ if rules_or_default(None).is_ok_and(|pack| pack.digest == rules.digest) => "the default pack".to_owned(),
        _ => format!(
            "{} as they were published before, digest {:.12}; --rules {DEFAULT_PACK} goes back to the default pack",
            rules.rules.len(),
            rules.digest.to_string()
        ),
    }
}

/// Says which channels get no alert in this run: those of mail if no server was named, and those whose addresses are private
/// if that was not allowed this time.
pub(super) fn miss_channels(deployment: &Deployment, has_mail: bool, directory: &Directory, master: &MasterKey) {
    let policy = address_policy(deployment);
    let channels = directory.tenants().flat_map(|tenant| directory.channels(&tenant.tenant));
    for channel in channels {
        let Some(target) = target(master, channel) else { continue };
        if matches!(target, Target::Email { .. }) && !has_mail {
            tracing::warn!(
                channel = %channel.channel,
                "no alert reaches this channel: this start was not told of a mail server. Start with --smtp and --mail-from, or take \
                 it away: logystera channel remove {}",
                channel.channel
            );
        }
        let Some(url) = target.url() else { continue };
        if let Err(AddressError::NotHttps | AddressError::PrivateName(_) | AddressError::Forbidden { .. }) =
            vet_url(url, policy)
        {
            tracing::warn!(
                channel = %channel.channel,
                "no alert reaches this channel: its address is private or plain http, and this start was not told to allow that. Start \
                 with --allow-private-addresses, or take it away: logystera channel remove {}",
                channel.channel
            );
        }
    }
}
