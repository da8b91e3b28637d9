//! `logystera convert access-log`: a web server's log in the combined format becomes `http.request` signals.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::process::ExitCode;

use logystera_sender::convert;

/// Turn other formats into signals
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(clap::Subcommand)]
enum From {
    AccessLog(AccessLogArgs),
}

/// Turn a web server's access log (combined format) into http.request signals
#[derive(clap::Args)]
#[command(after_help = "Example:
  logystera convert access-log access.log.gz --key-file source.key \\
    > signals.ndjson
  logystera send signals.ndjson --dsn-file site.dsn --rebase-time

Addresses are replaced by HMAC-SHA256 under the key, so keep it to have the same `source` for the same address again;
whoever has it can find an address by trying all of them.

Exit codes: 0 every line was read; 1 some were not; 2 wrong use.")]
struct AccessLogArgs {
    /// Log file, - for standard input
    #[arg(value_name = "FILE|-")]
    input: PathBuf,
    /// Whether the log is compressed; auto looks at its first bytes
    #[arg(long, value_enum, default_value_t = Gz::Auto)]
    gz: Gz,
    /// File with the key that addresses are hashed under; made on first use
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_SOURCE_KEY_FILE")]
    key_file: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Gz {
    Auto,
    Yes,
    No,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    let From::AccessLog(args) = args.from;
    let gz = match args.gz {
        Gz::Auto => convert::Gz::Auto,
        Gz::Yes => convert::Gz::Yes,
        Gz::No => convert::Gz::No,
    };
    let mut output = BufWriter::new(io::stdout().lock());
    match convert::access_log(&args.input, gz, &args.key_file, &mut output) {
        Ok(account) => {
            eprint!("{account}");
            ExitCode::from(u8::from(!account.is_whole()))
        }
        Err(error) => {
            eprintln!("logystera convert: {error}");
            ExitCode::from(2)
        }
    }
}
