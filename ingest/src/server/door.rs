//! The places of a listener while it serves: which connections have one, which has to leave, and what each did so far.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge};
use tokio::sync::Notify;

use crate::core::connections::{Connections, Entry, Peer, Place, Room};
use crate::lock::lock;

/// Counts what the door did.
#[derive(Clone)]
pub(crate) struct DoorMeters {
    pub(crate) open: Gauge,
    /// Connections that made room for others of the same peer.
    pub(crate) shed_for_peer: Counter,
    /// Connections that made room because every place was taken.
    pub(crate) shed_for_room: Counter,
}

impl DoorMeters {
    /// Counts nothing.
    pub(crate) fn noop() -> Self {
        Self { open: Gauge::noop(), shed_for_peer: Counter::noop(), shed_for_room: Counter::noop() }
    }
}

/// Whether the door was too small for somebody who may be honest.
#[derive(Default)]
pub(crate) struct Saturation {
    turned_away: AtomicBool,
    waiting: AtomicBool,
}

impl Saturation {
    /// Whether somebody was turned away since this was asked last, or waits for a place right now.
    pub(crate) fn take(&self) -> bool {
        self.turned_away.swap(false, Ordering::SeqCst) || self.waiting.load(Ordering::SeqCst)
    }
}

/// The places of a listener.
pub(super) struct Door {
    connections: Mutex<Connections<Arc<Notify>>>,
    left: Notify,
    meters: DoorMeters,
    saturation: Arc<Saturation>,
}

impl Door {
    pub(super) fn new(room: Room, meters: DoorMeters, saturation: Arc<Saturation>) -> Arc<Self> {
        Arc::new(Self { connections: Mutex::new(Connections::new(room)), left: Notify::new(), meters, saturation })
    }

    /// Lets a connection in, for which another may have to leave. While every place is held by a sender it waits.
    pub(super) async fn enter(self: &Arc<Self>, from: IpAddr) -> Seat {
        let mut out = Arc::new(Notify::new());
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            let entry = lock(&self.connections).enter(peer(from), Arc::clone(&out));
            match entry {
                Entry::Enters(place, evicted) => {
                    self.saturation.waiting.store(false, Ordering::SeqCst);
                    if let Some(evicted) = evicted {
                        evicted.handle.notify_one();
                        let meter =
                            if evicted.beyond_share { &self.meters.shed_for_peer } else { &self.meters.shed_for_room };
                        meter.increment(1);
                        if evicted.turned_away {
                            self.saturation.turned_away.store(true, Ordering::SeqCst);
                        }
                    }
                    self.meters.open.increment(1.0);
                    return Seat(Arc::new(Inner {
                        door: Arc::clone(self),
                        place,
                        out,
                        verified: AtomicBool::new(false),
                        running: AtomicUsize::new(0),
                        begun: AtomicU64::new(0),
                    }));
                }
                Entry::Full(mine) => out = mine,
            }
            self.saturation.waiting.store(true, Ordering::SeqCst);
            left.await;
        }
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        lock(&self.connections).len()
    }
}

/// A connection with a place; its clones are the same one. Its place is free when the last of them goes.
#[derive(Clone)]
pub(crate) struct Seat(Arc<Inner>);

struct Inner {
    door: Arc<Door>,
    place: Place,
    /// Rings when the connection has to make room.
    out: Arc<Notify>,
    verified: AtomicBool,
    /// Requests that run.
    running: AtomicUsize,
    /// Requests that began.
    begun: AtomicU64,
}

impl Seat {
    /// It carried a batch whose signature holds.
    pub(crate) fn verified(&self) {
        if !self.0.verified.swap(true, Ordering::SeqCst) {
            lock(&self.0.door.connections).verified(self.0.place);
        }
    }

    /// Resolves when it has to make room.
    pub(super) async fn out(&self) {
        self.0.out.notified().await;
    }

    /// A request begins; it ends when what this returns goes.
    pub(super) fn begins(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        Running(self.clone())
    }

    /// How many requests began, if none runs.
    pub(super) fn idle(&self) -> Option<u64> {
        (self.0.running.load(Ordering::SeqCst) == 0).then(|| self.0.begun.load(Ordering::SeqCst))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.door.meters.open.decrement(1.0);
        let had_place = lock(&self.door.connections).leave(self.place).is_some();
        if had_place {
            self.door.left.notify_waiters();
        }
    }
}

/// A request that runs.
pub(super) struct Running(Seat);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The peer that a connection from this address belongs to.
fn peer(address: IpAddr) -> Peer {
    match address.to_canonical() {
        IpAddr::V4(address) => Peer::V4(address.octets()),
        IpAddr::V6(address) => {
            let mut network = [0; 8];
            network.copy_from_slice(&address.octets()[..8]);
            Peer::V6(network)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_an_address_or_a_network_of_64_bits() {
        let of = |text: &str| peer(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }
}
