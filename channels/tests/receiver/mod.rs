//! A real HTTP server that notes what it is sent.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper: whoever fails here fails a test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) version: Version,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(n, _)| n == name);
        let value = found.next().map_or("", |(_, v)| v);
        assert!(found.next().is_none(), "{name} twice");
        value
    }
}

/// What was seen so far.
pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;
/// The answer to a path.
pub(crate) type Reply = fn(&str) -> Response<Full<Bytes>>;

async fn handle(request: Request<Incoming>, log: Log, reply: Reply) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let text = |v: &hyper::header::HeaderValue| v.to_str().unwrap().to_owned();
    let seen = Seen {
        version: head.version,
        path: head.uri.path_and_query().unwrap().to_string(),
        headers: head.headers.iter().map(|(n, v)| (n.to_string(), text(v))).collect(),
        body: body.collect().await?.to_bytes().to_vec(),
    };
    let response = reply(&seen.path);
    log.lock().unwrap().push(seen);
    Ok(response)
}

/// Serves on a port of its own until the test ends.
pub(crate) async fn serve(reply: Reply, tls: Option<TlsAcceptor>) -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, log) = (listener.local_addr().unwrap(), Log::default());
    let shared = Arc::clone(&log);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, tls) = (Arc::clone(&shared), tls.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| handle(request, Arc::clone(&log), reply));
                let server = auto::Builder::new(TokioExecutor::new());
                match tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            drop(server.serve_connection(TokioIo::new(stream), service).await);
                        }
                    }
                    None => drop(server.serve_connection(TokioIo::new(stream), service).await),
                }
            });
        }
    });
    (address, log)
}
