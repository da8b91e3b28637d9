//! Gzip (RFC 1952), inflated under a cap: a bomb costs no more than the cap, and its site's quota is charged for it.

use std::io::{ErrorKind, Read};

use flate2::bufread::GzDecoder;
use logystera_schemas::limits::{BODY_BYTES_MAX, INFLATE_RATIO_MAX, WIRE_BYTES_MAX};

use super::refusal::Refusal;

/// What inflating a body came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Bytes that were inflated, also if the body is refused.
    pub(crate) cost: usize,
    /// The body; none if it is larger than `wanted`.
    pub(crate) body: Result<Option<Vec<u8>>, Refusal>,
}

/// Bytes that a body may inflate to, and the refusal beyond: [`INFLATE_RATIO_MAX`] times what was sent, but at least
/// [`WIRE_BYTES_MAX`] and at most [`BODY_BYTES_MAX`].
fn cap(wire_bytes: usize) -> (usize, Refusal) {
    let by_ratio = wire_bytes.saturating_mul(INFLATE_RATIO_MAX).max(WIRE_BYTES_MAX);
    if by_ratio < BODY_BYTES_MAX { (by_ratio, Refusal::GzipRatio) } else { (BODY_BYTES_MAX, Refusal::InflatedTooLarge) }
}

/// Inflates one member of at most `wanted` bytes; bytes after it, a second member too, are refused.
pub(crate) fn inflate(body: &[u8], wanted: usize) -> Inflated {
    let (cap, beyond) = cap(body.len());
    let most = wanted.min(cap);
    let mut inflated = Vec::with_capacity(body.len().saturating_mul(8).min(most + 1));
    let mut decoder = GzDecoder::new(body);
    let read = decoder.by_ref().take(most as u64 + 1).read_to_end(&mut inflated);
    let cost = inflated.len();
    let body = match read {
        Ok(_) if cost > cap => Err(beyond),
        Ok(_) if cost > wanted => Ok(None),
        Ok(_) if decoder.into_inner().is_empty() => Ok(Some(inflated)),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => Err(Refusal::Busy),
        Ok(_) | Err(_) => Err(Refusal::GzipMalformed),
    };
    Inflated { cost, body }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn whole(body: &[u8]) -> Result<Vec<u8>, Refusal> {
        let Inflated { cost, body } = inflate(body, BODY_BYTES_MAX);
        assert!(body.as_ref().is_ok_and(|b| b.as_ref().is_some_and(|b| b.len() == cost)) || body.is_err());
        body.map(Option::unwrap_or_default)
    }

    #[test]
    fn a_member_comes_back_whole() {
        for text in [&b""[..], b"{}", &vec![b'a'; 100_000]] {
            assert_eq!(whole(&gzip(text)).as_deref(), Ok(text));
        }
    }

    /// Bytes that gzip makes only half as many of.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 28) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn the_cap_is_exact() {
        assert_eq!(whole(&gzip(&noise(BODY_BYTES_MAX))).map(|b| b.len()), Ok(BODY_BYTES_MAX));
        assert_eq!(whole(&gzip(&noise(BODY_BYTES_MAX + 1))), Err(Refusal::InflatedTooLarge));
    }

    #[test]
    fn a_bomb_ends_where_it_is_larger_than_it_may_be() {
        // What may be sent as it is may be sent in any form.
        assert_eq!(whole(&gzip(&vec![b' '; WIRE_BYTES_MAX])).map(|b| b.len()), Ok(WIRE_BYTES_MAX));
        let bomb = gzip(&vec![b' '; BODY_BYTES_MAX]);
        assert_eq!(inflate(&bomb, BODY_BYTES_MAX).body, Err(Refusal::GzipRatio));
        let cost = inflate(&bomb, BODY_BYTES_MAX).cost;
        assert_eq!(cost, WIRE_BYTES_MAX.max(bomb.len() * INFLATE_RATIO_MAX) + 1);
        // A thousand signals that are one and the same are still taken.
        let alike = r#"{"type":"cron.run","at":1767225599000,"job":"wp_version_check","outcome":"ok"},"#.repeat(1_000);
        assert!(whole(&gzip(alike.as_bytes())).is_ok());
    }

    #[test]
    fn no_more_is_inflated_than_is_wanted() {
        let body = gzip(&noise(1_000));
        assert_eq!(inflate(&body, 1_000).body.map(|b| b.map(|b| b.len())), Ok(Some(1_000)));
        assert_eq!(inflate(&body, 999), Inflated { cost: 1_000, body: Ok(None) });
    }

    #[test]
    fn what_is_not_one_member_is_refused() {
        let good = gzip(b"{}");
        let mut wrong_sum = good.clone();
        wrong_sum[good.len() - 8] ^= 1;
        for bad in [
            b"".to_vec(),
            b"{}".to_vec(),
            good[..good.len() - 1].to_vec(),
            wrong_sum,
            [&good[..], b"x"].concat(),
            [&good[..], &good[..]].concat(),
        ] {
            assert_eq!(whole(&bad), Err(Refusal::GzipMalformed), "{bad:?}");
        }
    }
}
