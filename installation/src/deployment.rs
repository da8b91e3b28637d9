//! The deployment of a data folder: as the log has it, else as an older version wrote it beside the log.

use std::io::Read;
use std::path::Path;

use logystera_channels::address::AddressPolicy;
use logystera_control::deployment::Deployment;
use logystera_infra::directory::Directory;
use logystera_infra::embedded::DEPLOYMENT_FILE;
use logystera_infra::files;
use logystera_infra::secrets::random_bytes;

use crate::cli::CliError;

/// Bytes of an older version's file that are looked at.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The folder's deployment: as the log has it; else as an older version wrote it beside the log. A folder without sites
/// gets a name of its own, so that a batch captured from one installation is refused by every other. One with sites
/// does not: its senders sign for the name that it had. `audience` is the name that the operator gives.
pub fn deployment_of(dir: &Path, directory: &Directory, audience: Option<&str>) -> Result<Deployment, CliError> {
    let known = match directory.deployment() {
        Some(record) => Some(Deployment::from(record.as_ref())),
        None => beside(dir)?,
    };
    let named = audience.map(str::to_owned);
    let is_used = directory.sites().next().is_some() || directory.sealed() > 0;
    match (known, named) {
        (Some(known), None) => Ok(known),
        (Some(known), Some(audience)) => Ok(Deployment { audience, ..known }),
        (None, Some(audience)) => Ok(Deployment::new(audience)),
        (None, None) if is_used => Err(CliError::not_available(format!(
            "the folder {0} has sites, and nothing in it says which name their batches are signed for. An older version kept it \
             in {DEPLOYMENT_FILE}: put that file back; or give the name, which stands behind audience= in each site's DSN: \
             logystera up --data {0} --audience NAME",
            dir.display()
        ))),
        (None, None) => {
            let name: String = random_bytes::<4>().iter().map(|b| char::from(b'a' + b % 26)).collect();
            Ok(Deployment::new(format!("logystera-{name}")))
        }
    }
}

/// What an older version wrote beside the log.
fn beside(dir: &Path) -> Result<Option<Deployment>, CliError> {
    let path = dir.join(DEPLOYMENT_FILE);
    let failed = |error: &dyn std::fmt::Display| CliError::not_available(format!("{}: {error}", path.display()));
    let mut text = String::new();
    match files::open_for_reading(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)) {
        Ok(_) => toml::from_str(&text).map(Some).map_err(|e| failed(&e)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Removes what an older version wrote beside the log, once the log has it.
pub fn leave_the_file(dir: &Path) {
    let path = dir.join(DEPLOYMENT_FILE);
    if let Err(error) = files::remove_leftover(&path) {
        tracing::warn!(path = %path.display(), %error, "the log has what stands in this file; it counts no more, remove it");
    }
}

/// Which addresses channels may have.
pub fn address_policy(deployment: &Deployment) -> AddressPolicy {
    if deployment.allow_private_addresses { AddressPolicy::AllowPrivate } else { AddressPolicy::PublicOnly }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::{Entity, Site};

    use super::*;

    fn directory(entities: Vec<Entity>) -> Directory {
        let mut directory = Directory::default();
        for entity in entities {
            directory.put(entity);
        }
        directory
    }

    fn site() -> Entity {
        let (site, tenant) = ("shop".parse().unwrap(), "t1".parse().unwrap());
        Entity::Site(Site {
            site,
            tenant,
            name: "Shop".to_owned(),
            created_at: 5,
            closed_at: None,
            url: None,
            labels: Vec::new(),
        })
    }

    /// An older version's file.
    const FILE: &str = "audience = \"old\"\nurl = \"https://in.example\"\nallow_private_addresses = true\n\
                        [rules]\ndigest = \"d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2\"\nsemantics = 1\n";

    #[test]
    fn a_folder_keeps_its_deployment_and_none_is_drawn_beside_data() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = deployment_of(dir.path(), &directory(vec![]), None).unwrap();
        assert!(
            logystera_control::deployment::is_audience(&fresh.audience) && fresh.rules.is_none(),
            "{}",
            fresh.audience
        );

        let refused = deployment_of(dir.path(), &directory(vec![site()]), None).unwrap_err();
        assert!(refused.code == 3 && refused.message.contains("--audience NAME"), "{refused}");
        let named = deployment_of(dir.path(), &directory(vec![site()]), Some("eu")).unwrap();
        assert_eq!(named.audience, "eu");

        std::fs::write(dir.path().join(DEPLOYMENT_FILE), FILE).unwrap();
        let moved = deployment_of(dir.path(), &directory(vec![site()]), None).unwrap();
        assert_eq!((moved.audience.as_str(), moved.rules.as_ref().unwrap().semantics), ("old", 1));

        // What the log has counts, whatever stands beside it.
        let record = logystera_schemas::control::Deployment { audience: "log".to_owned(), ..moved.record().unwrap() };
        let there = deployment_of(dir.path(), &directory(vec![site(), Entity::Deployment(record)]), None).unwrap();
        assert_eq!(there, Deployment { audience: "log".to_owned(), ..moved });
        leave_the_file(dir.path());
        assert!(!dir.path().join(DEPLOYMENT_FILE).exists());
    }
}
