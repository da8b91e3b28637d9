//! The default pack: rules for WordPress and Drupal sites, compiled in. The files stand in `rules/`.

use super::RuleError;
use crate::core::RuleSet;

/// The files of the default pack: name and text.
pub const DEFAULT_PACK: [(&str, &str); 6] = [
    ("rules/access.yaml", include_str!("../../../rules/access.yaml")),
    ("rules/code.yaml", include_str!("../../../rules/code.yaml")),
    ("rules/cron.yaml", include_str!("../../../rules/cron.yaml")),
    ("rules/mail.yaml", include_str!("../../../rules/mail.yaml")),
    ("rules/monitoring.yaml", include_str!("../../../rules/monitoring.yaml")),
    ("rules/web.yaml", include_str!("../../../rules/web.yaml")),
];

/// The default pack as a rule set. A test reads it, so that a released binary has no error to return.
pub fn default_pack() -> Result<RuleSet, Vec<RuleError>> {
    RuleSet::from_yaml(&DEFAULT_PACK)
}
