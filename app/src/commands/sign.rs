//! `logystera sign`: the signature of a batch, taken apart, for whoever writes a sender.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::ids::{BatchId, IdError, KeyId, Sha256Digest, SiteId};
use logystera_schemas::limits::WIRE_BYTES_MAX;
use logystera_schemas::signature::{CONTENT_TYPE, Secret, Signed};
use logystera_sender::explain::explain;
use logystera_sender::target::{TargetError, read_secret};

use crate::commands::send::target_args::TargetArgs;

/// Print the signature header of a batch, and with --explain the exact string that is signed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera sign --explain --site site_7qd --key k2 --audience eu-prod \\
    --batch 9f86d081884c7d65.1 --body batch.json
  logystera sign --dsn-file site.dsn --batch 9f86d081884c7d65.1 \\
    --encoding gzip --body batch.json.gz

Without a secret, --explain still prints what has to be signed. Exit codes: 0 done; 2 wrong use.")]
pub struct Args {
    /// Print field by field what is signed, and the string itself
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    target: TargetArgs,
    /// Seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=9_999_999_999))]
    ts: Option<i64>,
    /// Batch, <16 hex digits>.<number from 1>
    #[arg(long, value_name = "SPOOL.SEQ", value_parser = parse_batch)]
    batch: BatchId,
    /// Content-Encoding of the body: identity (none) or gzip
    #[arg(long, default_value = "identity", value_parser = ["identity", "gzip"])]
    encoding: String,
    /// File with the body as it is sent, - for standard input
    #[arg(long, value_name = "FILE|-")]
    body: PathBuf,
}

fn parse_batch(text: &str) -> Result<BatchId, IdError> {
    text.parse()
}

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("no --audience: the name that `logystera site add` printed")]
    NoAudience,
    #[error("no secret to sign with: give --dsn-file or --secret-file, or --explain to see what would be signed")]
    NoSecret,
    #[error("{}: {source}", path.display())]
    Body { path: PathBuf, source: io::Error },
    #[error("{}: over {WIRE_BYTES_MAX} bytes, which no gateway takes", .0.display())]
    TooLarge(PathBuf),
}

/// Who signs.
struct Signer {
    site: SiteId,
    key: KeyId,
    audience: String,
    secret: Option<Secret>,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "a subcommand's arguments are its own")]
pub fn run(args: Args) -> ExitCode {
    match sign(&args) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("logystera sign: {error}");
            ExitCode::from(2)
        }
    }
}

fn sign(args: &Args) -> Result<String, SignError> {
    let signer = signer(&args.target)?;
    let body = read_body(&args.body)?;
    let facts = Signed {
        audience: &signer.audience,
        site: &signer.site,
        key: &signer.key,
        ts: args.ts.unwrap_or_else(|| SystemClock::new().wall_ms().div_euclid(1_000)),
        batch: args.batch,
        content_type: CONTENT_TYPE.as_bytes(),
        content_encoding: args.encoding.as_bytes(),
        body_digest: Sha256Digest::of(&body),
    };
    match (&signer.secret, args.explain) {
        (secret, true) => Ok(explain(&facts, secret.as_ref(), body.len())),
        (Some(secret), false) => Ok(format!("Logystera-Signature: {}\n", facts.sign(secret))),
        (None, false) => Err(SignError::NoSecret),
    }
}

fn signer(args: &TargetArgs) -> Result<Signer, SignError> {
    if args.dsn_file.is_some() {
        let target = args.target()?;
        let secret = Some(target.secret);
        return Ok(Signer { site: target.site, key: target.key, audience: target.audience, secret });
    }
    let (site, key) = args.names()?;
    let audience = args.audience.clone().ok_or(SignError::NoAudience)?;
    let secret = args.secret_file.as_deref().map(read_secret).transpose()?;
    Ok(Signer { site, key, audience, secret })
}

