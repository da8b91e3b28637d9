//! Reads a file of which some values are secrets: an error names the place and what is expected, and shows no value.

use std::collections::BTreeMap;

use logystera_kafka::Properties;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};

/// Reads a TOML file. The parser's own error would show the line.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let what = without_value(error.message());
        let Some(span) = error.span() else { return what.to_owned() };
        let line = 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
        format!("line {line}: {what}")
    })
}

/// The value stands between these words and what is expected.
fn without_value(message: &str) -> &str {
    let has_value = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    let expected = message.rfind(", expected ").filter(|_| has_value);
    expected.map_or(message, |at| &message[at + 2..])
}

/// The table `kafka.properties`.
pub(crate) fn properties<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Properties, D::Error> {
    let properties = BTreeMap::deserialize(deserializer)?;
    Properties::new(properties).map_err(|e| Error::custom(format_args!("kafka.properties: {e}")))
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;

    /// A file whose line 6 and what follows it are these.
    fn error(properties: &str) -> String {
        let file = format!(
            "audience = \"a\"\npublic-url = \"https://in.example.com\"\nsecrets = \"s\"\n[kafka]\nbrokers = \"b:9092\"\n\
             {properties}"
        );
        Config::parse(&file).unwrap_err()
    }

    #[test]
    fn an_error_shows_no_value() {
        let syntax = [
            ("\"sasl.password\" = s3cret", "line 7: string values must be quoted"),
            ("\"sasl.password\" = \"s3cret", "line 7: invalid basic string"),
            ("\"sasl.password\" = \"s3cret\\q\"", "line 7: missing escaped value"),
            ("\"sasl.password\" = 's3cret' s3cret", "line 7: unexpected key or value"),
            ("\"sasl.password\" s3cret", "line 7: "),
            ("\"sasl.password\" = \"s3cret\"\n\"sasl.password\" = \"s3cret\"", "line 8: duplicate key"),
        ];
        let types = [
            ("\"sasl.password\" = 53237", "line 7: expected a string"),
            ("\"sasl.password\" = 53237.5", "line 7: expected a string"),
            ("\"sasl.password\" = [\"s3cret\"]", "line 7: expected a string"),
            ("sasl.password = \"s3cret\"", "line 7: expected a string"),
            ("\"sasl.pasword\" = \"s3cret\"", "No such configuration property: \"sasl.pasword\""),
        ];
        for (line, says) in syntax.into_iter().chain(types) {
            let error = error(&format!("[kafka.properties]\n{line}"));
            assert!(error.contains(says), "{line}: {error}");
            assert!(!error.contains("s3cret") && !error.contains("53237"), "{line}: {error}");
        }
        let error = error("[store]\nnodes = \"c:9042\"\nuser = \"me\"\npassword = 53237");
        assert_eq!(error, "line 9: expected a string");
    }

    #[test]
    fn what_the_build_cannot_do_is_said_when_the_file_is_read() {
        let file = "[kafka.properties]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"";
        let says = if cfg!(feature = "kafka-tls") { "sasl.username is missing" } else { "--features kafka-tls" };
        assert!(error(file).contains(says), "{}", error(file));
    }
}
