//! `logystera rules explain`: what the codes of `rules check` mean.

use logystera_rules::{Code, codes, explain};

use crate::cli::{CliError, DONE, Out};

#[derive(clap::Args, Debug)]
pub(super) struct ExplainArgs {
    /// A code, such as E302 [default: a list of all codes]
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub(super) fn run(args: &ExplainArgs) -> Result<u8, CliError> {
    let text = match &args.code {
        None => codes(),
        Some(name) => Code::from_name(name).map(explain).ok_or_else(|| {
            CliError::wrong_use(format!("there is no code {name}; `logystera rules explain` lists them"))
        })?,
    };
    let mut out = Out::new();
    for line in text.lines() {
        out.line(line)?;
    }
    out.flush()?;
    Ok(DONE)
}
