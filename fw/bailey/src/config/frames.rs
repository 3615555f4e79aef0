use serde::{Deserialize, Serialize};

use crate::prefix::parse_or_address;

/// `[frames]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Frames {
    pub vlan_zones: bool,
    pub dhcp: bool,
    pub ethertypes: Vec<u16>,
    pub groups: Vec<Group>,
    pub link_local: Vec<LinkService>,
    pub tunnels: Vec<Tunnel>,
}

/// `{ kind = "vxlan", port = 4789, peers = ["192.0.2.0/24"] }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// The destination port.
    pub port: u16,
    /// Prefixes of the tunnel's remote ends.
    #[serde(with = "crate::prefix::many")]
    pub peers: Vec<ipnet::IpNet>,
}

/// Tunnels that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum TunnelKind {
    Vxlan,
    Geneve,
}

/// A group's prefix or address: `"239.1.0.0/16"`, `"224.0.0.251"`, `"255.255.255.255"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Group(pub ipnet::IpNet);

impl TryFrom<String> for Group {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_or_address(&text).map(Self)
    }
}

impl From<Group> for String {
    fn from(group: Group) -> Self {
        group.0.to_string()
    }
}

/// A service of link-local addresses: `"TCP/179"`, `"ICMPv6"`, `"89"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkService {
    /// The protocol.
    pub protocol: bailey_policy::Protocol,
    /// The port of the side that is asked; any if absent.
    pub port: Option<u16>,
}

impl TryFrom<String> for LinkService {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        use bailey_policy::Protocol;
        let wrong = || {
            format!(
                "{text:?} is no service: write a protocol, and for TCP, UDP and SCTP a port, as in \
                 \"TCP/179\" or \"ICMPv6\""
            )
        };
        let (name, port) = match text.split_once('/') {
            Some((name, port)) => (name, Some(port.parse::<u16>().map_err(|_| wrong())?)),
            None => (text.as_str(), None),
        };
        let protocol = match name.to_ascii_uppercase().as_str() {
            "TCP" => Protocol::TCP,
            "UDP" => Protocol::UDP,
            "SCTP" => Protocol::SCTP,
            "ICMP" => Protocol::ICMP,
            "ICMPV6" => Protocol::ICMPV6,
            number => Protocol(number.parse().map_err(|_| wrong())?),
        };
        if port == Some(0) || (port.is_some() && !protocol.has_ports()) {
            return Err(wrong());
        }
        Ok(Self { protocol, port })
    }
}

impl From<LinkService> for String {
    fn from(service: LinkService) -> Self {
        match service.port {
            Some(port) => format!("{}/{port}", service.protocol),
            None => service.protocol.to_string(),
        }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            vlan_zones: false,
            dhcp: true,
            ethertypes: Vec::new(),
            groups: Vec::new(),
            link_local: Vec::new(),
            tunnels: Vec::new(),
        }
    }
}

impl Frames {
    pub(super) fn check(&self) -> Result<(), String> {
        use bailey_bpf::abi;
        const READ: [u16; 6] = [0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x9100];
        const ETHERTYPES_MAX: usize = abi::ETHERTYPES_MAX as usize;
        const TUNNELS_MAX: usize = abi::TUNNELS_MAX as usize;
        const PEERS_MAX: usize = abi::TUNNEL_PEERS_MAX as usize;
        for &ethertype in &self.ethertypes {
            if ethertype < 0x0600 {
                return Err(format!(
                    "frames.ethertypes: {ethertype:#06x} is a length, types begin at 0x0600"
                ));
            }
            if READ.contains(&ethertype) {
                return Err(format!(
                    "frames.ethertypes: {ethertype:#06x} (IP, ARP, VLAN) is always read"
                ));
            }
        }
        let peers = self.tunnels.iter().map(|tunnel| tunnel.peers.len()).sum();
        for (what, count, most) in [
            ("ethertypes", self.ethertypes.len(), ETHERTYPES_MAX),
            ("groups", self.groups.len(), abi::GROUPS_MAX as usize),
            (
                "services of link-local addresses",
                self.link_local.len(),
                abi::LINK_SERVICES_MAX as usize,
            ),
            ("tunnels", self.tunnels.len(), TUNNELS_MAX),
            ("peers of tunnels", peers, PEERS_MAX),
        ] {
            if count > most {
                return Err(format!("frames: {count} {what}, at most {most} fit"));
            }
        }
        for (at, tunnel) in self.tunnels.iter().enumerate() {
            let port = tunnel.port;
            if tunnel.peers.is_empty() {
                return Err(format!(
                    "frames.tunnels: port {port} has no peers, so nothing could come through it"
                ));
            }
            if port == 0 || self.tunnels[..at].iter().any(|other| other.port == port) {
                return Err(format!("frames.tunnels: port {port} is 0 or named twice"));
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl Frames {
    pub(super) fn datapath(&self) -> bailey_datapath::Frames {
        let tunnel = |tunnel: &Tunnel| bailey_datapath::Tunnel {
            kind: match tunnel.kind {
                TunnelKind::Vxlan => bailey_datapath::TunnelKind::Vxlan,
                TunnelKind::Geneve => bailey_datapath::TunnelKind::Geneve,
            },
            port: tunnel.port,
            peers: tunnel.peers.clone(),
        };
        bailey_datapath::Frames {
            vlan_zones: self.vlan_zones,
            dhcp: self.dhcp,
            ethertypes: self.ethertypes.clone(),
            groups: self.groups.iter().map(|group| group.0).collect(),
            link_local: self
                .link_local
                .iter()
                .map(|service| (service.protocol, service.port))
                .collect(),
            tunnels: self.tunnels.iter().map(tunnel).collect(),
        }
    }
}
