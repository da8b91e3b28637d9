//! The order of the checks that come before a body is looked into, as data: each looks at facts and refuses, ends or
//! lets pass (design, section 3).

use logystera_schemas::limits::SKEW_S_MAX;

use super::refusal::Refusal;
use super::replay::Seen;

/// How the key that a header names stands at the gateway's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It may sign.
    Live,
    /// The site has none of that name, or there is no such site.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Its time has not come, or is over.
    OutOfTime,
}

impl KeyState {
    /// The state of a key that is known: valid from `not_before` up to, not at, `not_after`.
    pub(crate) fn of(revoked: bool, not_before: i64, not_after: Option<i64>, now_ms: i64) -> Self {
        match (revoked, now_ms >= not_before && not_after.is_none_or(|end| now_ms < end)) {
            (true, _) => Self::Revoked,
            (false, true) => Self::Live,
            (false, false) => Self::OutOfTime,
        }
    }
}

/// What is known of a batch when its body was read and its MAC computed.
pub(crate) struct Facts<'a> {
    /// The key.
    pub(crate) key: KeyState,
    /// Whether the MAC is right under the key's secret; under a dummy one if there is no key.
    pub(crate) mac_holds: bool,
    /// The gateway's clock in whole seconds since the epoch.
    pub(crate) now_s: i64,
    /// The header's `ts`.
    pub(crate) ts: i64,
    /// Whether the site was closed.
    pub(crate) site_closed: bool,
    /// Looks the batch up in the replay window; asked only when everything before it has passed.
    pub(crate) replay: &'a dyn Fn() -> Seen,
    /// Value of `Content-Type`, or none if it is absent or repeated.
    pub(crate) content_type: Option<&'a [u8]>,
    /// Value of `Content-Encoding` or `identity`; none if it is repeated.
    pub(crate) content_encoding: Option<&'a [u8]>,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look into the body.
    Admit,
    /// It is in the log already.
    Duplicate {
        /// Whether its bytes were compared with those that are there.
        same: bool,
    },
    /// Turn it away.
    Refuse(Refusal),
}

/// One check: its name, and what it makes of the facts; none if they pass.
pub(crate) type Check = (&'static str, fn(&Facts<'_>) -> Option<Verdict>);

fn refuse_unless(passes: bool, refusal: Refusal) -> Option<Verdict> {
    (!passes).then_some(Verdict::Refuse(refusal))
}

/// The checks in their order. Up to the MAC every refusal is answered alike, so a stranger learns nothing.
pub(crate) const CHECKS: &[Check] = &[
    ("key", |f| {
        let refusal = match f.key {
            KeyState::Live => return None,
            KeyState::Unknown => Refusal::KeyUnknown,
            KeyState::Revoked => Refusal::KeyRevoked,
            KeyState::OutOfTime => Refusal::KeyOutOfTime,
        };
        Some(Verdict::Refuse(refusal))
    }),
    ("mac", |f| refuse_unless(f.mac_holds, Refusal::SignatureWrong)),
    ("ts", |f| refuse_unless(f.now_s.abs_diff(f.ts) <= SKEW_S_MAX, Refusal::ClockSkew)),
    ("site", |f| refuse_unless(!f.site_closed, Refusal::SiteClosed)),
    ("replay", |f| replayed((f.replay)())),
    ("content type", |f| {
        refuse_unless(
            f.content_type == Some(logystera_schemas::signature::CONTENT_TYPE.as_bytes()),
            Refusal::ContentType,
        )
    }),
    ("content encoding", |f| {
        refuse_unless(matches!(f.content_encoding, Some(b"gzip" | b"identity")), Refusal::ContentEncoding)
    }),
];

/// What the replay window's answer makes of a batch; none if it may be new.
pub(crate) fn replayed(seen: Seen) -> Option<Verdict> {
    match seen {
        Seen::New => None,
        Seen::Duplicate { same } => Some(Verdict::Duplicate { same }),
        Seen::Conflict => Some(Verdict::Refuse(Refusal::Conflict)),
        Seen::BelowWindow => Some(Verdict::Refuse(Refusal::BelowWindow)),
        Seen::TooManySpools => Some(Verdict::Refuse(Refusal::TooManySpools)),
    }
}

