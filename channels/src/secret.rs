//! Secrets of channels, and the Standard Webhooks signature made with them
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the specification bounds them.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A text that is not a channel's secret. The error does not have the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a channel's secret: expected whsec_ and 24 to 64 bytes in base64")]
pub struct SecretError;

/// What a channel's messages are signed with, written `whsec_<base64>`. It has no `Debug`.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret of these random bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The secret as text, to be shown to its owner once and sealed.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(PREFIX.to_owned());
        STANDARD.encode_string(&*self.0, &mut text);
        text
    }

    /// The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SecretError)?);
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SecretError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_as_another_maker_computes_it() {
        // Computed with Python's hmac and base64.
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn only_a_secret_is_a_secret() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (text, valid) in [
            (of(24), true),
            (of(32), true),
            (of(64), true),
            (of(23), false),
            (of(65), false),
            (String::new(), false),
            ("whsec_".to_owned(), false),
            (of(32).replace("whsec_", "whsec-"), false),
            (of(32).replace('=', "!"), false),
        ] {
            let parsed = text.parse::<Secret>();
            assert_eq!(parsed.is_ok(), valid, "{text}");
            if let Ok(secret) = parsed {
                assert_eq!(*secret.expose(), text);
            }
        }
        assert_eq!(*Secret::from_bytes(&[7; 32]).expose(), of(32));
    }
}
