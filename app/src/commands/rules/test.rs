//! `logystera rules test`: the tests that stand in rule files, run.

use std::fs;
use std::path::PathBuf;

use logystera_rules::{Checked, summary};
use logystera_rules_test::{junit, run, shown};

use crate::cli::{CliError, DONE, FINDING, Out, in_colour};
use crate::installation::rules::load;

#[derive(clap::Args, Debug)]
pub(super) struct TestArgs {
    /// Rule files, or folders of which every .yaml and .yml file is read
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<PathBuf>,
    /// Write the results to this file, too, as `JUnit` XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) fn test(args: &TestArgs) -> Result<u8, CliError> {
    let mut out = Out::new();
    let Checked { set, tests, diagnostics } = load(&args.paths)?;
    let Some(set) = set else {
        for diagnostic in &diagnostics {
            out.line(diagnostic.rendered(in_colour()) + "\n")?;
        }
        out.line(summary(&diagnostics))?;
        out.flush()?;
        return Ok(FINDING);
    };
    let results = tests.iter().map(run).collect::<Result<Vec<_>, _>>();
    let results = results.map_err(|error| CliError::not_available(error.to_string()))?;
    let is_tested = |rule: &str| tests.iter().any(|tests| tests.rule.as_str() == rule);
    let without: Vec<&str> = set.rules.iter().map(|rule| rule.name.as_str()).filter(|rule| !is_tested(rule)).collect();
    for line in shown(&results, &without).lines() {
        out.line(line)?;
    }
    out.flush()?;
    if let Some(file) = &args.junit {
        fs::write(file, junit(&results)).map_err(|e| CliError::wrong_use(format!("{}: {e}", file.display())))?;
    }
    let failed = results.iter().flat_map(|result| &result.tests).any(|test| !test.failures.is_empty());
    Ok(if failed { FINDING } else { DONE })
}
