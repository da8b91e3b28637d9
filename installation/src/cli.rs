//! What the subcommands share: exit codes, standard output, and the data folder's flag.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use logystera_control::{ControlError, ErrorKind};
use logystera_infra::embedded::OpenError;
use logystera_infra::log::LogError;
use logystera_replay::ReplayError;
pub use logystera_schemas::text::counted;
use logystera_schemas::text::{ShownLines, escape_json};

/// Exit code: done.
pub const DONE: u8 = 0;
/// Exit code: a finding, such as a difference or a failed test.
pub const FINDING: u8 = 1;
/// Exit code: wrong use.
pub const WRONG_USE: u8 = 2;
/// Exit code: what is needed is not available.
pub const NOT_AVAILABLE: u8 = 3;

/// Whether standard output is a terminal whose user wants colours (see no-color.org).
pub fn in_colour() -> bool {
    let wants = |name: &str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    io::stdout().is_terminal() && wants("NO_COLOR") && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Folder of data where `--data` names none.
pub const DATA_DEFAULT: &str = "logystera.data";

/// Flag of the commands that work on a data folder.
#[derive(clap::Args, Clone, Debug)]
pub struct DataArgs {
    /// Folder with the log and the state
    #[arg(long, value_name = "DIR", env = "LOGYSTERA_DATA", default_value = DATA_DEFAULT, global = true)]
    pub data: PathBuf,
}

/// Flags of the commands that look at an installation or change it.
#[derive(clap::Args, Clone, Debug)]
pub struct PlaceArgs {
    /// A folder.
    #[command(flatten)]
    pub data: DataArgs,
    /// Or a cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
}

impl PlaceArgs {
    /// What a command to copy needs besides, so that it finds the same installation; begins with a blank.
    pub fn flags(&self) -> String {
        #[cfg(feature = "kafka")]
        if let Some(config) = &self.cluster.config {
            return format!(" --config {}", config.display());
        }
        let data = &self.data.data;
        if data == Path::new(DATA_DEFAULT) { String::new() } else { format!(" --data {}", data.display()) }
    }
}

/// Flag of the commands that can make an installation.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct CreateArgs {
    /// Make an installation in the folder where there is none, as `logystera up` does
    #[arg(long)]
    pub create: bool,
}

/// Flag of the commands that also work on an installation on Kafka.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// File of an installation on Kafka, instead of --data
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// File of an installation on Kafka, which this binary cannot read
    #[cfg(not(feature = "kafka"))]
    #[arg(long, value_name = "FILE", global = true, hide = true, value_parser = without_kafka)]
    pub config: Option<std::convert::Infallible>,
}

#[cfg(not(feature = "kafka"))]
fn without_kafka(_: &str) -> Result<std::convert::Infallible, &'static str> {
    Err(
        "it names an installation on Kafka, and this binary was built without --features kafka; for a data folder give --data",
    )
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// Exit code.
    pub code: u8,
    /// For people: what is wrong, and the way out.
    pub message: String,
    /// Whether the same may be done later: the log did not answer.
    away: bool,
    /// Whether another command wrote meanwhile: what was to be done may be decided anew.
    pub fenced: bool,
}

impl CliError {
    /// Wrong use.
    pub fn wrong_use(message: impl Display) -> Self {
        Self::new(WRONG_USE, message)
    }

    /// An error that ends the command with this code.
    pub fn new(code: u8, message: impl Display) -> Self {
        Self { code, message: message.to_string(), away: false, fenced: false }
    }

    /// Whether the same may be done later: the log did not answer.
    #[cfg(feature = "kafka")]
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// What is needed is not available.
    pub fn not_available(message: impl Display) -> Self {
        Self::new(NOT_AVAILABLE, message)
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NoData { .. } | OpenError::NoFolder { .. } => Self::wrong_use(error),
            error => Self::not_available(error),
        }
    }
}

impl From<ControlError> for CliError {
    fn from(ControlError { kind, message }: ControlError) -> Self {
        let code = match kind {
            ErrorKind::Invalid => WRONG_USE,
            ErrorKind::Damaged => FINDING,
            ErrorKind::Unavailable | ErrorKind::Away | ErrorKind::Unsure | ErrorKind::Fenced => NOT_AVAILABLE,
        };
        Self { away: kind == ErrorKind::Away, fenced: kind == ErrorKind::Fenced, ..Self::new(code, message) }
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        ControlError::from(error).into()
    }
}

impl From<ReplayError> for CliError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Log(error) => error.into(),
            ReplayError::Damaged(what) => Self::new(FINDING, what),
            ReplayError::Unavailable(what) => Self::not_available(what),
        }
    }
}

impl From<io::Error> for CliError {
    /// Standard output. A reader that had enough, such as `head`, is no error.
    fn from(error: io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { DONE } else { NOT_AVAILABLE };
        Self::new(code, format_args!("standard output: {error}"))
    }
}

/// What runs the asynchronous part of a command, on its own thread.
pub fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::not_available)
}

/// Ends a command: prints its error, gives its exit code.
pub fn finish(command: &str, done: Result<u8, CliError>) -> ExitCode {
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if error.code != DONE {
                eprintln!("logystera {command}: {}", ShownLines(&error.to_string()));
            }
            ExitCode::from(error.code)
        }
    }
}

/// Prints rows with aligned columns.
pub fn table<const N: usize>(out: &mut Out, rows: &[[String; N]]) -> Result<(), CliError> {
    let widths: Vec<usize> = (0..N).map(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.line(cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Standard output, buffered. What nobody would see, or what would change how the rest is shown, is written as its number.
pub struct Out(BufWriter<StdoutLock<'static>>);

impl Out {
    /// Takes standard output.
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Prints one line.
    pub fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.0, "{}", ShownLines(&line.to_string()))
    }

    /// Prints one JSON object as a line.
    pub fn json(&mut self, object: &impl serde::Serialize) -> io::Result<()> {
        writeln!(self.0, "{}", escape_json(&serde_json::to_string(object)?))
    }

    /// Shows what was printed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Default for Out {
    fn default() -> Self {
        Self::new()
    }
}
