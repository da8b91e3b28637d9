//! The socket in the data folder: one JSON object a line each way, then the connection is closed. Who can open it owns
//! the folder.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use logystera_infra::accept::AcceptFaults;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::log::Log;
use logystera_infra::shutdown::Shutdown;
use logystera_infra::telemetry::Seldom;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use logystera_control::{Answer, ControlError, ControlService, Request};
use serde::{Deserialize, Serialize};

use crate::cli::CliError;

/// Name of the socket in the data folder.
const SOCKET_FILE: &str = "logystera.sock";

/// Bytes of a request or an answer.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// How long a request may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a command waits for its answer: a test of a channel can take as long as an attempt.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// Why it was not done.
#[derive(Serialize, Deserialize)]
struct Refusal {
    /// The command's exit code.
    code: u8,
    /// For people.
    message: String,
}

/// Asks the process that serves the folder's socket. None: nobody does.
pub fn call(dir: &Path, request: &Request) -> Result<Option<Result<Answer, CliError>>, CliError> {
    let mut stream = match UnixStream::connect(dir.join(SOCKET_FILE)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(dir, &error)),
    };
    let answer = exchange(&mut stream, request).map_err(|e| failed(dir, &e))?;
    Ok(Some(answer.map_err(|refusal| CliError::new(refusal.code, refusal.message))))
}

fn failed(dir: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::not_available(format!("{}: {error}", dir.join(SOCKET_FILE).display()))
}

fn exchange(stream: &mut UnixStream, request: &Request) -> io::Result<Result<Answer, Refusal>> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// The folder's socket, which removes itself. The caller holds the folder's lock.
pub struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Makes the socket.
    pub fn bind(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(SOCKET_FILE);
        // What a killed process left is nobody's: the folder's lock is ours.
        let bound = match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => UnixListener::bind(&path),
        };
        let owned = |listener: UnixListener| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map(|()| listener)
        };
        match bound.and_then(owned) {
            Ok(listener) => Ok(Self { listener, path }),
            Err(error) => Err(failed(dir, &error)),
        }
    }
}

/// Serves the socket until `shutdown`, one request at a time.
pub async fn serve<L: Log>(socket: AdminSocket, service: Arc<ControlService<L>>, shutdown: Shutdown) {
    let AdminSocket { listener, path } = socket;
    let faults = AcceptFaults::of("folder");
    let (seldom, clock) = (Seldom::new(), SystemClock::new());
    loop {
        let accepted = async {
            let accepted = listener.accept().await;
            if let Err(error) = &accepted {
                faults.pause(error).await;
            }
            accepted
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.wait() => break,
        };
        let Ok((stream, _)) = accepted else { continue };
        let served = answer(stream, &service).await;
        if let Err(error) = served
            && let Some(left_out) = seldom.due(clock.monotonic_ms())
        {
            tracing::warn!(%error, left_out, "a request on the folder's socket came to nothing");
        }
    }
    if let Err(error) = std::fs::remove_file(&path) {
        tracing::warn!(%error, "the folder's socket stays; the next start removes it");
    }
}

async fn answer<L: Log>(mut stream: tokio::net::UnixStream, service: &ControlService<L>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut read = tokio::io::BufReader::new(read.take(LINE_BYTES_MAX));
    tokio::time::timeout(READ_TIMEOUT, read.read_line(&mut line)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => service.execute(request).await,
        Err(error) => Err(ControlError::invalid(format!("not a request of this version: {error}"))),
    };
    let answer = answer.map_err(|error| {
        let CliError { code, message, .. } = error.into();
        Refusal { code, message }
    });
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}
