//! Which addresses may be called. A tenant chooses the address of its channel, so it must not lead into the operator's own
//! network (server-side request forgery): the name is resolved here, every address is vetted, and the connection goes to a
//! vetted one, so that a second answer of the name server changes nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Characters of a channel's address.
const URL_CHARS_MAX: usize = 2_048;

/// Bytes of a part of a path that is shown whole: services put tokens of 20 and more there.
const PATH_PART_SHOWN_MAX: usize = 16;
/// Characters of a longer one that are shown.
const PATH_PART_SHOWN: usize = 4;

/// Names that never lead to a public address (RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of `internal`).
const PRIVATE_ZONES: [&str; 4] = ["localhost", "local", "home.arpa", "internal"];

/// What the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressPolicy {
    /// Only `https`, and only addresses of the public internet.
    #[default]
    PublicOnly,
    /// Also private addresses and plain `http`: for a self-hosted installation whose receivers stand beside it.
    AllowPrivate,
}

/// Why an address may not be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read.
    #[error("not a URL: expected https://host/path")]
    NotAUrl,
    /// It is too long.
    #[error("longer than {URL_CHARS_MAX} characters")]
    TooLong,
    /// It is neither `http` nor `https`.
    #[error("only http and https are spoken")]
    Scheme,
    /// It is not encrypted.
    #[error("https is required, unless the operator allows private addresses")]
    NotHttps,
    /// It carries a user name or a password.
    #[error("a user name or password in a URL is not supported: messages are signed instead")]
    UserInfo,
    /// Its name is of this machine or of a private network.
    #[error(
        "names under {0} are of this machine or a private network; only public addresses may be called, unless the operator allows private ones"
    )]
    PrivateName(&'static str),
    /// It leads to where the operator's own machines may be.
    #[error("{address} is {what}; only public addresses may be called, unless the operator allows private ones")]
    Forbidden {
        /// The address.
        address: IpAddr,
        /// What it is, with its article.
        what: &'static str,
    },
}

/// Parses a channel's address and vets what can be seen without a name server. Hosts in odd notations (`0x7f.1`,
/// `2130706433`, `[::ffff:127.0.0.1]`) are IP addresses after parsing (WHATWG URL), and vetted as such.
pub fn vet_url(text: &str, policy: AddressPolicy) -> Result<Url, AddressError> {
    if text.chars().count() > URL_CHARS_MAX {
        return Err(AddressError::TooLong);
    }
    let url = Url::parse(text).map_err(|_| AddressError::NotAUrl)?;
    match (url.scheme(), policy) {
        ("https", _) | ("http", AddressPolicy::AllowPrivate) => {}
        ("http", AddressPolicy::PublicOnly) => return Err(AddressError::NotHttps),
        _ => return Err(AddressError::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::UserInfo);
    }
    let host = url.host_str().ok_or(AddressError::NotAUrl)?;
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        vet(address, policy)?;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_under = |zone: &&str| name.strip_suffix(*zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    match PRIVATE_ZONES.into_iter().find(is_under) {
        Some(zone) if policy == AddressPolicy::PublicOnly => Err(AddressError::PrivateName(zone)),
        _ => Ok(url),
    }
}

/// A channel's address for people: where it leads, and no more. Query and user are left out, and so is most of a part of the
/// path that is long enough to be a token.
pub fn shown(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return "not a URL".to_owned() };
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let cut = |segment: &str| {
        if segment.len() <= PATH_PART_SHOWN_MAX {
            return segment.to_owned();
        }
        let head: String = segment.chars().take(PATH_PART_SHOWN).collect();
        format!("{head}…")
    };
    let path: Vec<String> = url.path().split('/').map(cut).collect();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), path.join("/"))
}

/// Vets one IP address.
pub fn vet(address: IpAddr, policy: AddressPolicy) -> Result<(), AddressError> {
    let what = match address {
        IpAddr::V4(v4) => not_public_v4(v4),
        IpAddr::V6(v6) => not_public_v6(v6),
    };
    match what {
        Some(what) if policy == AddressPolicy::PublicOnly => Err(AddressError::Forbidden { address, what }),
        _ => Ok(()),
    }
}

