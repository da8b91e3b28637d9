//! Names of the engine's state entries. [`state`](super::state) has the table of what stands under each.

use logystera_schemas::avro::{DecodeError, Reader};
use logystera_schemas::ids::{KeyGroup, RuleName, SiteId, SpoolId};
use logystera_schemas::time::SiteMs;

use super::held::HeldKey;

/// Stands in a key for the partition itself, and sorts after all key groups.
const NO_KEY_GROUP: u16 = u16::MAX;
/// Ends a site's id in a key: no id has it.
const SLASH: u8 = b'/';

const CLOCKS: u8 = 0;
const RECORD: u8 = 1;
const SPOOL: u8 = 2;
const EXTRAS: u8 = 3;
const GROUP: u8 = 4;
const HELD: u8 = 5;
const SERIES: u8 = 6;

/// Names a state entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// Of the partition: the log's clocks.
    Clocks,
    /// Of a site.
    Site(KeyGroup, &'a str, SiteEntry<'a>),
}

/// Names an entry among those of a site. They lie in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SiteEntry<'a> {
    /// Its record.
    Record,
    /// A spool.
    Spool(SpoolId),
    /// What a rule keeps besides its groups: the rule's name.
    Extras(&'a str),
    /// A group: the rule's name, and the group's key.
    Group(&'a str, &'a [u8]),
    /// A signal, or a switch of types, that waits for the watermark.
    Held(HeldKey),
    /// What a metric has counted in the open minute: its name and revision.
    Series(&'a str, &'a str),
}

impl<'a> Key<'a> {
    /// Overwrites `to` with the key.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        to.clear();
        let Self::Site(key_group, site, entry) = self else {
            to.extend_from_slice(&NO_KEY_GROUP.to_be_bytes());
            return to.push(CLOCKS);
        };
        to.extend_from_slice(&key_group.0.to_be_bytes());
        to.push(entry.tag());
        to.extend_from_slice(site.as_bytes());
        if *entry != SiteEntry::Record {
            to.push(SLASH);
        }
        match entry {
            SiteEntry::Record => {}
            SiteEntry::Spool(spool) => to.extend_from_slice(&spool.0),
            SiteEntry::Extras(rule) => to.extend_from_slice(rule.as_bytes()),
            SiteEntry::Group(rule, group) => {
                to.extend_from_slice(rule.as_bytes());
                to.push(SLASH);
                to.extend_from_slice(group);
            }
            SiteEntry::Held((at, spool, seq, index)) => {
                to.extend_from_slice(&sortable(*at).to_be_bytes());
                to.extend_from_slice(&spool.0);
                to.extend_from_slice(&seq.to_be_bytes());
                to.extend_from_slice(&index.to_be_bytes());
            }
            SiteEntry::Series(name, revision) => {
                to.extend_from_slice(name.as_bytes());
                to.push(SLASH);
                to.extend_from_slice(revision.as_bytes());
            }
        }
    }

    /// Reads what [`Self::write`] wrote.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let key_group = KeyGroup(u16::from_be_bytes(*reader.fixed()?));
        let [tag] = *reader.fixed()?;
        let rest = reader.rest();
        if tag == CLOCKS {
            return Ok(Self::Clocks);
        }
        let (site, rest) = if tag == RECORD { (rest, &[][..]) } else { split(rest)? };
        let entry = match tag {
            RECORD => SiteEntry::Record,
            SPOOL => SiteEntry::Spool(SpoolId(*Reader::new(rest).fixed()?)),
            EXTRAS => SiteEntry::Extras(text(rest)?),
            GROUP => {
                let (rule, group) = split(rest)?;
                SiteEntry::Group(text(rule)?, group)
            }
            HELD => {
                let mut held = Reader::new(rest);
                let at = from_sortable(u64::from_be_bytes(*held.fixed()?));
                let spool = SpoolId(*held.fixed()?);
                let (seq, index) = (u64::from_be_bytes(*held.fixed()?), u32::from_be_bytes(*held.fixed()?));
                SiteEntry::Held((at, spool, seq, index))
            }
            SERIES => {
                let (name, revision) = split(rest)?;
                SiteEntry::Series(text(name)?, text(revision)?)
            }
            _ => return Err(DecodeError::Range),
        };
        Ok(Self::Site(key_group, text(site)?, entry))
    }
}

