//! A webhook's receiver: a small real HTTP server that remembers what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

/// One request that came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// `webhook-id`: the idempotency key.
    pub id: String,
    /// The alert.
    pub body: serde_json::Value,
}

#[derive(Default)]
struct State {
    deliveries: Mutex<Vec<Delivery>>,
    came: Condvar,
}

/// What a receiver answers that takes a delivery.
const TAKEN: &str = "204 No Content\r\nContent-Length: 0";

/// A receiver. It answers 204 after a pause, so that a sender can die between delivery and outcome.
pub struct Receiver {
    /// Its port.
    pub port: u16,
    state: Arc<State>,
}

impl Receiver {
    /// Starts one.
    pub fn start(pause: Duration) -> Self {
        Self::answering(TAKEN, pause)
    }

    /// Starts one that answers with this status and these headers.
    pub fn answering(answer: &'static str, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let port = listener.local_addr().expect("a listener has an address").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state, answer, pause));
            }
        });
        Self { port, state }
    }

    /// What came so far.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.deliveries.lock().expect("no thread panics with it").clone()
    }

    /// Forgets what came.
    pub fn clear(&self) {
        self.state.deliveries.lock().expect("no thread panics with it").clear();
    }

    /// Waits until one more request has come than there are now; false: none came in time.
    pub fn wait_for_next(&self, patience: Duration) -> bool {
        let deliveries = self.state.deliveries.lock().expect("no thread panics with it");
        let before = deliveries.len();
        let waited = self.state.came.wait_timeout_while(deliveries, patience, |d| d.len() <= before);
        !waited.expect("no thread panics with it").1.timed_out()
    }
}

fn serve(stream: TcpStream, state: &State, answer: &str, pause: Duration) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some((id, body)) = request(&mut reader) {
        let body = serde_json::from_slice(&body).unwrap_or_default();
        state.deliveries.lock().expect("no thread panics with it").push(Delivery { id, body });
        state.came.notify_all();
        sleep(pause);
        if writer.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut id, mut length) = (String::new(), 0);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => value.trim().clone_into(&mut id),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((id, body))
}
