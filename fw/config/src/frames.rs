//! `[frames]`: how the parser treats VLAN tags, EtherTypes, multicast groups and link-local traffic.

use bailey_bpf::abi;
use bailey_policy::Protocol;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::tunnel::{self, Tunnel};

/// `[frames]`: how the parser treats frames; docs/packets.md defines each setting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Frames {
    /// Are flows of different VLANs different flows?
    pub vlan_zones: bool,
    /// Does DHCP pass without policy?
    pub dhcp: bool,
    /// EtherTypes that pass unparsed; at most [`abi::ETHERTYPES_MAX`].
    pub ethertypes: Vec<u16>,
    /// Multicast and broadcast destinations that stay open while policy isolates endpoints; at most
    /// [`abi::GROUPS_MAX`].
    #[serde(with = "crate::prefix::many_or_addresses")]
    pub groups: Vec<IpNet>,
    /// Protocols and server ports that link-local addresses of endpoints may use; at most
    /// [`abi::LINK_SERVICES_MAX`].
    #[serde(with = "crate::link_service")]
    pub link_local: Vec<(Protocol, Option<u16>)>,
    /// UDP tunnels whose inner packet policy evaluates; at most [`abi::TUNNELS_MAX`], with at most
    /// [`abi::TUNNEL_PEERS_MAX`] peers together.
    pub tunnels: Vec<Tunnel>,
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
    pub(crate) fn check(&self) -> Result<(), String> {
        const PARSED: [u16; 6] = [0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x9100];
        for &ethertype in &self.ethertypes {
            if ethertype < 0x0600 {
                return Err(format!(
                    "frames.ethertypes: {ethertype:#06x} is a length; EtherTypes begin at 0x0600"
                ));
            }
            if PARSED.contains(&ethertype) {
                return Err(format!(
                    "frames.ethertypes: {ethertype:#06x} (IP, ARP, VLAN) is always parsed"
                ));
            }
        }
        let peers = self.tunnels.iter().map(|tunnel| tunnel.peers.len()).sum();
        for (name, count, most) in [
            ("ethertypes", self.ethertypes.len(), abi::ETHERTYPES_MAX),
            ("groups", self.groups.len(), abi::GROUPS_MAX),
            (
                "services of link-local addresses",
                self.link_local.len(),
                abi::LINK_SERVICES_MAX,
            ),
            ("tunnels", self.tunnels.len(), abi::TUNNELS_MAX),
            ("peers of tunnels", peers, abi::TUNNEL_PEERS_MAX),
        ] {
            if count > most as usize {
                return Err(format!("frames: {count} {name}, at most {most} fit"));
            }
        }
        tunnel::check(&self.tunnels)
    }
}