fn read_body(path: &Path) -> Result<Vec<u8>, SignError> {
    let mut bytes = Vec::new();
    let reader: io::Result<Box<dyn Read>> = match path.to_str() {
        Some("-") => Ok(Box::new(io::stdin())),
        _ => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let read = reader.and_then(|reader| reader.take(WIRE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|source| SignError::Body { path: path.to_owned(), source })?;
    if bytes.len() > WIRE_BYTES_MAX { Err(SignError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"through":1767225600000,"integration":{"platform":"other","version":"1.0.0","enabled":["cron.run"]},"signals":[{"type":"cron.run","at":1767225599000,"job":"wp_version_check","outcome":"ok"}]}"#;

    fn args(dir: &Path, with_secret: bool) -> Args {
        let secret = dir.join("secret");
        std::fs::write(&secret, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n").unwrap();
        std::fs::write(dir.join("body"), BODY).unwrap();
        Args {
            explain: true,
            target: TargetArgs {
                site: Some("site_7qd".into()),
                key: Some("k2".into()),
                audience: Some("eu-prod".into()),
                secret_file: with_secret.then_some(secret),
                ..TargetArgs::default()
            },
            ts: Some(1_767_225_600),
            batch: "9f86d081884c7d65.1".parse().unwrap(),
            encoding: "identity".into(),
            body: dir.join("body"),
        }
    }

    #[test]
    fn the_designs_vector_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let text = sign(&args(dir.path(), true)).unwrap();
        let expected = r#"Eleven lines are signed, joined by LF (0x0a), with no LF at the end:

   1  version           v1
   2  method            POST
   3  path              /v1/batches   # always literally this
   4  audience          eu-prod   # the deployment's name; not in the header
   5  site              site_7qd
   6  key               k2
   7  ts                1767225600   # seconds since 1970, 10 digits; fresh for each try
   8  batch             9f86d081884c7d65.1   # <spool>.<seq>; the same for each try
   9  content type      application/json
  10  content encoding  identity   # `identity` where the header is absent
  11  body digest       efbd3e3cfa72560f1b04c224c3489ac9d7dcc927bdcf712b9e53c601b88cd630   # SHA-256 of the body as it is sent (192 bytes)

The same as one string of 160 bytes, escaped:

"v1\nPOST\n/v1/batches\neu-prod\nsite_7qd\nk2\n1767225600\n9f86d081884c7d65.1\napplication/json\nidentity\nefbd3e3cfa72560f1b04c224c3489ac9d7dcc927bdcf712b9e53c601b88cd630"

HMAC-SHA256 under the key's 32 bytes (its 64 hex digits, decoded):

094c758eec0d652e63792aba729a65b3d66eb8be376b16be8a4857d4232b4673

The headers of this request:

Logystera-Signature: v1 site=site_7qd,key=k2,ts=1767225600,batch=9f86d081884c7d65.1,sig=094c758eec0d652e63792aba729a65b3d66eb8be376b16be8a4857d4232b4673
Content-Type: application/json
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn without_a_secret_only_the_string_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut args = args(dir.path(), false);
        let text = sign(&args).unwrap();
        assert!(
            text.contains("sig=<HMAC-SHA256>") && text.contains("efbd3e3c") && !text.contains("094c758e"),
            "{text}"
        );
        args.explain = false;
        assert!(matches!(sign(&args), Err(SignError::NoSecret)));
        args.target.audience = None;
        assert!(matches!(sign(&args), Err(SignError::NoAudience)));
    }

    #[test]
    fn the_header_alone_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let mut args = args(dir.path(), true);
        args.explain = false;
        args.encoding = "gzip".into();
        std::fs::write(dir.path().join("body"), "").unwrap();
        let text = sign(&args).unwrap();
        assert!(
            text.starts_with("Logystera-Signature: v1 site=site_7qd,key=k2,") && text.lines().count() == 1,
            "{text}"
        );
        std::fs::write(dir.path().join("body"), vec![b' '; WIRE_BYTES_MAX + 1]).unwrap();
        assert!(matches!(sign(&args), Err(SignError::TooLarge(_))));
    }
}
