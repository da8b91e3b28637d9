//! Recognises by its beginning an input that is not one JSON object a line, though it may well hold signals.

use std::fmt;

use serde::de::IgnoredAny;

/// Bytes that some programs put before UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What an input is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Compressed: by what, and the program that unpacks it to its standard output.
    Packed(&'static str, &'static str),
    /// UTF-16, with the name that `iconv` has for it.
    Utf16(&'static str),
    /// One JSON array.
    Array,
    /// JSON, with objects over several lines.
    Pretty,
}

/// Beginnings of compressed files.
const PACKED: [(&[u8], Foreign); 5] = [
    (b"\x1f\x8b", Foreign::Packed("gzip", "zcat")),
    (b"\x28\xb5\x2f\xfd", Foreign::Packed("zstd", "zstdcat")),
    (b"\xfd7zXZ\0", Foreign::Packed("xz", "xzcat")),
    (b"BZh", Foreign::Packed("bzip2", "bzcat")),
    (b"PK\x03\x04", Foreign::Packed("zip", "unzip -p")),
];

/// What a whole file is, if it is no list of signals. Without its byte order mark.
pub fn of_file(bytes: &[u8]) -> Option<Foreign> {
    if let Some(coded) = coded(bytes) {
        return Some(coded);
    }
    let text = bytes.trim_ascii_start();
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    // If the first line is whole JSON, the lines are judged one by one; except an array of objects.
    let is_whole = serde_json::from_slice::<IgnoredAny>(first).is_ok();
    let is_array = text.starts_with(b"[") && text[1..].trim_ascii_start().starts_with(b"{");
    if !is_array && (is_whole || !text.starts_with(b"{")) {
        return None;
    }
    // A line that is only broken is no reason to refuse the file.
    let is_json = matches!(serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>().next(), Some(Ok(_)));
    is_json.then_some(if is_array { Foreign::Array } else { Foreign::Pretty })
}

/// What a stream is, by its first line: what comes behind that is not known yet. Without its byte order mark.
pub fn of_first_line(line: &[u8]) -> Option<Foreign> {
    let text = line.trim_ascii();
    coded(line).or(match text {
        b"{" => Some(Foreign::Pretty),
        b"[" | b"[{" => Some(Foreign::Array),
        _ => None,
    })
}

fn coded(bytes: &[u8]) -> Option<Foreign> {
    let packed = PACKED.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, packed)| *packed);
    packed.or(match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(Foreign::Utf16("UTF-16")),
        [b'{' | b'[', 0, ..] => Some(Foreign::Utf16("UTF-16LE")),
        [0, b'{' | b'[', ..] => Some(Foreign::Utf16("UTF-16BE")),
        _ => None,
    })
}

/// Says what it is, and what makes it what is expected.
impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is, program) = match self {
            Self::Packed(by, program) => (format!("is compressed ({by})"), (*program).to_owned()),
            Self::Utf16(name) => ("is text in UTF-16".to_owned(), format!("iconv -f {name} -t UTF-8")),
            Self::Array => ("is one JSON array".to_owned(), "jq -c '.[]'".to_owned()),
            Self::Pretty => ("is JSON with a signal over several lines".to_owned(), "jq -c .".to_owned()),
        };
        write!(
            f,
            "it {is}, and not one signal a line. Nothing was sent. To send it: {program} FILE | logystera send - …"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_of_signals_is_known_by_how_it_begins() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let (little, marked) = (utf16("{\"type\":1}"), utf16("\u{feff}{\"type\":1}"));
        let cases: [(&[u8], Option<&str>); 19] = [
            (b"", None),
            (b"\n{\"type\":\"a\"}\n", None),
            (b"{\"type\":\"a\",\n{\"type\":\"b\"}\n", None), // a broken line
            (b"{\"type\":\"a\"\n", None),                    // a cut one
            (b"[1]\n", None),
            (b"[1,\n2]\n", None),
            (b"hello\n", None),
            (b"\x1f\x8b\x08\0", Some("zcat FILE |")),
            (b"\x28\xb5\x2f\xfd", Some("zstdcat FILE |")),
            (b"\xfd7zXZ\0", Some("xzcat FILE |")),
            (b"BZh9", Some("bzcat FILE |")),
            (b"PK\x03\x04", Some("unzip -p FILE |")),
            (&little, Some("iconv -f UTF-16LE -t UTF-8 FILE |")),
            (&marked, Some("iconv -f UTF-16 -t UTF-8 FILE |")),
            (b"[{\"type\":\"a\"}]", Some("jq -c '.[]' FILE |")),
            (b" [\n {\"type\":\"a\"},\n {\"type\":\"b\"}\n]\n", Some("jq -c '.[]' FILE |")),
            (b"{\n  \"type\": \"a\"\n}\n{\n  \"type\": \"b\"\n}\n", Some("jq -c . FILE |")),
            (b"{ \"type\": \"a\",\n  \"at\": 1 }\n", Some("jq -c . FILE |")),
            (b"{\n  \"type\": \"a\"\n}\nno JSON\n", Some("jq -c . FILE |")),
        ];
        for (bytes, says) in cases {
            let said = of_file(bytes).map(|foreign| foreign.to_string());
            let fits = said.as_deref().zip(says).map(|(said, says)| said.contains(says));
            assert_eq!(
                (said.is_some(), fits),
                (says.is_some(), says.map(|_| true)),
                "{}: {said:?}",
                String::from_utf8_lossy(bytes)
            );
        }
        for (line, expected) in [
            (&b"{"[..], Some(Foreign::Pretty)),
            (b"[", Some(Foreign::Array)),
            (b"\x1f\x8b", Some(Foreign::Packed("gzip", "zcat"))),
            (b"{\"type\":\"a\"}", None),
            (b"{\"type\":\"a\"", None),
        ] {
            assert_eq!(of_first_line(line), expected);
        }
    }
}
