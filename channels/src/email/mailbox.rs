//! Mail addresses: of recipients, and of the sender.

use std::collections::BTreeSet;

use lettre::Address;
use logystera_schemas::limits::MAIL_ADDRESS_CHARS_MAX;

/// A mail address of ASCII: others need a server that takes them.
pub(super) fn address(text: &str) -> Option<Address> {
    let is_fit = text.is_ascii() && text.len() <= MAIL_ADDRESS_CHARS_MAX && !text.contains(['"', ' ', '<', '>', ',']);
    text.parse().ok().filter(|_| is_fit)
}

/// Each address once, as it was first written. Domains are the same in capitals (RFC 5321, section 2.4); what stands
/// before them need not be.
pub(super) fn distinct(given: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let key = |text: &str| match text.rsplit_once('@') {
        Some((user, domain)) => format!("{user}@{}", domain.to_ascii_lowercase()),
        None => text.to_owned(),
    };
    given.iter().filter(|text| seen.insert(key(text))).cloned().collect()
}
