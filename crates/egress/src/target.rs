//! Reads addresses (URLs) in the one spelling that leaves nothing to interpret.
//!
//! Two readers of one address that differ are how guards are passed: one sees a harmless name, the other connects
//! elsewhere. So this reader accepts less than RFC 3986 and the URL standard of browsers do: no user information, no
//! percent-encoding or other alphabets in the host, no IPv4 spelled as a number, in octal, in hexadecimal or with
//! fewer than four parts, no trailing dot, no backslash, no fragment. What it returns is what is connected to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::uri::PathAndQuery;

/// The longest address that is read.
const MAX_BYTES: usize = 2048;

/// An address to call.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    secure: bool,
    host: Host,
    port: u16,
    path: PathAndQuery,
}

/// The host of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in lower case; other alphabets are written as `xn--…`.
    Name(String),
    /// An address in numbers.
    Address(IpAddr),
}

/// Why a text is not taken as an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than 2048 bytes.
    #[error("the address is longer than {MAX_BYTES} bytes")]
    Length,
    /// A character that an address does not hold.
    #[error("the address holds a character that addresses do not hold")]
    Character,
    /// Another scheme than https or http.
    #[error("the address begins with neither https:// nor http://")]
    Scheme,
    /// A user name or a password before the host.
    #[error("the address holds a user name or a password")]
    UserInfo,
    /// A host that is not written as a name, four decimal parts, or IPv6 in brackets.
    #[error(
        "the host is written neither as a plain name, nor as four decimal numbers, nor as IPv6 in brackets"
    )]
    Host,
    /// A port that is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A part after `#`, which is never sent.
    #[error("the address holds a part after #, which is never sent")]
    Fragment,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// [`TargetError`], for every spelling but the plain one.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > MAX_BYTES {
            return Err(TargetError::Length);
        }
        let odd = |b: u8| !b.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&b);
        if text.bytes().any(odd) {
            return Err(TargetError::Character);
        }
        if text.contains('#') {
            return Err(TargetError::Fragment);
        }
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(TargetError::Scheme),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(TargetError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self {
            secure,
            host: Host::parse(host)?,
            port: match port {
                Some(port) => parse_port(port)?,
                None if secure => 443,
                None => 80,
            },
            path: PathAndQuery::try_from(path).map_err(|_| TargetError::Character)?,
        })
    }

    /// Whether the scheme is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's own where none was written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, beginning with a slash.
    pub fn path(&self) -> &PathAndQuery {
        &self.path
    }

    /// The address that a `Location` of an answer from this one leads to: a whole address, or a path of the same host.
    ///
    /// # Errors
    /// As [`Target::parse`]; paths relative to the present one are refused.
    pub fn follow(&self, location: &str) -> Result<Self, TargetError> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Self::parse(&format!("{}{location}", self.origin()));
        }
        Self::parse(location)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.authority())
    }

    /// Host and port as the header `Host` has them.
    pub fn authority(&self) -> String {
        if self.port == if self.secure { 443 } else { 80 } {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Shows no path and no query: they may hold secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/‹redacted›", self.origin())
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

impl Host {
    /// Reads a host without its port; IPv6 stands in brackets.
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| TargetError::Host)?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        // The standard library takes four decimal parts without leading zeros, and nothing else.
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // What ends in a number is an IPv4 address to some readers (`127.1`, `0x7f.1`): names end in a word.
        let word = text.rsplit('.').next().is_some_and(|l| l.starts_with(|c: char| c.is_ascii_alphabetic()));
        if text.len() > 253 || !word || !text.split('.').all(label) {
            return Err(TargetError::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => write!(f, "{v4}"),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// Splits `host:port`; the colons of IPv6 stand in brackets.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<&str>), TargetError> {
    let after_host = match authority.starts_with('[') {
        true => authority.find(']').ok_or(TargetError::Host)? + 1,
        false => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(after_host);
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(TargetError::Host),
    }
}

pub(crate) fn parse_port(text: &str) -> Result<u16, TargetError> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.filter(|port| *port != 0).ok_or(TargetError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_address_is_read_whole() {
        let target = Target::parse("HTTPS://Hooks.Example.com:8443/a/b?c=d%20e").expect("plain");
        assert_eq!(target.host(), &Host::Name("hooks.example.com".into()));
        assert_eq!((target.port(), target.path().as_str()), (8443, "/a/b?c=d%20e"));
        assert_eq!(target.authority(), "hooks.example.com:8443");
        assert_eq!(
            Target::parse("https://[2606:4700::1111]?q").expect("plain").authority(),
            "[2606:4700::1111]"
        );
        assert_eq!(Target::parse("https://example.com").expect("plain").path().as_str(), "/");
        assert_eq!(Target::parse("https://xn--mnchen-3ya.example").expect("plain").port(), 443);
    }

    #[test]
    fn every_other_spelling_is_refused_by_name() {
        use TargetError::{Character, Fragment, Host, Length, Port, Scheme, UserInfo};
        let long = format!("https://example.com/{}", "a".repeat(MAX_BYTES));
        let cases: &[(&str, TargetError)] = &[
            ("", Scheme),
            ("example.com", Scheme),
            ("//example.com/", Scheme),
            ("https:example.com", Scheme),
            ("https:/example.com", Scheme),
            ("ftp://example.com/", Scheme),
            ("file:///etc/passwd", Scheme),
            ("gopher://example.com:70/_x", Scheme),
            ("dict://example.com:11211/", Scheme),
            ("ldap://example.com/", Scheme),
            ("unix:///run/docker.sock", Scheme),
            ("data://text/plain,x", Scheme),
            ("jar:https://example.com!/", Scheme),
            ("https+unix://x/", Scheme),
            (" https://example.com/", Character),
            ("https://example.com/ ", Character),
            ("ht\ttps://example.com/", Character),
            ("https://exa\nmple.com/", Character),
            ("https://example.com/\r\nhost: other", Character),
            ("https://example.com/\u{0}", Character),
            ("https://example.com\\@127.0.0.1/", Character),
            ("https:\\\\example.com/", Character),
            ("https://ex\u{e4}mple.com/", Character),
            ("https://127\u{3002}0\u{3002}0\u{3002}1/", Character),
            ("https://\u{2488}\u{2489}.example/", Character),
            ("https://\u{ff11}27.0.0.1/", Character),
            ("https://example.com/\u{e4}", Character),
            ("https://user@example.com/", UserInfo),
            ("https://user:password@example.com/", UserInfo),
            ("https://example.com@127.0.0.1/", UserInfo),
            ("https://127.0.0.1@example.com/", UserInfo),
            ("https://@example.com/", UserInfo),
            ("https://example.com/#part", Fragment),
            ("https://127.0.0.1#@example.com/", Fragment),
            ("https:///path", Host),
            ("https://", Host),
            ("https://?q", Host),
            ("https://.example.com/", Host),
            ("https://example..com/", Host),
            ("https://example.com./", Host),
            ("https://localhost./", Host),
            ("https://127.0.0.1./", Host),
            ("https://-a.example/", Host),
            ("https://a-.example/", Host),
            ("https://a_b.example/", Host),
            ("https://%6c%6f%63alhost/", Host),
            ("https://127.0.0.1%00.example.com/", Host),
            ("https://127.0.0.1%2f.example.com/", Host),
            ("https://127.1/", Host),
            ("https://127.0.1/", Host),
            ("https://2130706433/", Host),
            ("https://017700000001/", Host),
            ("https://0x7f000001/", Host),
            ("https://0x7f.0x0.0x0.0x1/", Host),
            ("https://0x7f.1/", Host),
            ("https://0177.0.0.1/", Host),
            ("https://0177.0000.0000.0001/", Host),
            ("https://127.0.0.01/", Host),
            ("https://127.0.0.1.1/", Host),
            ("https://256.256.256.256/", Host),
            ("https://1.2.3.4294967297/", Host),
            ("https://999999999999/", Host),
            ("https://0/", Host),
            ("https://example.1/", Host),
            ("https://example.0x1/", Host),
            ("https://::1/", Host),
            ("https://[::1/", Host),
            ("https://[::1]x/", Host),
            ("https://[::1%25lo]/", Host),
            ("https://[fe80::1%25eth0]/", Host),
            ("https://[127.0.0.1]/", Host),
            ("https://[v1.fe80]/", Host),
            ("https://[]/", Host),
            ("https://[::ffff:0x7f.1]/", Host),
            ("https://example.com:/", Port),
            ("https://example.com:0/", Port),
            ("https://example.com:65536/", Port),
            ("https://example.com:+443/", Port),
            ("https://example.com:-1/", Port),
            ("https://example.com:443a/", Port),
            ("https://example.com:80:443/", Port),
            ("https://example.com:000443/", Port),
            ("https://example.com:0x1bb/", Port),
            (&long, Length),
        ];
        for (text, error) in cases {
            assert_eq!(Target::parse(text).err(), Some(*error), "{text:?}");
        }
    }

    #[test]
    fn a_redirect_leads_to_a_whole_address_or_a_path() {
        let from = Target::parse("https://example.com:8443/a?b").expect("plain");
        let to = |location| from.follow(location).map(|t| format!("{}{}", t.origin(), t.path()));
        assert_eq!(to("/c?d").as_deref(), Ok("https://example.com:8443/c?d"));
        assert_eq!(to("https://other.example/x").as_deref(), Ok("https://other.example/x"));
        for odd in ["//127.0.0.1/x", "c", "", "javascript:x", "/\\evil.example", "\\\\evil.example"] {
            assert!(to(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let target = Target::parse("https://example.com/token-123?key=456").expect("plain");
        assert_eq!(format!("{target:?}"), "https://example.com/‹redacted›");
    }

    proptest! {
        /// Nothing makes the reader panic, and what it takes it writes back in the same words.
        #[test]
        fn what_is_read_is_written_back_the_same(text in "(https?://)?[ -~]{0,40}|\\PC{0,40}|https://[0-9a-fx.:\\[\\]%@/?#\\\\]{0,30}") {
            if let Ok(target) = Target::parse(&text) {
                let written = format!("{}{}", target.origin(), target.path());
                prop_assert_eq!(Target::parse(&written), Ok(target.clone()));
                // Whatever else reads it finds the same host.
                let other: http::Uri = written.parse().expect("a URI too");
                prop_assert_eq!(other.host().map(str::to_owned), Some(target.host().to_string()));
                prop_assert_eq!(other.port_u16().unwrap_or(if target.is_secure() { 443 } else { 80 }), target.port());
            }
        }

        #[test]
        fn four_decimal_numbers_are_that_address_and_every_other_spelling_is_refused(v4: u32, n in 0usize..5) {
            let address = Ipv4Addr::from(v4);
            let [a, b, c, d] = address.octets();
            let plain = Target::parse(&format!("https://{address}/")).expect("plain");
            prop_assert_eq!(plain.host(), &Host::Address(address.into()));
            let odd = [
                format!("{v4}"),
                format!("{v4:#x}"),
                format!("0{v4:o}"),
                format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
                format!("{a}.{b}.{}", u32::from(c) << 8 | u32::from(d)),
            ];
            let read = Target::parse(&format!("https://{}/", odd[n]));
            prop_assert!(read.is_err());
        }

        #[test]
        fn ipv6_in_brackets_is_that_address(v6: u128) {
            let address = Ipv6Addr::from(v6);
            let target = Target::parse(&format!("https://[{address}]:1/")).expect("plain");
            prop_assert_eq!(target.host(), &Host::Address(address.into()));
        }
    }
}
