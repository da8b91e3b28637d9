//! The accept loop: HTTP/1.1 and HTTP/2 on one listener, every wait with an end, and a shutdown that finishes what runs.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use logystera_schemas::limits::{H2_STREAMS_MAX, H2_WINDOW_BYTES, HEADER_BYTES_MAX, HEADERS_MAX};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::config::Timing;
use crate::tls::Tls;

mod prefixed;
use prefixed::{PREFIX_BYTES, Prefixed};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const H2_PREFACE: [u8; PREFIX_BYTES] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes that are read from a connection at once.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How often an idle HTTP/2 peer is asked whether it is there, and how long it may take to say so.
const H2_PING_EVERY: Duration = Duration::from_secs(20);
const H2_PING_WAIT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, mostly for want of file handles: to try again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener with its bounds.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
    pub(crate) connections_max: usize,
    pub(crate) timing: Timing,
    pub(crate) open: metrics::Gauge,
}

/// What a connection should do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serve,
    /// Finish the requests that run, take no more.
    Finish,
    /// End now.
    End,
}

/// Serves `router` until `shutdown` resolves and the requests in flight are finished, or took too long.
pub(crate) async fn listen(listening: Listening, router: Router, shutdown: impl Future<Output = ()>) {
    let Listening { listener, tls, connections_max, timing, open } = listening;
    let places = Arc::new(Semaphore::new(connections_max));
    let phase = watch::Sender::new(Phase::Serve);
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.0));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let Ok(place) = place else { break };
        match accepted {
            Ok((stream, _)) => {
                let serving = Serving { router: router.clone(), timing, phase: phase.subscribe() };
                let (acceptor, open) = (acceptor.clone(), open.clone());
                open.increment(1.0);
                tokio::spawn(async move {
                    serving.connection(stream, acceptor).await;
                    open.decrement(1.0);
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    phase.send_replace(Phase::Finish);
    let all = u32::try_from(connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(timing.shutdown, places.acquire_many(all)).await.is_err() {
        let left = connections_max - places.available_permits();
        tracing::warn!(connections = left, "requests still ran when the time to stop was over");
        phase.send_replace(Phase::End);
    }
}

/// One connection's part of the listener.
struct Serving {
    router: Router,
    timing: Timing,
    phase: watch::Receiver<Phase>,
}

impl Serving {
    async fn connection(self, stream: TcpStream, acceptor: Option<TlsAcceptor>) {
        // An answer is one small write: to wait for more would only delay it.
        let _ = stream.set_nodelay(true);
        match acceptor {
            None => self.greet(stream).await,
            Some(acceptor) => {
                let handshake = tokio::time::timeout(self.timing.header_read, acceptor.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    self.greet(stream).await;
                }
            }
        }
    }

    async fn greet<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let greeting = tokio::time::timeout(self.timing.header_read, greeting(stream)).await;
        if let Ok(Ok((io, h2))) = greeting {
            self.serve(io, h2).await;
        }
    }

    async fn serve<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, io: I, h2: bool) {
        let Self { router, timing, phase } = self;
        let service = TowerToHyperService::new(router);
        let io = TokioIo::new(io);
        if h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(H2_STREAMS_MAX)
                .max_header_list_size(HEADER_BYTES_MAX as u32)
                .initial_stream_window_size(H2_WINDOW_BYTES)
                .initial_connection_window_size(H2_WINDOW_BYTES)
                .keep_alive_interval(H2_PING_EVERY)
                .keep_alive_timeout(H2_PING_WAIT);
            drive(builder.serve_connection(io, service), timing, phase).await;
        } else {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(timing.header_read)
                .max_headers(HEADERS_MAX)
                .max_header_size(HEADER_BYTES_MAX)
                .max_buf_size(READ_BUFFER_BYTES);
            drive(builder.serve_connection(io, service), timing, phase).await;
        }
    }
}

/// A connection that can be asked to end.
trait Finish: Future {
    fn finish(self: Pin<&mut Self>);
}

type Served = TowerToHyperService<Router>;

impl<I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static> Finish for http1::Connection<I, Served> {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static> Finish for http2::Connection<I, Served, TokioExecutor> {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection to its end: its own, the listener's, or that of its age.
async fn drive(connection: impl Finish, timing: Timing, mut phase: watch::Receiver<Phase>) {
    let mut connection = std::pin::pin!(connection);
    let mut ends = std::pin::pin!(tokio::time::sleep(timing.connection_age));
    let mut finishing = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            changed = phase.wait_for(|p| *p == Phase::End || (*p == Phase::Finish && !finishing)) => {
                if changed.is_ok_and(|p| *p == Phase::End) {
                    return;
                }
                finishing = true;
                connection.as_mut().finish();
            }
            () = ends.as_mut() => {
                if finishing {
                    return;
                }
                finishing = true;
                connection.as_mut().finish();
            }
        }
        if finishing {
            ends.set(tokio::time::sleep(timing.shutdown));
        }
    }
}

/// Reads just enough to tell HTTP/2 from HTTP/1: the HTTP library would wait for the whole preface without an end.
async fn greeting<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(Prefixed<S>, bool)> {
    let mut start = [0; PREFIX_BYTES];
    let mut read = 0;
    while read < start.len() && start[..read] == H2_PREFACE[..read] {
        match stream.read(&mut start[read..]).await? {
            0 => break,
            n => read += n,
        }
    }
    Ok((Prefixed::new(start, read, stream), start == H2_PREFACE))
}
