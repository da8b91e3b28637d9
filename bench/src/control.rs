//! What a command pays for the sites that there are already: it reads topic `control` before it decides.

use logystera_infra::clock::Stopwatch;
use logystera_infra::directory::{DirectoryWatch, entry};
use logystera_infra::embedded::Embedded;
use logystera_infra::log::Log;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, Key, Site, SiteRules, Tenant};
use logystera_schemas::ids::{KeyId, Sha256Digest, SiteId, TenantId};

use crate::BenchError;
use crate::cpu::{process_cpu_s, resident_bytes};

/// Sites of a tenant.
const SITES_A_TENANT: usize = 100;
/// Sites that are written at once.
const WRITTEN: usize = 1_000;
/// Bytes of a sealed secret: nonce, 32 bytes, tag.
const SEALED_BYTES: usize = 24 + 32 + 16;

/// Fills an installation in `dir` with so many sites, opens it as a command does, and prints what that took.
pub fn run(dir: &std::path::Path, sites: usize) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let embedded = Embedded::open(dir)?;
    let log = embedded.log();
    for from in (0..sites).step_by(WRITTEN) {
        let entities = (from..sites.min(from + WRITTEN)).flat_map(entities).collect::<Vec<_>>();
        let entries = entities.iter().map(entry).collect();
        runtime.block_on(log.append(entries))?;
        eprint!("\r{from} of {sites} sites are written");
    }
    eprintln!("\r{sites} sites are written        ");
    let (before, cpu, stopwatch) = (resident_bytes("self")?, process_cpu_s("self")?, Stopwatch::start());
    let watch = DirectoryWatch::load(log)?;
    let (took, cpu) = (stopwatch.elapsed(), process_cpu_s("self")? - cpu);
    let grown = resident_bytes("self")?.saturating_sub(before);
    let known = watch.view().current().sites().count();
    println!("{known} sites are known after {took:.2?}, {cpu:.2} CPU s, {} MiB", grown >> 20);
    println!("{:.0} bytes and {:.1} CPU us a site", grown as f64 / sites as f64, 1e6 * cpu / sites as f64);
    Ok(())
}

/// What `site add` writes of a site, and once of its tenant.
fn entities(number: usize) -> Vec<Entity> {
    let tenant: TenantId = name("tenant", number / SITES_A_TENANT);
    let site: SiteId = name("shop-of-some-length", number);
    let at = 1_767_225_600_000 + number as i64;
    let mut entities = vec![
        Entity::Site(Site {
            site: site.clone(),
            tenant: tenant.clone(),
            name: format!("Shop of some length {number}"),
            created_at: at,
            closed_at: None,
            url: None,
            labels: Vec::new(),
        }),
        Entity::SiteRules(SiteRules {
            site: site.clone(),
            digest: Sha256Digest([1; 32]),
            semantics: 2,
            at,
            by: "site add on some-host".to_owned(),
        }),
        Entity::Key(Key {
            site,
            key: name::<KeyId>("k", 1),
            sealed_secret: Blob(vec![(number % 251) as u8; SEALED_BYTES]),
            created_at: at,
            not_before: at,
            not_after: None,
            revoked_at: None,
            stolen: false,
        }),
    ];
    if number.is_multiple_of(SITES_A_TENANT) {
        entities.push(Entity::Tenant(Tenant { name: tenant.to_string(), tenant, created_at: at }));
    }
    entities
}

#[expect(clippy::expect_used, reason = "a name of letters, a dash and a number is an id")]
fn name<T: std::str::FromStr>(kind: &str, number: usize) -> T {
    format!("{kind}-{number}").parse().ok().expect("an id")
}
