//! Gzip (RFC 1952), inflated under a cap: a bomb costs no more than the cap.

use std::io::{ErrorKind, Read};

use flate2::bufread::GzDecoder;
use logystera_schemas::limits::BODY_BYTES_MAX;

use super::refusal::Refusal;

/// Inflates one member; bytes after it, a second member too, are refused.
pub fn inflate(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut inflated = Vec::with_capacity(body.len().saturating_mul(8).min(BODY_BYTES_MAX + 1));
    let mut decoder = GzDecoder::new(body);
    match decoder.by_ref().take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut inflated) {
        Ok(_) if inflated.len() > BODY_BYTES_MAX => Err(Refusal::InflatedTooLarge),
        Ok(_) if decoder.into_inner().is_empty() => Ok(inflated),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => Err(Refusal::Busy),
        Ok(_) | Err(_) => Err(Refusal::GzipMalformed),
    }
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

    #[test]
    fn a_member_comes_back_whole() {
        for text in [&b""[..], b"{}", &vec![b'a'; 100_000]] {
            assert_eq!(inflate(&gzip(text)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn the_cap_is_exact() {
        assert_eq!(inflate(&gzip(&vec![b' '; BODY_BYTES_MAX])).map(|b| b.len()), Ok(BODY_BYTES_MAX));
        assert_eq!(inflate(&gzip(&vec![b' '; BODY_BYTES_MAX + 1])), Err(Refusal::InflatedTooLarge));
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
            assert_eq!(inflate(&bad), Err(Refusal::GzipMalformed), "{bad:?}");
        }
    }
}
