//! The signature of a batch: the header's grammar, the string that is signed, and the MAC over it (design, section 3).
//! The sender, `logystera sign --explain` and the gateway share this one implementation.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ids::{BatchId, KeyId, Sha256Digest, SiteId, from_hex};

/// Name of the header.
pub const HEADER: &str = "logystera-signature";
/// Path of the one resource, as it is signed.
pub const PATH: &str = "/v1/batches";
/// Method, as it is signed.
pub const METHOD: &str = "POST";
/// The only content type that is taken.
pub const CONTENT_TYPE: &str = "application/json";
/// What is signed in place of a content encoding if the header is absent.
pub const IDENTITY: &str = "identity";

/// The 32 bytes of a key. They are wiped when dropped, and have no `Debug`.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// The secret of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret written as 64 lowercase hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text).map(Self::new)
    }
}

/// A signature header that is well formed. Nothing in it is believed until the MAC was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureHeader {
    /// Site that claims to have signed.
    pub site: SiteId,
    /// Its key.
    pub key: KeyId,
    /// Seconds since the epoch, by the sender's clock: 10 digits.
    pub ts: i64,
    /// The batch.
    pub batch: BatchId,
    /// HMAC-SHA256 over [`Signed::explain`].
    pub mac: [u8; 32],
}

/// Why a header is none. It names the part, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature header's `{0}` is not as it must be")]
pub struct HeaderError(pub &'static str);

impl SignatureHeader {
    /// Reads `v1 site=<id>,key=<id>,ts=<10 digits>,batch=<spool>.<seq>,sig=<64 hex>`: this order, no other spaces.
    pub fn parse(value: &[u8]) -> Result<Self, HeaderError> {
        let text = std::str::from_utf8(value).map_err(|_| HeaderError("v1"))?;
        let rest = text.strip_prefix("v1 ").ok_or(HeaderError("v1"))?;
        let mut parts = rest.split(',');
        let mut part = |name: &'static str| {
            let value = parts.next().and_then(|p| p.strip_prefix(name)).and_then(|p| p.strip_prefix('='));
            value.ok_or(HeaderError(name))
        };
        let site = part("site")?.parse().map_err(|_| HeaderError("site"))?;
        let key = part("key")?.parse().map_err(|_| HeaderError("key"))?;
        let ts = part("ts").and_then(seconds)?;
        let batch = part("batch")?.parse().map_err(|_| HeaderError("batch"))?;
        let mac = from_hex(part("sig")?).ok_or(HeaderError("sig"))?;
        if parts.next().is_some() {
            return Err(HeaderError("sig"));
        }
        Ok(Self { site, key, ts, batch, mac })
    }
}

fn seconds(digits: &str) -> Result<i64, HeaderError> {
    let valid = digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| valid).ok_or(HeaderError("ts"))
}

/// All that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The deployment's configured name: a capture from staging fails in production.
    pub audience: &'a str,
    /// Site.
    pub site: &'a SiteId,
    /// Key of the site.
    pub key: &'a KeyId,
    /// Seconds since the epoch, by the sender's clock.
    pub ts: i64,
    /// The batch.
    pub batch: BatchId,
    /// Value of the `Content-Type` header as sent; empty if it is absent.
    pub content_type: &'a [u8],
    /// Value of the `Content-Encoding` header as sent, or [`IDENTITY`].
    pub content_encoding: &'a [u8],
    /// SHA-256 of the body as sent.
    pub body_digest: Sha256Digest,
}