/// What is not public in IPv4 (IANA, "IPv4 Special-Purpose Address Registry"): network, prefix length, what it is.
const V4: [(Ipv4Addr, u32, &str); 17] = [
    (Ipv4Addr::UNSPECIFIED, 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's private address"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a protocol's address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "a protocol's address"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "a protocol's address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a 6to4 relay's address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmark's address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a documentation address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// What is not public within `2000::/3`, IPv6's only public range so far (IANA, "IPv6 Special-Purpose Address Registry").
const V6: [(Ipv6Addr, u32, &str); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "a Teredo address"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a protocol's address"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "a documentation address"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "a 6to4 address"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "a documentation address"),
];

/// Names for what lies outside `2000::/3`; anything else there is unassigned.
const V6_OUTSIDE: [(Ipv6Addr, u32, &str); 9] = [
    (Ipv6Addr::UNSPECIFIED, 128, "an unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "an IPv4-mapped address"),
    (Ipv6Addr::UNSPECIFIED, 96, "an IPv4-compatible address"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "a NAT64 address"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "a NAT64 address"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a private address"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
];

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |network: Ipv4Addr, length: u32| (address.to_bits() ^ network.to_bits()) >> (32 - length) == 0;
    V4.iter().find(|(network, length, _)| within(*network, *length)).map(|(.., what)| *what)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let within = |network: Ipv6Addr, length: u32| (address.to_bits() ^ network.to_bits()) >> (128 - length) == 0;
    let name = |table: &[(Ipv6Addr, u32, &'static str)]| {
        table.iter().find(|(network, length, _)| within(*network, *length)).map(|(.., what)| *what)
    };
    if within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) {
        name(&V6)
    } else {
        Some(name(&V6_OUTSIDE).unwrap_or("an unassigned address"))
    }
}

/// The addresses of a name, or why there are none.
pub type LookedUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// A name has no address.
#[derive(Debug, thiserror::Error)]
#[error("its name has no address: {0}")]
pub(super) struct LookupFailed(io::Error);

/// Asks a name server.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a host.
    fn lookup(&self, host: &str) -> LookedUp;
}

/// The system's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> LookedUp {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|a| a.ip()).collect()) })
    }
}

