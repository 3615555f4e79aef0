//! Changes of the firewall by keys, with `--rw`: as a command of the same program, after the operator has typed the
//! beginning of the address.

use std::net::IpAddr;

use crate::text::socket;

/// Time for which the console blocks an address.
const BLOCK: &str = "1h";
/// Characters of the object that must be typed.
const TYPED: usize = 4;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Blocks a source.
    Block(IpAddr),
    /// Ends the flows of a source to a destination, protocol and port.
    EndFlows(IpAddr, IpAddr, String, u16),
}

impl Change {
    /// The arguments of the command.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Block(address) => vec![
                "block".to_owned(),
                address.to_string(),
                "--ttl".to_owned(),
                BLOCK.to_owned(),
                "--reason".to_owned(),
                "console".to_owned(),
            ],
            Self::EndFlows(src, dst, protocol, port) => {
                let mut words = vec![
                    "conntrack".to_owned(),
                    "delete".to_owned(),
                    "--src".to_owned(),
                    src.to_string(),
                    "--dst".to_owned(),
                    dst.to_string(),
                    "--protocol".to_owned(),
                    protocol.clone(),
                ];
                if *port > 0 {
                    words.extend(["--port".to_owned(), port.to_string()]);
                }
                words
            }
        }
    }

    /// The address whose beginning the operator types.
    pub fn object(&self) -> String {
        match self {
            Self::Block(address) | Self::EndFlows(address, ..) => address.to_string(),
        }
    }

    /// The effect in words, with the number of flows that end.
    pub fn effect(&self, flows: Option<u64>) -> String {
        let flows = flows.map_or_else(|| "its".to_owned(), |flows| flows.to_string());
        match self {
            Self::Block(address) => format!("block {address} for {BLOCK}, ends {flows} flows"),
            Self::EndFlows(src, dst, protocol, port) => {
                let to = socket(&dst.to_string(), *port);
                format!("end {flows} flows of {src} to {to}/{protocol}")
            }
        }
    }

    /// Whether enough of the object has been typed.
    pub fn is_confirmed_by(&self, typed: &str) -> bool {
        let object = self.object();
        typed.len() >= TYPED.min(object.len()) && object.starts_with(typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_need_the_beginning_of_their_object() {
        let change = Change::Block("198.51.100.20".parse().unwrap());
        assert_eq!(change.arguments()[..2], ["block", "198.51.100.20"]);
        for (typed, is_confirmed) in [
            ("", false),
            ("198", false),
            ("198.", true),
            ("198.51.100.20", true),
            ("203.", false),
            ("y", false),
        ] {
            assert_eq!(change.is_confirmed_by(typed), is_confirmed, "{typed}");
        }
        // The shortest address is typed as a whole.
        assert!(Change::Block("::1".parse().unwrap()).is_confirmed_by("::1"));
        let flows = Change::EndFlows(
            "192.0.2.1".parse().unwrap(),
            "fd42::11".parse().unwrap(),
            "ICMP".into(),
            0,
        );
        assert!(!flows.arguments().contains(&"--port".to_owned()));
        assert_eq!(
            flows.effect(Some(3)),
            "end 3 flows of 192.0.2.1 to fd42::11/ICMP"
        );
    }
}