impl Signed<'_> {
    /// Gives the signed string to `sink`, piece by piece.
    fn pieces(&self, mut sink: impl FnMut(&[u8])) {
        let ts = format!("{:010}", self.ts);
        let batch = self.batch.to_string();
        let digest = self.body_digest.to_string();
        let lines: [&[u8]; 11] = [
            b"v1",
            METHOD.as_bytes(),
            PATH.as_bytes(),
            self.audience.as_bytes(),
            self.site.as_str().as_bytes(),
            self.key.as_str().as_bytes(),
            ts.as_bytes(),
            batch.as_bytes(),
            self.content_type,
            self.content_encoding,
            digest.as_bytes(),
        ];
        for (i, line) in lines.into_iter().enumerate() {
            if i > 0 {
                sink(b"\n");
            }
            sink(line);
        }
    }

    /// The exact string that is signed: eleven lines joined by LF, none at the end.
    pub fn explain(&self) -> String {
        let mut bytes = Vec::with_capacity(256);
        self.pieces(|piece| bytes.extend_from_slice(piece));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn hmac(&self, secret: &Secret) -> Hmac<Sha256> {
        // A key shorter than a block is padded with zeros (RFC 2104, section 2): doing that here leaves nothing to
        // fail.
        let mut block = Zeroizing::new([0_u8; 64]);
        block[..32].copy_from_slice(&secret.0[..]);
        let mut hmac = Hmac::<Sha256>::new((&*block).into());
        self.pieces(|piece| hmac.update(piece));
        hmac
    }

    /// HMAC-SHA256 (RFC 2104) of [`Self::explain`] under `secret`.
    pub fn mac(&self, secret: &Secret) -> [u8; 32] {
        self.hmac(secret).finalize().into_bytes().into()
    }

    /// Whether `mac` is this string's under `secret`, compared in constant time.
    pub fn holds(&self, secret: &Secret, mac: &[u8; 32]) -> bool {
        self.hmac(secret).verify_slice(mac).is_ok()
    }

    /// The header's value: what a sender puts after `Logystera-Signature: `.
    pub fn sign(&self, secret: &Secret) -> String {
        let mac = Sha256Digest(self.mac(secret));
        format!("v1 site={},key={},ts={:010},batch={},sig={mac}", self.site, self.key, self.ts, self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"through":1767225600000,"integration":{"platform":"other","version":"1.0.0","enabled":["cron.run"]},"signals":[{"type":"cron.run","at":1767225599000,"job":"wp_version_check","outcome":"ok"}]}"#;
    const SIG: &str = "094c758eec0d652e63792aba729a65b3d66eb8be376b16be8a4857d4232b4673";

    fn secret() -> Secret {
        Secret::new(std::array::from_fn(|i| i as u8))
    }

    fn with_signed<R>(body: &[u8], run: impl FnOnce(Signed<'_>) -> R) -> R {
        run(Signed {
            audience: "eu-prod",
            site: &"site_7qd".parse().unwrap(),
            key: &"k2".parse().unwrap(),
            ts: 1_767_225_600,
            batch: "9f86d081884c7d65.1".parse().unwrap(),
            content_type: CONTENT_TYPE.as_bytes(),
            content_encoding: IDENTITY.as_bytes(),
            body_digest: Sha256Digest::of(body),
        })
    }

    #[test]
    fn the_designs_vectors_hold() {
        assert_eq!(BODY.len(), 192);
        with_signed(BODY.as_bytes(), |signed| {
            assert_eq!(
                signed.explain(),
                "v1\nPOST\n/v1/batches\neu-prod\nsite_7qd\nk2\n1767225600\n9f86d081884c7d65.1\napplication/json\nidentity\n\
                 efbd3e3cfa72560f1b04c224c3489ac9d7dcc927bdcf712b9e53c601b88cd630"
            );
            let header = signed.sign(&secret());
            assert_eq!(header, format!("v1 site=site_7qd,key=k2,ts=1767225600,batch=9f86d081884c7d65.1,sig={SIG}"));
            let parsed = SignatureHeader::parse(header.as_bytes()).unwrap();
            assert!(signed.holds(&secret(), &parsed.mac));
            assert!(!signed.holds(&Secret::new([0; 32]), &parsed.mac));
        });
        with_signed(b"", |signed| {
            let empty = "fa9f1850bcff20f307f6d835ee1a5bd0e3585d8db07dfa1dd3f25e3441659bc9";
            assert_eq!(Sha256Digest(signed.mac(&secret())).to_string(), empty);
        });
    }

    #[test]
    fn every_part_is_signed() {
        let good = with_signed(BODY.as_bytes(), |s| s.mac(&secret()));
        let (site, key) = ("other".parse().unwrap(), "k3".parse().unwrap());
        with_signed(BODY.as_bytes(), |s| {
            let changed = [
                ("audience", Signed { audience: "eu-staging", ..s }),
                ("site", Signed { site: &site, ..s }),
                ("key", Signed { key: &key, ..s }),
                ("ts", Signed { ts: s.ts + 1, ..s }),
                ("batch", Signed { batch: BatchId { seq: 2, ..s.batch }, ..s }),
                ("type", Signed { content_type: b"text/plain", ..s }),
                ("encoding", Signed { content_encoding: b"gzip", ..s }),
                ("body", Signed { body_digest: Sha256Digest::of(b""), ..s }),
            ];
            for (part, signed) in changed {
                assert!(!signed.holds(&secret(), &good), "{part} can be changed");
            }
        });
    }

    #[test]
    fn the_headers_grammar_has_one_spelling() {
        let good = format!("v1 site=site_7qd,key=k2,ts=1767225600,batch=9f86d081884c7d65.1,sig={SIG}");
        assert!(SignatureHeader::parse(good.as_bytes()).is_ok());
        let long = format!("site={}", "a".repeat(65));
        for (from, to, names) in [
            ("v1 ", "v2 ", "v1"),
            ("v1 ", "v1", "v1"),
            ("v1 ", "V1 ", "v1"),
            ("v1 ", " v1 ", "v1"),
            ("v1 ", "v1  ", "site"),
            ("site=site_7qd", "site=", "site"),
            ("site=site_7qd", "site=Site", "site"),
            ("site=site_7qd", "site=s.t", "site"),
            ("site=site_7qd", "site=s\u{e9}", "site"),
            ("site=site_7qd", long.as_str(), "site"),
            ("site=site_7qd,key=k2", "key=k2,site=site_7qd", "site"),
            (",key=", ", key=", "key"),
            (",key=k2", "", "key"),
            (",key=k2", ",key=k2,key=k2", "ts"),
            ("ts=1767225600", "ts=-1", "ts"),
            ("ts=1767225600", "ts=-9223372036854775808", "ts"),
            ("ts=1767225600", "ts=+767225600", "ts"),
            ("ts=1767225600", "ts=176722560", "ts"),
            ("ts=1767225600", "ts=17672256000", "ts"),
            ("ts=1767225600", "ts=1e00000000", "ts"),
            ("65.1,", "65.0,", "batch"),
            ("65.1,", "65.01,", "batch"),
            ("65.1,", "65,", "batch"),
            ("65.1,", "65.1.1,", "batch"),
            ("batch=9f", "batch=9F", "batch"),
            ("sig=09", "sig=0", "sig"),
            ("sig=09", "sig=009", "sig"),
            ("sig=094c", "sig=094C", "sig"),
            ("4673", "4673 ", "sig"),
            ("4673", "4673,", "sig"),
            ("4673", "4673,x=1", "sig"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            assert_eq!(SignatureHeader::parse(bad.as_bytes()), Err(HeaderError(names)), "{bad}");
        }
        assert_eq!(SignatureHeader::parse(b""), Err(HeaderError("v1")));
        assert_eq!(SignatureHeader::parse(b"v1 \xff"), Err(HeaderError("v1")));
    }
}
