//! The rules that a command is told of.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use logystera_control::rules::Rules;
use logystera_processor::core::{RuleSet, SEMANTICS};
use logystera_rules::{Checked, Level};
use logystera_schemas::limits::{RULE_FILE_BYTES_MAX, RULES_MAX};

use crate::cli::CliError;

/// A rule set as it is published by this version.
pub fn as_published(set: &RuleSet) -> Rules {
    Rules { digest: set.digest, semantics: SEMANTICS, body: set.body.clone() }
}

/// The rules at a path, or the default pack if there is none.
pub fn rules_or_default(path: Option<&Path>) -> Result<RuleSet, CliError> {
    match path {
        Some(path) => load_rules(path),
        None => {
            logystera_rules::default_pack().map_err(|_| CliError::not_available("the default rules cannot be read"))
        }
    }
}

/// Reads rule files as one set that can be used: a file, or a folder of them.
pub fn load_rules(path: &Path) -> Result<RuleSet, CliError> {
    usable(&[path.to_owned()])
}

/// Reads rule files, and folders of them, as one set. The error is a file that cannot be read; what is wrong in the files
/// stands in what comes of them.
pub fn load(paths: &[PathBuf]) -> Result<Checked, CliError> {
    let mut files = Vec::new();
    for path in paths {
        for file in files_of(path)? {
            let bytes = read(&file)?;
            files.push((file.display().to_string(), bytes));
        }
    }
    Ok(logystera_rules::check_files(&files))
}

/// Reads rule files, and folders of them, as one set that can be used.
pub fn usable(paths: &[PathBuf]) -> Result<RuleSet, CliError> {
    let Checked { set, diagnostics, .. } = load(paths)?;
    set.ok_or_else(|| {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Error);
        let listed: Vec<String> = errors.map(ToString::to_string).collect();
        CliError::wrong_use(format!("the rules cannot be used:\n\n{}", listed.join("\n\n")))
    })
}

/// The file itself, or the rule files of a folder in the order of their names.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: std::io::Error| CliError::wrong_use(format!("{}: {error}", path.display()));
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_rules = |file: &PathBuf| file.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(is_rules);
    files.sort();
    match files.len() {
        0 => Err(CliError::wrong_use(format!("{}: no .yaml or .yml file in this folder", path.display()))),
        n if n > RULES_MAX => {
            Err(CliError::wrong_use(format!("{}: {n} files; a set has at most {RULES_MAX} rules", path.display())))
        }
        _ => Ok(files),
    }
}

/// At most one byte more than a rule file may have.
fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    fs::File::open(file)
        .and_then(|open| open.take(RULE_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| CliError::wrong_use(format!("{}: {error}", file.display())))?;
    Ok(bytes)
}
