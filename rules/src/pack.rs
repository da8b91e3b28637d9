//! The default pack: rules for WordPress and Drupal sites, compiled in. The files stand beside `src/`.

use logystera_processor::core::RuleSet;

use crate::report::RuleError;
use crate::set::from_yaml;

/// The files of the default pack: name and text.
pub const DEFAULT_PACK: [(&str, &str); 6] = [
    ("rules/access.yaml", include_str!("../access.yaml")),
    ("rules/code.yaml", include_str!("../code.yaml")),
    ("rules/cron.yaml", include_str!("../cron.yaml")),
    ("rules/mail.yaml", include_str!("../mail.yaml")),
    ("rules/monitoring.yaml", include_str!("../monitoring.yaml")),
    ("rules/web.yaml", include_str!("../web.yaml")),
];

/// The default pack as a rule set. A test reads it, so that a released binary has no error to return.
pub fn default_pack() -> Result<RuleSet, Vec<RuleError>> {
    from_yaml(&DEFAULT_PACK)
}
