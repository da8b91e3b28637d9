//! Whether a rule that is named is one of the tenant's: a name that no rule has would silence nothing, and a channel that takes only
//! that rule would be told of nothing.

use std::collections::BTreeSet;

use logystera_infra::directory::Directory;
use logystera_infra::log::{Log, LogError};
use logystera_schemas::ids::{RuleName, Sha256Digest, TenantId};
use logystera_schemas::topic::Topic;
use serde::Deserialize;

use crate::context::Context;
use crate::error::ControlError;

/// Of a rule set's canonical form, what is asked for here.
#[derive(Deserialize)]
struct Body {
    rules: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl<L: Log> Context<L> {
    /// Whether all are names of rules that the tenant's sites run, or that new sites will. Where no rules are known, any name may
    /// be right.
    pub(crate) fn check_rules(
        &self,
        directory: &Directory,
        tenant: &TenantId,
        named: &[RuleName],
    ) -> Result<(), ControlError> {
        if named.is_empty() {
            return Ok(());
        }
        let known = self.rule_names(directory, tenant)?;
        match named.iter().find(|name| !known.is_empty() && !known.contains(name.as_str())) {
            None => Ok(()),
            Some(unknown) => Err(ControlError::invalid(unknown_rule(unknown.as_str(), tenant, &known))),
        }
    }

    /// The names of all rules that the tenant's sites run, and of those that new sites will.
    fn rule_names(&self, directory: &Directory, tenant: &TenantId) -> Result<BTreeSet<String>, LogError> {
        let open = directory.sites().filter(|site| site.tenant == *tenant && site.closed_at.is_none());
        let of_sites = open.filter_map(|site| directory.site_rules(site.site.as_str()).map(|rules| rules.digest));
        let sets: BTreeSet<Sha256Digest> = of_sites.chain(directory.published()).collect();
        let mut names = BTreeSet::new();
        for digest in sets {
            let read = |from| self.writer.log.read(Topic::Control, 0, from, 1);
            let set = directory.rule_set(&digest, read)?;
            let body = set.and_then(|set| serde_json::from_slice::<Body>(&set.body.0).ok());
            names.extend(body.into_iter().flat_map(|body| body.rules).map(|rule| rule.name));
        }
        Ok(names)
    }
}

fn unknown_rule(name: &str, tenant: &TenantId, known: &BTreeSet<String>) -> String {
    let near = nearest(name, known).map_or(String::new(), |near| format!(" Did you mean {near}?"));
    format!(
        "--rule: {tenant} has no rule {name}.{near} A rule that is to come is published first: `logystera rules publish`; those of the \
         pack: `logystera rules show`"
    )
}

/// The known name that differs least, if it differs by no more than a third of its letters.
fn nearest<'a>(name: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let by_distance = known.iter().map(|other| (strsim::levenshtein(name, other), other.as_str()));
    by_distance.min().filter(|(distance, other)| *distance * 3 <= other.len()).map(|(_, other)| other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told_and_none_that_is_far_off() {
        let known = ["cron-stopped", "mail-delivery-failing", "mail-queue", "site-silent"];
        let known: BTreeSet<String> = known.map(str::to_owned).into();
        for (name, near) in [
            ("mail-delivery-fail", Some("mail-delivery-failing")),
            ("mail-delivery-faling", Some("mail-delivery-failing")),
            ("cronstopped", Some("cron-stopped")),
            ("site-silence", Some("site-silent")),
            ("brute-force", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, &known), near, "{name}");
        }
        assert_eq!(nearest("x", &BTreeSet::new()), None);
        for (a, b, steps) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)] {
            assert_eq!(strsim::levenshtein(a, b), steps);
            assert_eq!(strsim::levenshtein(b, a), steps);
        }
    }
}
