//! Protocol names and numbers of configuration, command line and tests.

use bailey_policy::Protocol;

use crate::nearest::nearest;

/// Parses the name or number of a protocol. The caller turns ICMP into ICMPv6 between IPv6 addresses.
///
/// # Errors
/// If the text is neither.
pub fn parse_protocol(text: &str) -> Result<Protocol, String> {
    const NAMES: [&str; 5] = ["TCP", "UDP", "SCTP", "ICMP", "ICMPv6"];
    match text.to_ascii_uppercase().as_str() {
        "TCP" => Ok(Protocol::TCP),
        "UDP" => Ok(Protocol::UDP),
        "SCTP" => Ok(Protocol::SCTP),
        "ICMP" => Ok(Protocol::ICMP),
        "ICMPV6" => Ok(Protocol::ICMPV6),
        number => number.parse().map(Protocol).map_err(|_| {
            let near = nearest(&text.to_uppercase(), NAMES);
            let names = NAMES.join(", ");
            format!("{text:?} is not {names} or a number from 0 to 255{near}")
        }),
    }
}
