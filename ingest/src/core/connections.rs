//! Which connections hold a listener's places. A connection owns its place once it has carried a batch whose signature
//! holds. Until then it makes room for new ones: the oldest connection of the peer with the most goes first. So no peer
//! can fill the door alone, and newcomers from elsewhere get in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::limits::PEER_CROWD;

/// Where connections come from: an IPv4 address, or an IPv6 network of 64 bits, of which one peer has all addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// An address of IPv4.
    V4([u8; 4]),
    /// A network of IPv6.
    V6([u8; 8]),
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of all peers.
    pub places: usize,
    /// Of one peer, not counting those that carried a batch.
    pub share: usize,
}

/// A connection's number; a later one's is higher.
pub type Place = u64;

/// A connection that makes room, and what it was given when it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Evicted<T> {
    /// What [`Connections::enter`] was given for it.
    pub handle: T,
    /// Whether an honest sender may have lost it: all places were taken, and its peer had at most [`PEER_CROWD`].
    pub turned_away: bool,
    /// Whether its peer had more than its share; else the places of all were taken.
    pub beyond_share: bool,
}

/// What comes of a new connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<T> {
    /// It has a place, which another had to leave.
    Enters(Place, Option<Evicted<T>>),
    /// Every place is held by somebody who carried a batch: it waits until one leaves.
    Full(T),
}

/// A connection.
#[derive(Debug)]
struct Connection<T> {
    peer: Peer,
    verified: bool,
    handle: T,
}

/// Connections by peer, and peers by how many they have; of two with as many, the one with the older connection makes
/// room first.
#[derive(Debug, Default)]
struct Ranks {
    peers: BTreeMap<Peer, BTreeSet<Place>>,
    ranked: BTreeSet<(usize, Reverse<Place>, Peer)>,
}

impl Ranks {
    fn change(&mut self, peer: Peer, change: impl FnOnce(&mut BTreeSet<Place>) -> bool) {
        let places = self.peers.entry(peer).or_default();
        let rank = |places: &BTreeSet<Place>| places.first().map(|oldest| (places.len(), Reverse(*oldest), peer));
        if let Some(rank) = rank(places) {
            self.ranked.remove(&rank);
        }
        change(places);
        if let Some(rank) = rank(places) {
            self.ranked.insert(rank);
        } else {
            self.peers.remove(&peer);
        }
    }

    fn count(&self, peer: Peer) -> usize {
        self.peers.get(&peer).map_or(0, BTreeSet::len)
    }

    fn oldest(&self, peer: Peer) -> Option<Place> {
        self.peers.get(&peer)?.first().copied()
    }

    /// How many the peer with the most has, and the oldest of these.
    fn most(&self) -> Option<(usize, Place)> {
        self.ranked.last().map(|(count, Reverse(oldest), _)| (*count, *oldest))
    }
}

/// The connections of one listener.
#[derive(Debug)]
pub struct Connections<T> {
    room: Room,
    next: Place,
    open: BTreeMap<Place, Connection<T>>,
    unverified: Ranks,
    verified: Ranks,
}

impl<T> Connections<T> {
    /// Nobody is there.
    pub fn new(room: Room) -> Self {
        Self { room, next: 0, open: BTreeMap::new(), unverified: Ranks::default(), verified: Ranks::default() }
    }

    /// A connection comes.
    pub fn enter(&mut self, peer: Peer, handle: T) -> Entry<T> {
        let evicted = if self.unverified.count(peer) >= self.room.share {
            let oldest = self.unverified.oldest(peer).and_then(|place| self.leave(place));
            oldest.map(|handle| Evicted { handle, turned_away: false, beyond_share: true })
        } else if self.open.len() >= self.room.places {
            // A connection that carried a batch makes room only if its peer holds more than a share.
            let verified = self.verified.most().filter(|(count, _)| *count > self.room.share);
            let Some((count, place)) = self.unverified.most().or(verified) else { return Entry::Full(handle) };
            let evicted = self.leave(place);
            evicted.map(|handle| Evicted { handle, turned_away: count <= PEER_CROWD, beyond_share: false })
        } else {
            None
        };
        self.next += 1;
        self.open.insert(self.next, Connection { peer, verified: false, handle });
        self.unverified.change(peer, |places| places.insert(self.next));
        Entry::Enters(self.next, evicted)
    }

    /// A connection carried a batch whose signature holds.
    pub fn verified(&mut self, place: Place) {
        let Some(connection) = self.open.get_mut(&place) else { return };
        if !std::mem::replace(&mut connection.verified, true) {
            self.unverified.change(connection.peer, |places| places.remove(&place));
            self.verified.change(connection.peer, |places| places.insert(place));
        }
    }

    /// A connection ended. Without effect if it had made room before.
    pub fn leave(&mut self, place: Place) -> Option<T> {
        let Connection { peer, verified, handle } = self.open.remove(&place)?;
        let ranks = if verified { &mut self.verified } else { &mut self.unverified };
        ranks.change(peer, |places| places.remove(&place));
        Some(handle)
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests;
