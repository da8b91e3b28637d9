//! The accept loop: HTTP/1.1 and HTTP/2 on one listener, every wait bounded, and a shutdown that finishes the requests
//! in flight.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use logystera_infra::accept::AcceptFaults;
use logystera_schemas::limits::{H2_STREAMS_MAX, H2_WINDOW_BYTES, HEADER_BYTES_MAX, HEADERS_MAX};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::config::Timing;
use crate::core::connections::Room;
use crate::tls::Tls;

mod door;
mod prefixed;
use door::Door;
pub(crate) use door::{DoorMeters, Saturation, Seat};
use prefixed::{PREFIX_BYTES, Prefixed};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const H2_PREFACE: [u8; PREFIX_BYTES] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes that are read from a connection at once.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How often an idle HTTP/2 peer is asked whether it is there, and how long it may take to say so.
const H2_PING_EVERY: Duration = Duration::from_secs(20);
const H2_PING_WAIT: Duration = Duration::from_secs(10);
/// A listener with its bounds.
pub(crate) struct Listening {
    /// What it is called in the log.
    pub(crate) name: &'static str,
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Tls>,
    pub(crate) room: Room,
    pub(crate) timing: Timing,
    pub(crate) meters: DoorMeters,
    pub(crate) saturation: Arc<Saturation>,
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
    let Listening { name, listener, tls, room, timing, meters, saturation } = listening;
    let door = Door::new(room, meters, saturation);
    let faults = AcceptFaults::of(name);
    let phase = watch::Sender::new(Phase::Serve);
    // Each connection holds a sender: when the last one has ended, nothing can be received any more.
    let (alive, mut all_ended) = mpsc::channel::<()>(1);
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.0));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            match listener.accept().await {
                Ok((stream, peer)) => Some((stream, door.enter(peer.ip()).await)),
                Err(error) => {
                    faults.pause(&error).await;
                    None
                }
            }
        };
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let Some((stream, seat)) = accepted else { continue };
        let serving = Serving { router: router.clone(), timing, phase: phase.subscribe(), seat: seat.clone() };
        let (acceptor, alive) = (acceptor.clone(), alive.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = serving.connection(stream, acceptor) => {}
                () = seat.out() => {}
            }
            drop(alive);
        });
    }
    drop((listener, alive));
    phase.send_replace(Phase::Finish);
    if tokio::time::timeout(timing.shutdown, all_ended.recv()).await.is_err() {
        tracing::warn!(connections = door.len(), "requests still ran when the time to stop was over");
        phase.send_replace(Phase::End);
    }
}

/// Answers a connection's requests, and marks each with the connection that it came on.
struct Attended {
    router: TowerToHyperService<Router>,
    seat: Seat,
}

impl Service<Request<Incoming>> for Attended {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.seat.clone());
        let (running, answer) = (self.seat.begins(), self.router.call(request));
        Box::pin(async move {
            let answer = answer.await;
            drop(running);
            answer
        })
    }
}

/// One connection's part of the listener.
struct Serving {
    router: Router,
    timing: Timing,
    phase: watch::Receiver<Phase>,
    seat: Seat,
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
        let Self { router, timing, phase, seat } = self;
        let service = Attended { router: TowerToHyperService::new(router), seat: seat.clone() };
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
            drive(builder.serve_connection(io, service), timing, phase, Some(&seat)).await;
        } else {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(timing.header_read)
                .max_headers(HEADERS_MAX)
                .max_header_size(HEADER_BYTES_MAX)
                .max_buf_size(READ_BUFFER_BYTES);
            // The HTTP library ends an idle one itself.
            drive(builder.serve_connection(io, service), timing, phase, None).await;
        }
    }
}

/// A connection that can be asked to end.
trait Finish: Future {
    fn finish(self: Pin<&mut Self>);
}

impl<I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static> Finish for http1::Connection<I, Attended> {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static> Finish for http2::Connection<I, Attended, TokioExecutor> {
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection until it ends, the listener stops, or it is too old; with `seat`, also until it had no request
/// for as long as headers may take.
async fn drive(connection: impl Finish, timing: Timing, mut phase: watch::Receiver<Phase>, seat: Option<&Seat>) {
    let mut connection = std::pin::pin!(connection);
    let mut ends = std::pin::pin!(tokio::time::sleep(timing.connection_age));
    let mut idles = std::pin::pin!(idles(seat, timing.header_read));
    let mut finishing = None;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            changed = phase.wait_for(|p| *p == Phase::End || (*p == Phase::Finish && finishing.is_none())) => {
                if changed.is_ok_and(|p| *p == Phase::End) {
                    return;
                }
                finishing = Some(timing.shutdown);
            }
            () = idles.as_mut(), if finishing.is_none() => finishing = Some(timing.header_read),
            () = ends.as_mut() => {
                if finishing.is_some() {
                    return;
                }
                finishing = Some(timing.shutdown);
            }
        }
        if let Some(wait) = finishing {
            connection.as_mut().finish();
            ends.set(tokio::time::sleep(wait));
        }
    }
}

/// Resolves when a connection had no request for at least `wait`.
async fn idles(seat: Option<&Seat>, wait: Duration) {
    let Some(seat) = seat else { return std::future::pending().await };
    let mut before = None;
    loop {
        tokio::time::sleep(wait).await;
        let now = seat.idle();
        if now.is_some() && now == before {
            return;
        }
        before = now;
    }
}

/// Reads just enough to tell HTTP/2 from HTTP/1: the HTTP library would wait for the whole preface without a limit.
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