impl SiteEntry<'_> {
    fn tag(&self) -> u8 {
        match self {
            Self::Record => RECORD,
            Self::Spool(_) => SPOOL,
            Self::Extras(_) => EXTRAS,
            Self::Group(..) => GROUP,
            Self::Held(_) => HELD,
            Self::Series(..) => SERIES,
        }
    }
}

/// The beginnings of four sorts of keys: the clocks, and the site's record, spools and held items. A key of another
/// site may begin so too: the record of "ab" begins as that of "a" does.
pub(crate) fn prefixes(site: &SiteId) -> [Vec<u8>; 4] {
    let of_site = |tag: u8, end: &[u8]| {
        [&KeyGroup::of(site.as_str()).0.to_be_bytes()[..], &[tag], site.as_str().as_bytes(), end].concat()
    };
    let mut clocks = Vec::new();
    Key::Clocks.write(&mut clocks);
    [clocks, of_site(RECORD, b""), of_site(SPOOL, &[SLASH]), of_site(HELD, &[SLASH])]
}

/// The beginnings of four other sorts of keys: the clocks, the site's record, and what a rule keeps for it, its groups apart.
/// Keys of others may begin so too.
pub(crate) fn rule_prefixes(site: &SiteId, rule: &RuleName) -> [Vec<u8>; 4] {
    let [clocks, record, ..] = prefixes(site);
    let mut extras = Vec::new();
    Key::Site(KeyGroup::of(site.as_str()), site.as_str(), SiteEntry::Extras(rule.as_str())).write(&mut extras);
    let mut groups = Vec::new();
    Key::Site(KeyGroup::of(site.as_str()), site.as_str(), SiteEntry::Group(rule.as_str(), b"")).write(&mut groups);
    [clocks, record, extras, groups]
}

/// A time as bytes that sort as it does.
fn sortable(at: SiteMs) -> u64 {
    at.0 as u64 ^ 1 << 63
}

fn from_sortable(bits: u64) -> SiteMs {
    SiteMs((bits ^ 1 << 63) as i64)
}

fn split(key: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let slash = key.iter().position(|byte| *byte == SLASH).ok_or(DecodeError::Truncated)?;
    Ok((&key[..slash], &key[slash + 1..]))
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        let mut text = String::new();
        for byte in bytes {
            write!(text, "{byte:02x}").unwrap();
        }
        text
    }

    /// The bytes are a format on disk: every store that exists has them.
    #[test]
    fn each_key_has_its_bytes_and_is_found_in_them() {
        let (group, spool) = (KeyGroup(0x0102), SpoolId([9; 8]));
        let of_site = |entry| Key::Site(group, "ab", entry);
        let keys = [
            (of_site(SiteEntry::Record), "0102016162"),
            (of_site(SiteEntry::Spool(spool)), "01020261622f0909090909090909"),
            (of_site(SiteEntry::Extras("r-1")), "01020361622f722d31"),
            (of_site(SiteEntry::Group("r-1", b"")), "01020461622f722d312f"),
            (of_site(SiteEntry::Group("r-1", b"\x02/")), "01020461622f722d312f022f"),
            (
                of_site(SiteEntry::Held((SiteMs(-1), spool, 3, 4))),
                "01020561622f7fffffffffffffff0909090909090909000000000000000300000004",
            ),
            (
                of_site(SiteEntry::Held((SiteMs(1), spool, 3, 4))),
                "01020561622f80000000000000010909090909090909000000000000000300000004",
            ),
            (
                of_site(SiteEntry::Series("logins", "0123456789ab")),
                "01020661622f6c6f67696e732f303132333435363738396162",
            ),
            (Key::Clocks, "ffff00"),
        ];
        let mut written = Vec::new();
        for (key, bytes) in keys {
            key.write(&mut written);
            assert_eq!(hex(&written), bytes, "{key:?}");
            assert_eq!(Key::read(&written), Ok(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bytes in [
            &b""[..],
            b"\0\0",
            b"\0\0\x07ab/",
            b"\0\0\x06ab/m",
            b"\0\0\x02ab",
            b"\0\0\x02ab/\0",
            b"\0\0\x04ab/r",
            b"\0\0\x01\xff",
        ] {
            assert!(Key::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
