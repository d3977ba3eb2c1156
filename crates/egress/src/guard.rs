//! Decides where calls may go: public addresses over https on port 443, and what the operator named.
//!
//! The table of special networks follows the IANA registries of special-purpose addresses (RFC 6890 and later
//! additions) and takes more than they demand: an IPv6 address that carries an IPv4 address is never public, whatever
//! it carries, because only a translator on the way knows where it leads.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::target::{Host, Target, TargetError, parse_port, split_port};

/// Where calls may go. The default: the public internet, https, port 443.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    allowed: Vec<Entry>,
}

/// What an operator allows beside the public internet: `[http://|https://]HOST|ADDRESS|NETWORK[:PORT|:*]`.
///
/// A host that is named may lie anywhere, in a private network too. A network that is named is open to whatever name
/// leads there. Without `http://` the entry is for https alone; without a port it is for the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    secure: bool,
    place: Place,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Name(String),
    Network(IpAddr, u8),
}

/// Why a text is not an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The host.
    #[error("`{}` is expected", "[http://|https://]HOST|ADDRESS|NETWORK[:PORT|:*]")]
    Form(#[source] TargetError),
    /// The number after the slash.
    #[error("the length of the network is not one of its addresses'")]
    Length,
    /// Bits after the network's length.
    #[error("the network's address has bits beyond its length")]
    Bits,
}

/// Why a call is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Plain http, which the operator did not allow there.
    #[error("only https is allowed there")]
    Scheme,
    /// A port that the operator did not allow there.
    #[error("the port is not allowed there")]
    Port,
    /// A name that means something else on every machine or network.
    #[error("the name is one of this machine or of a private network")]
    LocalName,
    /// An address that is not on the public internet.
    #[error("the address is not public: {0}")]
    Address(&'static str),
}

impl Policy {
    /// The default with what the operator named.
    pub fn allowing(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { allowed: entries.into_iter().collect() }
    }

    /// Judges what can be judged before a name is resolved.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(&self, target: &Target) -> Result<(), Refusal> {
        if let Host::Address(address) = target.host() {
            return self.judge(target, *address);
        }
        let here = |entry: &&Entry| match &entry.place {
            Place::Name(name) => matches!(target.host(), Host::Name(n) if n == name),
            Place::Network(..) => true,
        };
        let entries: Vec<&Entry> = self.allowed.iter().filter(here).collect();
        let named = |entry: &&&Entry| matches!(entry.place, Place::Name(_));
        Self::form(target, entries.iter().copied())?;
        if let Host::Name(name) = target.host()
            && is_local(name)
            && !entries.iter().filter(named).any(|entry| entry.fits(target))
        {
            return Err(Refusal::LocalName);
        }
        Ok(())
    }

    /// Judges an address that a target was found to have.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn judge(&self, target: &Target, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let opening: Vec<&Entry> =
            self.allowed.iter().filter(|entry| entry.opens(target.host(), address)).collect();
        let Some(kind) = special(address) else {
            return Self::form(target, opening.into_iter());
        };
        if never(address) || !opening.iter().any(|entry| entry.fits(target)) {
            return Err(Refusal::Address(kind));
        }
        // What a translator makes of it must be allowed as well.
        match carried(address) {
            Some(v4) => self.judge(target, IpAddr::V4(v4)),
            None => Ok(()),
        }
    }

    /// Scheme and port: the public internet's, or those of an entry.
    fn form<'a>(target: &Target, mut entries: impl Iterator<Item = &'a Entry>) -> Result<(), Refusal> {
        if (target.is_secure() && target.port() == 443) || entries.any(|entry| entry.fits(target)) {
            return Ok(());
        }
        Err(if target.is_secure() { Refusal::Port } else { Refusal::Scheme })
    }
}

impl Entry {
    /// Whether scheme and port are the entry's.
    fn fits(&self, target: &Target) -> bool {
        self.secure == target.is_secure() && self.port.is_none_or(|port| port == target.port())
    }

