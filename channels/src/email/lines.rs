//! What a mail server sends, line by line and bounded.
//!
//! A client that reads ahead keeps what came behind the answer to STARTTLS, and takes it for an answer under TLS,
//! although anybody on the way may have written it (RFC 3207, section 6). [`Lines`] hands out no more than a line until
//! TLS begins, so nothing is kept: what came behind meets the handshake, which it breaks.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use logystera_schemas::limits::{MAIL_ANSWERS_BYTES_MAX, MAIL_LINE_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The type of a TLS record with which a handshake begins (RFC 8446, section 5.1). No command begins with it.
const HANDSHAKE: u8 = 22;

/// A connection to a mail server.
#[derive(Debug)]
pub(super) struct Lines {
    stream: TcpStream,
    /// What was read of the connection, and not yet by the client.
    held: Vec<u8>,
    /// Bytes of the line that the client reads.
    line: usize,
    /// Bytes that the server has sent.
    total: usize,
    is_tls: bool,
}

impl Lines {
    /// A connection on which nothing was said.
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, held: Vec::new(), line: 0, total: 0, is_tls: false }
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the mail server's answer is too long")
}

impl AsyncRead for Lines {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.held.is_empty() {
            let mut chunk = [0; MAIL_LINE_BYTES_MAX];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            this.held.extend_from_slice(read.filled());
            this.total += this.held.len();
        }
        let end = this.held.iter().position(|b| *b == b'\n').filter(|_| !this.is_tls);
        let count = end.map_or(this.held.len(), |at| at + 1).min(buf.remaining());
        if !this.is_tls {
            this.line += count;
            if this.line > MAIL_LINE_BYTES_MAX {
                return Poll::Ready(Err(too_long()));
            }
            if this.held[..count].ends_with(b"\n") {
                this.line = 0;
            }
        }
        if this.total > MAIL_ANSWERS_BYTES_MAX {
            return Poll::Ready(Err(too_long()));
        }
        buf.put_slice(&this.held[..count]);
        this.held.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.is_tls |= buf.first() == Some(&HANDSHAKE);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Lines {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}
