//! Which addresses a webhook may go to: nobody who can make up a name or a URL shall reach through us what only we can reach.
//!
//! A name is resolved once, each address that it has is judged here, and the connection goes to one that passed: what the name says a moment
//! later doesn't matter. A numeric host in any spelling (`0x7f.1`) is resolved like a name, so it is judged by what it means.
//! The ranges are those of IANA's special-purpose registries (RFC 6890), and the addresses under which clouds keep their metadata.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Anybody reaches it.
    Public,
    /// Only who is inside reaches it: right where `allow_private` says so.
    Private(&'static str),
    /// No receiver is there, whatever the configuration says.
    Never(&'static str),
}

/// Clouds' metadata where no range tells it: Alibaba, Azure, Oracle, and Amazon over IPv6.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Tells why an address may not be called; `Ok` where it may.
pub fn check(ip: IpAddr, allow_private: bool, is_https: bool) -> Result<(), String> {
    match kind(ip) {
        Kind::Public if is_https => Ok(()),
        Kind::Public => Err(format!("{ip} is a public address, and plain http is for private ones: use https")),
        Kind::Private(_) if allow_private => Ok(()),
        Kind::Private(what) => Err(format!("{ip} is {what}: set `allow_private = true` if that is meant")),
        Kind::Never(what) => Err(format!("{ip} is {what}, where no webhook goes")),
    }
}

fn kind(ip: IpAddr) -> Kind {
    if METADATA.contains(&ip) {
        return Kind::Never("a cloud's metadata address");
    }
    match ip {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Kind {
    match ip.octets() {
        [127, ..] => Kind::Private("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Kind::Private("a private address"),
        [100, 64..=127, ..] => Kind::Private("an address behind a carrier's NAT"),
        [198, 18..=19, ..] => Kind::Private("an address for benchmarks"),
        [169, 254, ..] => Kind::Never("a link-local address, under which clouds keep their metadata"),
        [0, ..] => Kind::Never("no address of a host"),
        [192, 0, 0, _] | [192, 88, 99, _] => Kind::Never("an address of protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Kind::Never("an address for documentation"),
        [224..=239, ..] => Kind::Never("a multicast address"),
        [240..=255, ..] => Kind::Never("a reserved address"),
        _ => Kind::Public,
    }
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        kind(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match ip.segments() {
        // An IPv4 address in other clothes is judged as itself: mapped, by NAT64, by 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("the loopback address"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Kind::Private("a private address"),
        [0xfe80..=0xfebf, ..] => Kind::Never("a link-local address"),
        [0xff00..=0xffff, ..] => Kind::Never("a multicast address"),
        [0x2001, 0..=0x1ff, ..] => Kind::Never("an address of protocols"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Kind::Never("an address for documentation"),
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Never("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_called_unless_private_ones_are_meant() {
        let check = |text: &str, allow_private| super::check(text.parse().unwrap(), allow_private, true);
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
        {
            assert_eq!(check(public, false), Ok(()), "{public}");
        }
        let private = [
            "127.0.0.1",
            "127.8.9.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fd12::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ];
        for private in private {
            assert!(check(private, false).unwrap_err().contains("allow_private"), "{private}");
            assert_eq!(check(private, true), Ok(()), "{private}");
        }
        let never = [
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "2001:db8::1",
            "2001::1",
            "::7f00:1",
            "64:ff9b:1::1",
        ];
        for never in never {
            assert!(check(never, true).is_err(), "{never}");
        }
    }

    #[test]
    fn plain_http_goes_to_private_addresses_only() {
        assert!(check("8.8.8.8".parse().unwrap(), true, false).unwrap_err().contains("use https"));
        assert_eq!(check("10.0.0.1".parse().unwrap(), true, false), Ok(()));
        assert!(check("10.0.0.1".parse().unwrap(), false, false).is_err());
    }
}
