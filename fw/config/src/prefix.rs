//! Parsing of IP prefixes from configuration and command line. Ambiguous texts and prefixes that match no
//! packet are errors: leading zeros, host bits, IPv4 addresses in IPv6 form.

use std::net::IpAddr;

use ipnet::IpNet;

/// Parses a prefix with its length, as `192.0.2.0/24`.
///
/// # Errors
/// The defect, and the prefix that was probably meant.
pub fn parse(text: &str) -> Result<IpNet, String> {
    let Some((address, length)) = text.split_once('/') else {
        return Err(match text.parse::<IpAddr>() {
            Ok(address) => format!(
                "{text:?} has no length; one address is {}",
                IpNet::from(address)
            ),
            Err(_) => format!("{text:?} is not a prefix, as 192.0.2.0/24 or 2001:db8::/32"),
        });
    };
    // The standard library refuses leading zeros, which other parsers read as octal.
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(format!(
            "{text:?} is neither an address nor a prefix: {address:?} is not an IP address"
        ));
    };
    let plain =
        length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = length
        .parse::<u8>()
        .ok()
        .filter(|&length| plain && length <= bits);
    let Some(net) = length.and_then(|length| IpNet::new(address, length).ok()) else {
        return Err(format!("{text:?}: the length is not between 0 and {bits}"));
    };
    if let (IpAddr::V6(v6), true) = (address, net.prefix_len() >= 96)
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        let length = net.prefix_len() - 96;
        return Err(format!(
            "{text:?} holds IPv4 addresses; write it as IPv4: {v4}/{length}"
        ));
    }
    let network = net.trunc();
    if net != network {
        return Err(format!("{net} has host bits set; did you mean {network}?"));
    }
    Ok(net)
}

/// Parses a prefix or a single address, which stands for its full-length prefix.
///
/// # Errors
/// As [`parse`].
pub fn parse_or_address(text: &str) -> Result<IpNet, String> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.to_canonical().into()),
        Err(_) if !text.contains('/') => {
            Err(format!("{text:?} is neither an address nor a prefix"))
        }
        Err(_) => parse(text),
    }
}

/// serde form of one prefix.
pub(crate) mod one {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{IpNet, parse};

    pub(crate) fn serialize<S: Serializer>(net: &IpNet, to: S) -> Result<S::Ok, S::Error> {
        net.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
        parse(&String::deserialize(from)?).map_err(Error::custom)
    }
}

/// serde form of a list of prefixes.
pub(crate) mod many {
    use serde::{Deserializer, Serialize, Serializer};

    use super::{IpNet, parse};
    use crate::text_list::parse_list;

    pub(crate) fn serialize<S: Serializer>(nets: &[IpNet], to: S) -> Result<S::Ok, S::Error> {
        nets.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        parse_list(from, parse)
    }
}

/// serde form of a list of prefixes or addresses.
pub(crate) mod many_or_addresses {
    use serde::Deserializer;

    use super::{IpNet, parse_or_address};
    use crate::text_list::parse_list;

    pub(crate) use super::many::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        parse_list(from, parse_or_address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ambiguous_prefix_is_an_error() {
        for (text, part) in [
            ("192.0.2.0", "one address is 192.0.2.0/32"),
            ("eth0", "is not a prefix"),
            ("010.0.0.0/8", "is not an IP address"),
            ("10.0.0.0/33", "between 0 and 32"),
            ("10.0.0.0/08", "between 0 and 32"),
            ("10.0.0.0/+8", "between 0 and 32"),
            ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
            ("::ffff:192.0.2.0/120", "write it as IPv4: 192.0.2.0/24"),
            ("2001:db8::/129", "between 0 and 128"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.0.0/8", "2001:db8::/32"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        let one = |text| parse_or_address(text).unwrap().to_string();
        assert_eq!(one("::ffff:192.0.2.1"), "192.0.2.1/32");
        assert_eq!(one("2001:db8::1"), "2001:db8::1/128");
    }
}
