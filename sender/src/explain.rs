//! What is signed of a batch, taken apart, for whoever writes a sender.

use std::fmt::Write as _;

use logystera_schemas::signature::{CONTENT_TYPE, METHOD, PATH, Secret, Signed};

/// Field by field what is signed, the string, and what comes of it.
pub fn explain(signed: &Signed<'_>, secret: Option<&Secret>, body_bytes: usize) -> String {
    let ts = format!("{:010}", signed.ts);
    let batch = signed.batch.to_string();
    let digest = signed.body_digest.to_string();
    let body = format!("SHA-256 of the body as it is sent ({body_bytes} bytes)");
    let lines = [
        ("version", "v1", ""),
        ("method", METHOD, ""),
        ("path", PATH, "always literally this"),
        ("audience", signed.audience, "the deployment's name; not in the header"),
        ("site", signed.site.as_str(), ""),
        ("key", signed.key.as_str(), ""),
        ("ts", &ts, "seconds since 1970, 10 digits; fresh for each try"),
        ("batch", &batch, "<spool>.<seq>; the same for each try"),
        ("content type", &String::from_utf8_lossy(signed.content_type), ""),
        (
            "content encoding",
            &String::from_utf8_lossy(signed.content_encoding),
            "`identity` where the header is absent",
        ),
        ("body digest", &digest, &body),
    ];
    let mut text = String::from("Eleven lines are signed, joined by LF (0x0a), with no LF at the end:\n\n");
    for (i, (name, value, note)) in lines.iter().enumerate() {
        let note = if note.is_empty() { String::new() } else { format!("   # {note}") };
        let _ = writeln!(text, "{:>4}  {name:<17} {value}{note}", i + 1);
    }
    let string = signed.explain();
    let _ = writeln!(text, "\nThe same as one string of {} bytes, escaped:\n\n{string:?}\n", string.len());
    if let Some(secret) = secret {
        let header = signed.sign(secret);
        let mac = header.rsplit("sig=").next().unwrap_or_default();
        let _ = writeln!(text, "HMAC-SHA256 under the key's 32 bytes (its 64 hex digits, decoded):\n\n{mac}\n");
        let _ = writeln!(text, "The headers of this request:\n\nLogystera-Signature: {header}");
    } else {
        let header = format!("v1 site={},key={},ts={ts},batch={batch},sig=<HMAC-SHA256>", signed.site, signed.key);
        let _ = writeln!(text, "No secret was given: the HMAC is left out.\n");
        let _ = writeln!(text, "The headers of this request:\n\nLogystera-Signature: {header}");
    }
    let _ = writeln!(text, "Content-Type: {CONTENT_TYPE}");
    if signed.content_encoding != b"identity" {
        let _ = writeln!(text, "Content-Encoding: {}", String::from_utf8_lossy(signed.content_encoding));
    }
    text
}