/// Runs the checks in order; the first that does not pass decides.
pub(crate) fn decide(facts: &Facts<'_>) -> Verdict {
    CHECKS.iter().find_map(|(_, check)| check(facts)).unwrap_or(Verdict::Admit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict if everything passes but what `change` spoils.
    fn decided(change: impl FnOnce(&mut Facts<'_>)) -> Verdict {
        let mut facts = Facts {
            key: KeyState::Live,
            mac_holds: true,
            now_s: 1_767_225_600,
            ts: 1_767_225_600,
            site_closed: false,
            replay: &|| Seen::New,
            content_type: Some(b"application/json"),
            content_encoding: Some(b"identity"),
        };
        change(&mut facts);
        decide(&facts)
    }

    #[test]
    fn each_fact_decides_alone() {
        use Verdict::Refuse;
        assert_eq!(decided(|_| {}), Verdict::Admit);
        assert_eq!(decided(|f| f.content_encoding = Some(b"gzip")), Verdict::Admit);
        assert_eq!(decided(|f| f.key = KeyState::Unknown), Refuse(Refusal::KeyUnknown));
        assert_eq!(decided(|f| f.key = KeyState::Revoked), Refuse(Refusal::KeyRevoked));
        assert_eq!(decided(|f| f.key = KeyState::OutOfTime), Refuse(Refusal::KeyOutOfTime));
        assert_eq!(decided(|f| f.mac_holds = false), Refuse(Refusal::SignatureWrong));
        assert_eq!(decided(|f| f.site_closed = true), Refuse(Refusal::SiteClosed));
        let same = |same| Verdict::Duplicate { same };
        assert_eq!(decided(|f| f.replay = &|| Seen::Duplicate { same: true }), same(true));
        assert_eq!(decided(|f| f.replay = &|| Seen::Duplicate { same: false }), same(false));
        assert_eq!(decided(|f| f.replay = &|| Seen::BelowWindow), Refuse(Refusal::BelowWindow));
        assert_eq!(decided(|f| f.replay = &|| Seen::Conflict), Refuse(Refusal::Conflict));
        assert_eq!(decided(|f| f.replay = &|| Seen::TooManySpools), Refuse(Refusal::TooManySpools));
        for content_type in [None, Some(&b"application/json; charset=utf-8"[..]), Some(b"text/plain"), Some(b"")] {
            assert_eq!(decided(|f| f.content_type = content_type), Refuse(Refusal::ContentType));
        }
        for encoding in [None, Some(&b"br"[..]), Some(b"gzip, gzip"), Some(b"GZIP"), Some(b"")] {
            assert_eq!(decided(|f| f.content_encoding = encoding), Refuse(Refusal::ContentEncoding));
        }
    }

    #[test]
    fn the_clock_may_be_off_by_300_s_either_way() {
        for (off, verdict) in [
            (0, Verdict::Admit),
            (300, Verdict::Admit),
            (-300, Verdict::Admit),
            (301, Verdict::Refuse(Refusal::ClockSkew)),
            (-301, Verdict::Refuse(Refusal::ClockSkew)),
        ] {
            assert_eq!(decided(|f| f.ts += off), verdict, "{off}");
        }
        for (now_s, ts) in [(i64::MAX, i64::MIN), (i64::MIN, i64::MAX), (0, i64::MIN)] {
            assert_eq!(decided(|f| (f.now_s, f.ts) = (now_s, ts)), Verdict::Refuse(Refusal::ClockSkew));
        }
    }

    #[test]
    fn an_earlier_check_hides_a_later_one() {
        // Everything is wrong; what is mended one after the other shows the order.
        let wrong = |mend: usize| {
            decided(|f| {
                let mends: [fn(&mut Facts<'_>); 7] = [
                    |f| f.key = KeyState::Revoked,
                    |f| f.mac_holds = false,
                    |f| f.ts = 0,
                    |f| f.site_closed = true,
                    |f| f.replay = &|| Seen::Conflict,
                    |f| f.content_type = None,
                    |f| f.content_encoding = None,
                ];
                mends[mend..].iter().for_each(|spoil| spoil(f));
            })
        };
        let order = [
            Refusal::KeyRevoked,
            Refusal::SignatureWrong,
            Refusal::ClockSkew,
            Refusal::SiteClosed,
            Refusal::Conflict,
            Refusal::ContentType,
            Refusal::ContentEncoding,
        ];
        for (i, refusal) in order.into_iter().enumerate() {
            assert_eq!(wrong(i), Verdict::Refuse(refusal));
        }
        assert_eq!(wrong(order.len()), Verdict::Admit);
    }

    #[test]
    fn a_stranger_does_not_reach_the_replay_window() {
        let asked = std::cell::Cell::new(false);
        let look = || {
            asked.set(true);
            Seen::New
        };
        for (mac_holds, reaches) in [(false, false), (true, true)] {
            decide(&Facts {
                key: KeyState::Live,
                mac_holds,
                now_s: 0,
                ts: 0,
                site_closed: false,
                replay: &look,
                content_type: None,
                content_encoding: None,
            });
            assert_eq!(asked.get(), reaches);
        }
    }

    #[test]
    fn a_key_is_valid_from_its_first_millisecond_up_to_its_end() {
        for (revoked, now, state) in [
            (false, 99, KeyState::OutOfTime),
            (false, 100, KeyState::Live),
            (false, 199, KeyState::Live),
            (false, 200, KeyState::OutOfTime),
            (true, 150, KeyState::Revoked),
        ] {
            assert_eq!(KeyState::of(revoked, 100, Some(200), now), state, "{now}");
        }
        assert_eq!(KeyState::of(false, 100, None, i64::MAX), KeyState::Live);
    }
}
