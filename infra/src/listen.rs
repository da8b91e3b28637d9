//! Addresses to listen on, as people write them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// What is expected, if it cannot be read.
const EXPECTED: &str = "expected ADDRESS:PORT: 127.0.0.1:8080 is reached from this machine alone, 0.0.0.0:8080 from everywhere; a port alone is of this machine";

/// Reads an address and a port; a port alone, which is of this machine; or a name that stands for one address.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(port) = text.parse() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Err(format!("the port is missing: {}", SocketAddr::new(address, 8080)));
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = named.filter(|(host, _)| is_name(host)).ok_or_else(|| EXPECTED.to_owned())?;
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("no address of the name {host} is found ({error}); {EXPECTED}"))?;
    one(host, &found.collect())
}

/// The one address that a name stands for; the IPv4 one if it has one of each kind, as `localhost` has.
fn one(host: &str, found: &BTreeSet<SocketAddr>) -> Result<SocketAddr, String> {
    let v4: BTreeSet<_> = found.iter().filter(|address| address.is_ipv4()).collect();
    let candidates = if v4.is_empty() { found.iter().collect() } else { v4 };
    if let (Some(only), 1) = (candidates.first(), candidates.len()) {
        return Ok(**only);
    }
    let listed: Vec<String> = candidates.iter().map(ToString::to_string).collect();
    Err(format!("the name {host} stands for {}; name the one that is meant", listed.join(", ")))
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_forms_that_people_write() {
        for (text, expected) in [
            ("127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("0.0.0.0:0", Ok("0.0.0.0:0")),
            ("[::1]:8443", Ok("[::1]:8443")),
            ("8080", Ok("127.0.0.1:8080")),
            ("localhost:8080", Ok("127.0.0.1:8080")),
            ("0.0.0.0", Err("the port is missing: 0.0.0.0:8080")),
            ("::", Err("the port is missing: [::]:8080")),
            (":8080", Err("0.0.0.0:8080 from everywhere")),
            ("localhost", Err("expected ADDRESS:PORT")),
            ("localhost:http", Err("expected ADDRESS:PORT")),
            ("127.0.0.1:99999", Err("expected ADDRESS:PORT")),
            ("http://localhost:8080", Err("expected ADDRESS:PORT")),
            ("nowhere.invalid:8080", Err("no address of the name nowhere.invalid is found")),
            ("", Err("expected ADDRESS:PORT")),
        ] {
            match (parse(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.to_string(), expected, "{text}"),
                (Err(error), Err(says)) => assert!(error.contains(says), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_name_stands_for_one_address_or_is_refused() {
        let set = |addresses: &[&str]| addresses.iter().map(|a| a.parse().unwrap()).collect::<BTreeSet<SocketAddr>>();
        let v4 = "10.0.0.1:1";
        assert_eq!(one("h", &set(&[v4, "[::1]:1"])).unwrap().to_string(), v4);
        assert_eq!(one("h", &set(&["[::1]:1"])).unwrap().to_string(), "[::1]:1");
        let several = one("h", &set(&[v4, "10.0.0.2:1"])).unwrap_err();
        assert!(several.contains("stands for 10.0.0.1:1, 10.0.0.2:1; name"), "{several}");
    }
}