    /// Whether the entry speaks of this host at this address.
    fn opens(&self, host: &Host, address: IpAddr) -> bool {
        match &self.place {
            Place::Name(name) => matches!(host, Host::Name(n) if n == name),
            // A wide network does not open the addresses at which clouds hand out keys: those are named one by one.
            Place::Network(network, length) => {
                within(*network, *length, address)
                    && (!is_link_local(address) && !is_metadata(address) || *length == bits(address))
            }
        }
    }

    /// An entry for the host and port of an address that the operator gave.
    pub fn of(target: &Target) -> Self {
        let place = match target.host() {
            Host::Name(name) => Place::Name(name.clone()),
            Host::Address(address) => {
                let address = address.to_canonical();
                Place::Network(address, bits(address))
            }
        };
        Self { secure: target.is_secure(), place, port: Some(target.port()) }
    }
}

impl FromStr for Entry {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Self, EntryError> {
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => (true, text),
        };
        // IPv6 without brackets has no port.
        let bare = !rest.starts_with('[') && rest.matches(':').count() > 1;
        let (place, port) = if bare { (rest, None) } else { split_port(rest).map_err(EntryError::Form)? };
        let port = match port {
            Some("*") => None,
            Some(port) => Some(parse_port(port).map_err(EntryError::Form)?),
            None => Some(if secure { 443 } else { 80 }),
        };
        let place = place.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or(place);
        let (start, length) = match place.split_once('/') {
            Some((start, length)) => (start, Some(length)),
            None => (place, None),
        };
        let place = match (start.parse::<IpAddr>(), length) {
            (Ok(address), length) => {
                let length = match length {
                    Some(digits) => digits.parse().map_err(|_| EntryError::Length)?,
                    None => bits(address),
                };
                if length > bits(address) {
                    return Err(EntryError::Length);
                }
                if masked(address, length) != masked(address, bits(address)) {
                    return Err(EntryError::Bits);
                }
                // A single mapped address is the IPv4 address that it maps.
                match address.to_canonical() {
                    v4 if v4.is_ipv4() && length == bits(address) => Place::Network(v4, 32),
                    _ => Place::Network(address, length),
                }
            }
            (Err(_), Some(_)) => return Err(EntryError::Form(TargetError::Host)),
            (Err(_), None) => match Host::parse(start).map_err(EntryError::Form)? {
                Host::Name(name) => Place::Name(name),
                Host::Address(_) => return Err(EntryError::Form(TargetError::Host)),
            },
        };
        Ok(Self { secure, place, port })
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first `length` bits of an address.
fn masked(address: IpAddr, length: u8) -> u128 {
    let value = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    value & !u128::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

fn within(network: IpAddr, length: u8, address: IpAddr) -> bool {
    network.is_ipv4() == address.is_ipv4() && masked(network, length) == masked(address, length)
}

/// Names that mean this machine or something in its neighbourhood (RFC 6761, 6762, 7686, 8375, 9476 and custom).
fn is_local(name: &str) -> bool {
    const ENDS: &[&str] = &[
        "localhost",
        "localdomain",
        "local",
        "internal",
        "intranet",
        "lan",
        "corp",
        "home",
        "private",
        "alt",
        "onion",
        "test",
        "invalid",
        "home.arpa",
    ];
    let ends =
        |end: &&str| name.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !name.contains('.') || ENDS.iter().any(ends)
}

/// Whether an address is on the public internet.
pub fn is_public(address: IpAddr) -> bool {
    special(address).is_none()
}

/// What kind of special network an address lies in; `None` on the public internet.
fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(v4: Ipv4Addr) -> Option<&'static str> {
    Some(match v4.octets() {
        [0, ..] => "this host or network",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private network",
        [100, 64..=127, ..] => "a provider's shared network",
        [127, ..] => "this machine",
        [169, 254, ..] => "this link",
        [192, 0, 0, _] => "protocol assignments",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [192, 88, 99, _] => "a relay of 6to4",
        [198, 18..=19, ..] => "benchmarks",
        [224..=239, ..] => "multicast",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn special_v6(v6: Ipv6Addr) -> Option<&'static str> {
    if v6.is_unspecified() {
        return Some("this host or network");
    }
    if v6.is_loopback() {
        return Some("this machine");
    }
    if carried(IpAddr::V6(v6)).is_some() {
        return Some("an IPv4 address within IPv6");
    }
    Some(match v6.segments() {
        [0xfe80..=0xfebf, ..] => "this link",
        [0xfec0..=0xfeff, ..] | [0xfc00..=0xfdff, ..] => "a private network",
        [0xff00..=0xffff, ..] => "multicast",
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => "documentation",
        [0x2001, 0..=0x01ff, ..] => "protocol assignments",
        [0x3ffe, ..] => "reserved",
        // Global unicast is 2000::/3.
        [0x2000..=0x3fff, ..] => return None,
        _ => "reserved",
    })
}

/// The IPv4 address that an IPv6 address carries for a translator or a tunnel.
fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    if v6.is_unspecified() || v6.is_loopback() {
        return None;
    }
    let last = Ipv4Addr::from_bits(v6.to_bits() as u32);
    let at = |shift: u32| Ipv4Addr::from_bits((v6.to_bits() >> shift) as u32);
    match v6.segments() {
        // Compatible (RFC 4291), mapped (same), translated (RFC 2765), NAT64 (RFC 6052, RFC 8215).
        [0, 0, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [0x64, 0xff9b, 1, ..] => Some(last),
        // 6to4 (RFC 3056).
        [0x2002, ..] => Some(at(80)),
        // Teredo (RFC 4380): the client's address, inverted.
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!last.to_bits())),
        // ISATAP (RFC 5214), with and without the bit for unique addresses.
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => Some(last),
        _ => None,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Where clouds hand out keys outside of the link-local networks.
fn is_metadata(address: IpAddr) -> bool {
    let v6 = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    let v4 = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
    address == IpAddr::V6(v6) || v4.into_iter().any(|v4| address == IpAddr::V4(v4))
}

/// Addresses that no entry opens: a connection to them makes no sense.
fn never(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [0 | 224..=255, ..]),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn policy(entries: &[&str]) -> Policy {
        Policy::allowing(entries.iter().map(|e| e.parse().unwrap_or_else(|error| panic!("{e}: {error}"))))
    }

    /// T26: addresses of every special network, its first and last ones.
    const SPECIAL: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.255",
        "224.0.0.0",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:7f00:1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "100::",
        "100::1",
        "100:0:0:1::1",
        "2001::",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "2001:db8:ffff::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:a9fe:a9fe::1",
        "2002:808:808::1",
        "2606:4700::200:5efe:7f00:1",
        "2606:4700::5efe:a00:1",
        "3ffe::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "8000::1",
        "fc00::",
        "fd00::1",
        "fd00:ec2::254",
        "fdff:ffff::1",
        "fe80::",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff00::",
        "ff02::1",
        "ffff::1",
    ];

    const PUBLIC: &[&str] = &[
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7:ffff::1",
        "2001:db9::1",
        "2003::1",
        "2606:4700::1111",
        "2a00:1450::1",
        "3ffd::1",
        "3fff:1000::1",
    ];

    #[test]
    fn t26_addresses_of_special_networks_are_refused_and_their_neighbours_are_not() {
        let somewhere = target("https://somewhere.example/");
        for text in SPECIAL {
            let address: IpAddr = text.parse().expect("address");
            assert!(!is_public(address), "{text}");
            assert!(
                matches!(Policy::default().judge(&somewhere, address), Err(Refusal::Address(_))),
                "{text}"
            );
        }
        for text in PUBLIC {
            let address: IpAddr = text.parse().expect("address");
            assert!(is_public(address), "{text}");
            assert_eq!(Policy::default().judge(&somewhere, address), Ok(()), "{text}");
        }
    }

    #[test]
    fn t26_an_address_in_numbers_is_judged_before_anything_else() {
        for text in SPECIAL {
            let address: IpAddr = text.parse().expect("address");
            let written = target(&format!("https://{}/", Host::Address(address)));
            assert!(matches!(Policy::default().admit(&written), Err(Refusal::Address(_))), "{text}");
        }
    }

    #[test]
    fn t26_local_names_ports_and_plain_http_are_refused() {
        for name in [
            "localhost",
            "LocalHost",
            "a.localhost",
            "localhost.localdomain",
            "printer",
            "printer.local",
            "nas.lan",
            "metadata.google.internal",
            "kubernetes.default.svc.cluster.local",
            "router.home.arpa",
            "x.onion",
            "wpad.corp",
            "intranet",
            "a.b.test",
        ] {
            assert_eq!(
                Policy::default().admit(&target(&format!("https://{name}/"))),
                Err(Refusal::LocalName),
                "{name}"
            );
        }
        for name in ["example.com", "local.example.com", "notlocal", "mylocalhost.example"] {
            let expected = if name.contains('.') { Ok(()) } else { Err(Refusal::LocalName) };
            assert_eq!(Policy::default().admit(&target(&format!("https://{name}/"))), expected, "{name}");
        }
        for port in [1, 21, 22, 25, 53, 80, 110, 444, 2375, 5432, 6379, 8080, 8443, 9200, 11211, 65535] {
            let address = target(&format!("https://example.com:{port}/"));
            assert_eq!(Policy::default().admit(&address), Err(Refusal::Port), "{port}");
            let address = target(&format!("https://8.8.8.8:{port}/"));
            assert_eq!(Policy::default().admit(&address), Err(Refusal::Port), "{port}");
        }
        for plain in ["http://example.com/", "http://example.com:443/", "http://8.8.8.8/"] {
            assert_eq!(Policy::default().admit(&target(plain)), Err(Refusal::Scheme), "{plain}");
        }
    }

    #[test]
    fn an_entry_opens_what_it_names_and_nothing_beside_it() {
        // Entry, target, address that it resolves to, open.
        let cases: &[(&str, &str, &str, bool)] = &[
            ("hooks.lan", "https://hooks.lan/", "10.0.0.5", true),
            ("hooks.lan", "https://hooks.lan/", "127.0.0.1", true),
            ("hooks.lan", "https://hooks.lan/", "224.0.0.1", false),
            ("hooks.lan", "https://hooks.lan/", "0.0.0.0", false),
            ("hooks.lan", "https://hooks.lan:8443/", "10.0.0.5", false),
            ("hooks.lan", "http://hooks.lan/", "10.0.0.5", false),
            ("hooks.lan", "https://a.hooks.lan/", "10.0.0.5", false),
            ("hooks.lan:8443", "https://hooks.lan:8443/", "10.0.0.5", true),
            ("hooks.lan:8443", "https://hooks.lan/", "10.0.0.5", false),
            ("hooks.lan:*", "https://hooks.lan:9/", "10.0.0.5", true),
            ("http://hooks.lan", "http://hooks.lan/", "10.0.0.5", true),
            ("http://hooks.lan", "https://hooks.lan/", "10.0.0.5", false),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000/", "127.0.0.1", true),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9001/", "127.0.0.1", false),
            ("http://127.0.0.1:9000", "http://127.0.0.2:9000/", "127.0.0.2", false),
            ("http://127.0.0.1:9000", "http://[::ffff:127.0.0.1]:9000/", "::ffff:127.0.0.1", true),
            ("10.0.0.0/8", "https://somewhere.example/", "10.1.2.3", true),
            ("10.0.0.0/8", "https://somewhere.example/", "11.1.2.3", true),
            ("10.0.0.0/8", "https://somewhere.example/", "192.168.0.1", false),
            ("10.0.0.0/8:8443", "https://somewhere.example:8443/", "10.1.2.3", true),
            ("10.0.0.0/8:8443", "https://somewhere.example:8443/", "8.8.8.8", false),
            ("http://10.0.0.0/8", "http://somewhere.example/", "8.8.8.8", false),
            ("http://10.0.0.0/8", "http://somewhere.example/", "10.1.2.3", true),
            ("10.0.0.0/8", "https://localhost/", "10.1.2.3", false),
            ("fd00::/8", "https://somewhere.example/", "fd12::1", true),
            ("[fd00::/8]:8443", "https://somewhere.example:8443/", "fd12::1", true),
            ("0.0.0.0/0", "https://somewhere.example/", "127.0.0.1", true),
            ("0.0.0.0/0", "https://somewhere.example/", "169.254.169.254", false),
            ("0.0.0.0/0", "https://somewhere.example/", "100.100.100.200", false),
            ("169.254.169.254", "https://169.254.169.254/", "169.254.169.254", true),
            ("::/0", "https://somewhere.example/", "fd00:ec2::254", false),
            ("::/0", "https://somewhere.example/", "fe80::1", false),
            ("::/0", "https://somewhere.example/", "64:ff9b::7f00:1", false),
            ("::/0", "https://somewhere.example/", "2002:7f00:1::", false),
            ("64:ff9b::/96", "https://somewhere.example/", "64:ff9b::808:808", true),
            ("64:ff9b::/96", "https://somewhere.example/", "64:ff9b::a00:1", false),
        ];
        for (entry, address, resolved, open) in cases {
            let (policy, address) = (policy(&[entry]), target(address));
            let judged =
                policy.admit(&address).and_then(|()| policy.judge(&address, resolved.parse().expect("IP")));
            assert_eq!(judged.is_ok(), *open, "{entry}: {address:?} at {resolved}: {judged:?}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_meant_is_refused() {
        for wrong in [
            "",
            "https://",
            "ftp://x.example",
            "x.example/path",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "::/129",
            "fd00::1/8",
            "x.example:0",
            "x.example:99999",
            "x y.example",
            "user@x.example",
            "*.example.com",
            "127.1",
            "0x7f000001",
            "x.example.",
            "[::1",
            "https://https://x.example",
        ] {
            assert!(wrong.parse::<Entry>().is_err(), "{wrong}");
        }
    }

    proptest! {
        /// However an IPv4 address is wrapped, it is public only bare or mapped, and only where it is public itself.
        #[test]
        fn a_wrapped_address_is_never_more_public_than_itself(v4: u32, rest: u64) {
            let bare = Ipv4Addr::from(v4);
            let low = u128::from(v4);
            prop_assert_eq!(is_public(IpAddr::V6(bare.to_ipv6_mapped())), is_public(IpAddr::V4(bare)));
            for wrapped in [
                low,
                0x0064_ff9b_u128 << 96 | low,
                0x0064_ff9b_0001_u128 << 80 | u128::from(rest) << 16 | low,
                0x2002_u128 << 112 | low << 80 | u128::from(rest),
                0x2001_0000_u128 << 96 | u128::from(rest) << 32 | u128::from(!v4),
                0x2606_4700_u128 << 96 | 0x0000_5efe << 32 | low,
                0xffff_0000_u128 << 32 | low,
            ] {
                prop_assert!(!is_public(IpAddr::V6(Ipv6Addr::from(wrapped))), "{}", Ipv6Addr::from(wrapped));
            }
        }

        /// A network holds exactly the addresses that share its bits.
        #[test]
        fn a_network_holds_its_addresses(start: u32, length in 0u8..=32, other: u32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let network = IpAddr::V4(Ipv4Addr::from(start & mask));
            prop_assert_eq!(
                within(network, length, IpAddr::V4(Ipv4Addr::from(other))),
                other & mask == start & mask
            );
        }

        #[test]
        fn reading_an_entry_never_panics(text in "\\PC{0,40}|(https?://)?[0-9a-f.:/\\[\\]*]{0,40}") {
            let _ = text.parse::<Entry>();
        }
    }
}