/// The resolver of the HTTP client: what it gives is vetted, and the client connects to nothing else.
#[derive(Clone)]
pub(super) struct VettingResolver {
    pub(super) policy: AddressPolicy,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, looked_up) = (self.policy, self.lookup.lookup(name.as_str()));
        Box::pin(async move {
            let addresses = looked_up.await.map_err(LookupFailed)?;
            // One address that may not be called refuses the whole answer: an honest name has none.
            for address in &addresses {
                vet(*address, policy)?;
            }
            Ok(Box::new(addresses.into_iter().map(|a| SocketAddr::new(a, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_refused() {
        for (text, expected) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("10.0.0.1", "private"),
            ("10.255.255.255", "private"),
            ("100.64.0.1", "carrier"),
            ("100.127.255.255", "carrier"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.8", "protocol"),
            ("192.0.2.1", "documentation"),
            ("192.31.196.1", "protocol"),
            ("192.52.193.1", "protocol"),
            ("192.88.99.1", "6to4"),
            ("192.168.1.1", "private"),
            ("198.18.0.1", "benchmark"),
            ("198.19.255.255", "benchmark"),
            ("198.51.100.7", "documentation"),
            ("203.0.113.7", "documentation"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::127.0.0.1", "IPv4-compatible"),
            ("::8.8.8.8", "IPv4-compatible"),
            ("::ffff:127.0.0.1", "IPv4-mapped"),
            ("::ffff:8.8.8.8", "IPv4-mapped"),
            ("64:ff9b::7f00:1", "NAT64"),
            ("64:ff9b::808:808", "NAT64"),
            ("64:ff9b:1::1", "NAT64"),
            ("100::1", "unassigned"),
            ("2001::1", "Teredo"),
            ("2001:0:7f00:1::", "Teredo"),
            ("2001:2::1", "protocol"),
            ("2001:10::1", "protocol"),
            ("2001:1ff:ffff::1", "protocol"),
            ("2001:db8::1", "documentation"),
            ("2002:7f00:1::1", "6to4"),
            ("2002:808:808::1", "6to4"),
            ("3fff:fff::1", "documentation"),
            ("4000::1", "unassigned"),
            ("5f00::1", "unassigned"),
            ("fc00::1", "private"),
            ("fdff::1", "private"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "unassigned"),
            ("ff02::1", "multicast"),
        ] {
            let address: IpAddr = text.parse().unwrap();
            match vet(address, AddressPolicy::PublicOnly) {
                Err(AddressError::Forbidden { what, .. }) => assert!(what.contains(expected), "{text} is {what}"),
                other => panic!("{text}: {other:?}"),
            }
            assert_eq!(vet(address, AddressPolicy::AllowPrivate), Ok(()), "{text}");
        }
    }

    #[test]
    fn public_addresses_may_be_called() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2606:4700::1111",
            "3ffe::1",
            "2a00::1",
        ] {
            assert_eq!(vet(text.parse().unwrap(), AddressPolicy::PublicOnly), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (text, expected) in [
            ("https://example.com/hook", "https://example.com/hook"),
            ("https://example.com", "https://example.com/"),
            ("http://10.0.0.1:9000/a/b?token=secret#secret", "http://10.0.0.1:9000/a/b?…"),
            ("https://user:secret@example.com/", "https://example.com/"),
            (
                "https://hooks.example.com/services/T0/0123456789abcdef01234567",
                "https://hooks.example.com/services/T0/0123…",
            ),
            ("nonsense", "not a URL"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn urls_are_vetted_in_every_notation() {
        use AddressPolicy::{AllowPrivate, PublicOnly};
        let forbidden = |text: &str, what| Err(AddressError::Forbidden { address: text.parse().unwrap(), what });
        let loopback = || forbidden("127.0.0.1", "a loopback address");
        for (text, policy, expected) in [
            ("https://example.com/hook", PublicOnly, Ok(())),
            ("https://example.com:8443/hook?token=1", PublicOnly, Ok(())),
            ("https://8.8.8.8/", PublicOnly, Ok(())),
            ("https://[2606:4700::1111]/", PublicOnly, Ok(())),
            ("http://example.com/", PublicOnly, Err(AddressError::NotHttps)),
            ("http://example.com/", AllowPrivate, Ok(())),
            ("http://127.0.0.1:9000/", AllowPrivate, Ok(())),
            ("ftp://example.com/", AllowPrivate, Err(AddressError::Scheme)),
            ("file:///etc/passwd", AllowPrivate, Err(AddressError::Scheme)),
            ("gopher://example.com/", PublicOnly, Err(AddressError::Scheme)),
            ("", PublicOnly, Err(AddressError::NotAUrl)),
            ("https://", PublicOnly, Err(AddressError::NotAUrl)),
            ("example.com/hook", PublicOnly, Err(AddressError::NotAUrl)),
            ("https://user@example.com/", PublicOnly, Err(AddressError::UserInfo)),
            ("https://:password@example.com/", AllowPrivate, Err(AddressError::UserInfo)),
            ("https://example.com@127.0.0.1/", PublicOnly, Err(AddressError::UserInfo)),
            ("https://127.0.0.1/", PublicOnly, loopback()),
            ("https://127.0.0.1./", PublicOnly, loopback()),
            ("https://127.1/", PublicOnly, loopback()),
            ("https://2130706433/", PublicOnly, loopback()),
            ("https://0x7f000001/", PublicOnly, loopback()),
            ("https://0x7f.1/", PublicOnly, loopback()),
            ("https://0177.0.0.1/", PublicOnly, loopback()),
            ("https://%31%32%37.0.0.1/", PublicOnly, loopback()),
            ("https://１２７.0.0.1/", PublicOnly, loopback()),
            ("https://127。0。0。1/", PublicOnly, loopback()),
            ("https:\\\\127.0.0.1\\", PublicOnly, loopback()),
            ("https:127.0.0.1", PublicOnly, loopback()),
            ("https://0/", PublicOnly, forbidden("0.0.0.0", "an unspecified address")),
            ("https://[::1]/", PublicOnly, forbidden("::1", "a loopback address")),
            ("https://[::ffff:7f00:1]/", PublicOnly, forbidden("::ffff:127.0.0.1", "an IPv4-mapped address")),
            ("https://[fd00::1]/", PublicOnly, forbidden("fd00::1", "a private address")),
            ("https://localhost/hook", PublicOnly, Err(AddressError::PrivateName("localhost"))),
            ("https://LOCALHOST.:8443/", PublicOnly, Err(AddressError::PrivateName("localhost"))),
            ("https://a.localhost/", PublicOnly, Err(AddressError::PrivateName("localhost"))),
            ("https://grafana.lan.internal/", PublicOnly, Err(AddressError::PrivateName("internal"))),
            ("https://printer.local/", PublicOnly, Err(AddressError::PrivateName("local"))),
            ("https://localhost.example.com/", PublicOnly, Ok(())),
            ("https://notlocalhost/", PublicOnly, Ok(())),
            ("https://localhost/hook", AllowPrivate, Ok(())),
        ] {
            assert_eq!(vet_url(text, policy).map(|_| ()), expected, "{text}");
        }
        let long = format!("https://example.com/{}", "x".repeat(URL_CHARS_MAX));
        assert_eq!(vet_url(&long, PublicOnly), Err(AddressError::TooLong));
    }
}
