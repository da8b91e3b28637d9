use proptest::prelude::*;

use super::*;

fn peer(n: u8) -> Peer {
    Peer::V4([10, 0, 0, n])
}

/// Lets a connection in; gives its place and which one made room.
fn enters(crowd: &mut Connections<u64>, from: u8) -> (Place, Option<u64>) {
    let place = crowd.next + 1;
    match crowd.enter(peer(from), place) {
        Entry::Enters(place, left) => (place, left.map(|l| l.handle)),
        Entry::Full(_) => unreachable!("it is full"),
    }
}

#[test]
fn a_crowd_of_one_peer_makes_room_for_itself_and_for_others() {
    let mut crowd = Connections::new(Room { places: 100, share: 80 });
    for _ in 0..80 {
        assert_eq!(enters(&mut crowd, 1).1, None);
    }
    assert_eq!(enters(&mut crowd, 1), (81, Some(1)), "beyond its share its own oldest goes");
    (0..20).for_each(|n| assert_eq!(enters(&mut crowd, 10 + n).1, None));
    assert_eq!(crowd.len(), 100);
    // The door is full: the crowd makes room, not those who came alone.
    let Entry::Enters(_, Some(left)) = crowd.enter(peer(99), 0) else { unreachable!() };
    assert_eq!((left.handle, left.turned_away, left.beyond_share), (2, false, false));
}

#[test]
fn among_many_that_came_alone_the_oldest_goes_and_that_is_counted() {
    let mut crowd = Connections::new(Room { places: 50, share: 25 });
    (0..50).for_each(|n| assert_eq!(enters(&mut crowd, n).1, None));
    let Entry::Enters(_, Some(left)) = crowd.enter(peer(99), 0) else { unreachable!() };
    assert_eq!((left.handle, left.turned_away), (1, true));
}

#[test]
fn who_carried_a_batch_stays_unless_its_peer_has_more_than_its_share() {
    let mut crowd = Connections::new(Room { places: 4, share: 2 });
    for (place, from) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        assert_eq!(enters(&mut crowd, from), (place, None));
        crowd.verified(place);
    }
    assert_eq!(crowd.enter(peer(3), 7), Entry::Full(7));
    crowd.leave(4);
    assert_eq!(enters(&mut crowd, 1), (5, None));
    crowd.verified(5);
    assert_eq!(enters(&mut crowd, 3), (6, Some(1)), "three of four are one peer's");
    assert_eq!(enters(&mut crowd, 4), (7, Some(6)), "and what carried nothing goes first");
}

proptest! {
    #[test]
    fn the_door_is_never_fuller_than_its_room(
        steps in proptest::collection::vec((0_u8..6, 0_u8..4, any::<prop::sample::Index>()), 1..300),
    ) {
        let room = Room { places: 12, share: 5 };
        let (mut crowd, mut there) = (Connections::new(room), BTreeMap::<Place, (u8, bool)>::new());
        for (from, what, which) in steps {
            let some = (!there.is_empty()).then(|| *there.keys().nth(which.index(there.len())).unwrap());
            match (what, some) {
                (0, Some(place)) => {
                    there.remove(&place);
                    prop_assert!(crowd.leave(place).is_some());
                    prop_assert!(crowd.leave(place).is_none());
                }
                (1, Some(place)) => {
                    there.insert(place, (there[&place].0, true));
                    crowd.verified(place);
                }
                _ => {
                    let unverified = there.values().filter(|(_, verified)| !verified).count();
                    match crowd.enter(peer(from), crowd.next + 1) {
                        Entry::Enters(place, left) => {
                            if let Some(left) = left {
                                let (_, verified) = there.remove(&left.handle).unwrap();
                                prop_assert!(!verified || unverified == 0);
                            }
                            there.insert(place, (from, false));
                        }
                        Entry::Full(_) => prop_assert!(there.len() == room.places && unverified == 0),
                    }
                }
            }
            prop_assert!(crowd.len() <= room.places && crowd.len() == there.len());
            for from in 0..6 {
                let unverified = there.values().filter(|(peer, verified)| *peer == from && !verified).count();
                prop_assert!(unverified <= room.share);
                prop_assert_eq!(unverified, crowd.unverified.count(peer(from)));
            }
        }
        for place in there.keys() {
            assert!(crowd.leave(*place).is_some());
        }
        prop_assert!(crowd.is_empty() && crowd.unverified.ranked.is_empty() && crowd.verified.ranked.is_empty());
    }
}
