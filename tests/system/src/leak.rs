//! Looks for values where they must not be: in every byte, in every form that a value takes on its way through a program.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::wire::to_hex;

/// Characters of a marker. Its halves are looked for one by one: a value that lies across two pages of a file is torn.
const MARKER_CHARS: usize = 24;
/// Bytes by which a needle is found; every form of a half has more.
const PREFIX_BYTES: usize = 8;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A value that stands for something private: random-looking, and told from every other by its name.
pub fn marker(name: &str) -> String {
    let digest = Sha256::digest(format!("marker of {name}"));
    digest.iter().take(MARKER_CHARS).map(|b| char::from(ALPHABET[usize::from(*b) % ALPHABET.len()])).collect()
}

/// Bytes to look in, and what they are.
pub type Place = (String, Vec<u8>);

struct Needle {
    value: usize,
    form: &'static str,
    bytes: Vec<u8>,
}

/// The values to look for.
#[derive(Default)]
pub struct Search {
    names: Vec<String>,
    /// In bytes as they are; and with capitals made small on both sides.
    exact: BTreeMap<[u8; PREFIX_BYTES], Vec<Needle>>,
    folded: BTreeMap<[u8; PREFIX_BYTES], Vec<Needle>>,
}

impl Search {
    /// Looks for the marker of this name too, and gives it.
    pub fn plant(&mut self, name: &str) -> String {
        let value = marker(name);
        self.add(name, value.as_bytes());
        value
    }

    /// Looks for these bytes too, of which there are 24 or more.
    pub fn add(&mut self, name: &str, value: &[u8]) {
        assert!(value.len() >= MARKER_CHARS, "{name} is too short to be told from chance");
        let number = self.names.len();
        self.names.push(name.to_owned());
        let (first, second) = value.split_at(value.len() / 2);
        for half in [first, second] {
            for (form, bytes, folds) in forms(half) {
                let needles = if folds { &mut self.folded } else { &mut self.exact };
                let bytes = if folds { bytes.to_ascii_lowercase() } else { bytes };
                let prefix = bytes[..PREFIX_BYTES].try_into().expect("a form is longer than a prefix");
                needles.entry(prefix).or_default().push(Needle { value: number, form, bytes });
            }
        }
    }

    /// How many values are looked for.
    pub fn values(&self) -> usize {
        self.names.len()
    }

    /// What is found where, one line for each value, form and place.
    pub fn find(&self, places: &[Place]) -> Vec<String> {
        let mut found = BTreeMap::new();
        for (place, bytes) in places {
            let mut note = |needle: &Needle, at: usize| {
                found.entry(format!("{} as {} in {place}", self.names[needle.value], needle.form)).or_insert(at);
            };
            scan(&self.exact, bytes, &mut note);
            scan(&self.folded, &bytes.to_ascii_lowercase(), &mut note);
        }
        found.into_iter().map(|(what, at)| format!("{what}, byte {at}")).collect()
    }
}

fn scan(needles: &BTreeMap<[u8; PREFIX_BYTES], Vec<Needle>>, bytes: &[u8], note: &mut impl FnMut(&Needle, usize)) {
    let mut starts = vec![false; 1 << 16];
    let pair = |a: u8, b: u8| usize::from(a) << 8 | usize::from(b);
    for prefix in needles.keys() {
        starts[pair(prefix[0], prefix[1])] = true;
    }
    for (at, window) in bytes.windows(PREFIX_BYTES).enumerate() {
        if starts[pair(window[0], window[1])]
            && let Some(found) = needles.get(window)
        {
            found.iter().filter(|n| bytes[at..].starts_with(&n.bytes)).for_each(|needle| note(needle, at));
        }
    }
}

/// Every form, and whether its capitals are the same as its small letters.
fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>, bool)> {
    let each = |form: &dyn Fn(u8) -> String, between: &str| {
        value.iter().map(|b| form(*b)).collect::<Vec<_>>().join(between).into_bytes()
    };
    let mut forms = vec![
        ("itself", value.to_vec(), true),
        ("itself backwards", value.iter().rev().copied().collect(), true),
        ("hex", to_hex(value).into_bytes(), true),
        ("JSON escapes", each(&|b| format!("\\u{b:04x}"), ""), true),
        ("percent-encoding", each(&|b| format!("%{b:02x}"), ""), true),
        ("byte escapes", each(&|b| format!("\\x{b:02x}"), ""), true),
        ("UTF-16", value.iter().flat_map(|b| [*b, 0]).collect(), true),
        ("a list of numbers", each(&|b| b.to_string(), ", "), true),
        ("a list of numbers without spaces", each(&|b| b.to_string(), ","), true),
    ];
    // Where it starts in a group of three bytes is not known; characters that its neighbours change are left out.
    for skipped in 0..3 {
        let padded = [&[0; 2][..skipped], value].concat();
        let whole = (skipped * 8).div_ceil(6)..padded.len() * 8 / 6;
        forms.push(("Base64", STANDARD_NO_PAD.encode(&padded).as_bytes()[whole.clone()].to_vec(), false));
        forms.push(("Base64 for URLs", URL_SAFE_NO_PAD.encode(&padded).as_bytes()[whole].to_vec(), false));
    }
    forms
}

/// Every file below a folder, and the names of all. What is no file, such as a socket, has a name only.
pub fn folder(root: &Path, called: &str) -> Vec<Place> {
    let (mut places, mut names, mut folders) = (Vec::new(), String::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be read").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a file has a type"));
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            // Writing to a string cannot fail.
            let _ = writeln!(names, "{name}");
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                // A file of SQLite's may go while it is looked at.
                places.extend(std::fs::read(&path).ok().map(|bytes| (format!("{called}: {name}"), bytes)));
            }
        }
    }
    assert!(!places.is_empty(), "{} has no files", root.display());
    places.push((format!("{called}: names of files"), names.into_bytes()));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: impl Into<Vec<u8>>) -> Vec<String> {
        let mut search = Search::default();
        search.plant("x");
        search.plant("y");
        search.find(&[("here".to_owned(), bytes.into())])
    }

    #[test]
    fn a_value_is_found_in_every_form_and_beside_anything() {
        let x = marker("x");
        assert!(found("").is_empty() && found(marker("z")).is_empty());
        for before in ["", "a", "ab", "abc"] {
            let around = |inner: &str| format!("{before}{inner} tail");
            let escaped = x.bytes().map(|b| format!("\\u{b:04X}")).collect::<Vec<_>>().concat();
            let base64 = STANDARD_NO_PAD.encode(around(&x));
            for text in [
                around(&x),
                around(&x.to_uppercase()),
                around(&to_hex(x.as_bytes())),
                around(&to_hex(x.as_bytes()).to_uppercase()),
                around(&escaped),
                around(&format!("{:?}", x.as_bytes())),
                around(&serde_json::to_string(x.as_bytes()).expect("JSON")),
                base64.clone(),
                URL_SAFE_NO_PAD.encode(around(&x)),
            ] {
                assert!(!found(text.as_str()).is_empty(), "{text}");
            }
            assert!(found(base64.to_lowercase()).is_empty(), "Base64 in small letters is something else");
        }
        assert_eq!(found(format!("--{x}")), ["x as itself in here, byte 2"]);
    }

    #[test]
    fn a_torn_value_is_found_by_a_half() {
        let x = marker("x");
        for cut in 0..=x.len() {
            assert!(!found(format!("{}--{}", &x[..cut], &x[cut..])).is_empty(), "cut at {cut}");
        }
    }
}
