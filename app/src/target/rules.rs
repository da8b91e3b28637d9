//! The rules that a command is told of.

use std::path::Path;

use logystera_control::rules::Rules;
use logystera_processor::core::{RuleSet, SEMANTICS};

use crate::cli::CliError;

/// A rule set as it is published by this version.
pub fn as_published(set: &RuleSet) -> Rules {
    Rules { digest: set.digest, semantics: SEMANTICS, body: set.body.clone() }
}

/// The rules at a path, or the default pack where there is none.
pub fn rules_or_default(path: Option<&Path>) -> Result<RuleSet, CliError> {
    match path {
        Some(path) => load_rules(path),
        None => logystera_processor::rules::default_pack()
            .map_err(|_| CliError::not_available("the default rules cannot be read")),
    }
}

/// Reads rule files as one set: a file, or a folder of them.
pub fn load_rules(path: &Path) -> Result<RuleSet, CliError> {
    crate::commands::rules::usable(&[path.to_owned()])
}
