//! Services of link-local addresses in text form: `"TCP/179"`, `"ICMPv6"`, `"89"`.

use bailey_policy::Protocol;
use serde::{Deserializer, Serialize, Serializer};

use crate::protocol::parse_protocol;
use crate::text_list::parse_list;

/// A protocol and the server's port; any port if absent.
type LinkService = (Protocol, Option<u16>);

pub(crate) fn serialize<S: Serializer>(services: &[LinkService], to: S) -> Result<S::Ok, S::Error> {
    let text = |&(protocol, port): &LinkService| match port {
        Some(port) => format!("{protocol}/{port}"),
        None => protocol.to_string(),
    };
    services.iter().map(text).collect::<Vec<_>>().serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<LinkService>, D::Error> {
    parse_list(from, parse)
}

fn parse(text: &str) -> Result<LinkService, String> {
    let wrong = || {
        format!(
            "{text:?} is not a service: write a protocol, and for TCP, UDP and SCTP a port, as in \
             \"TCP/179\" or \"ICMPv6\""
        )
    };
    let (name, port) = match text.split_once('/') {
        Some((name, port)) => (name, Some(port.parse::<u16>().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let protocol = parse_protocol(name).map_err(|_| wrong())?;
    if port == Some(0) || (port.is_some() && !protocol.has_ports()) {
        return Err(wrong());
    }
    Ok((protocol, port))
}
