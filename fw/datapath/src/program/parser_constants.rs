//! Settings of the frame parser as load-time constants.

use bailey_bpf::abi;
use bailey_config::{Frames, Tunnel, TunnelKind};
use bytemuck::Zeroable;
use ipnet::IpNet;

use crate::maps::cidr::CidrWords;
use crate::program::constant::Constant;

/// The constants of [`Frames`], padded to the sizes of the C arrays.
#[derive(Debug)]
pub(crate) struct ParserConstants {
    vlan_zones: u32,
    dhcp: u32,
    ethertype_count: u32,
    ethertypes: [u16; abi::ETHERTYPES_MAX as usize],
    tunnel_count: u32,
    tunnel_ports: [u16; abi::TUNNELS_MAX as usize],
    tunnel_kinds: [u8; abi::TUNNELS_MAX as usize],
    tunnel_peer_count: u32,
    tunnel_peers: [abi::tunnel_peer; abi::TUNNEL_PEERS_MAX as usize],
    inside_count: u32,
    inside: [abi::internal_prefix; abi::INTERNAL_MAX as usize],
    group_count: u32,
    groups: [abi::group_prefix; abi::GROUPS_MAX as usize],
    link_service_count: u32,
    link_services: [abi::link_service; abi::LINK_SERVICES_MAX as usize],
}

impl ParserConstants {
    pub(crate) fn new(frames: &Frames, inside: &[IpNet]) -> Self {
        let mut constants = Self {
            vlan_zones: u32::from(frames.vlan_zones),
            dhcp: u32::from(frames.dhcp),
            ethertype_count: frames.ethertypes.len() as u32,
            ethertypes: [0; abi::ETHERTYPES_MAX as usize],
            tunnel_count: frames.tunnels.len() as u32,
            tunnel_ports: [0; abi::TUNNELS_MAX as usize],
            tunnel_kinds: [0; abi::TUNNELS_MAX as usize],
            tunnel_peer_count: 0,
            tunnel_peers: Zeroable::zeroed(),
            inside_count: inside.len() as u32,
            inside: Zeroable::zeroed(),
            group_count: frames.groups.len() as u32,
            groups: Zeroable::zeroed(),
            link_service_count: frames.link_local.len() as u32,
            link_services: Zeroable::zeroed(),
        };
        for (to, from) in constants.ethertypes.iter_mut().zip(&frames.ethertypes) {
            *to = *from;
        }
        constants.set_prefixes(frames, inside);
        constants.set_tunnels(&frames.tunnels);
        constants
    }

    fn set_prefixes(&mut self, frames: &Frames, inside: &[IpNet]) {
        for (to, &group) in self.groups.iter_mut().zip(&frames.groups) {
            let words = CidrWords::from(group);
            *to = abi::group_prefix {
                addr_be: words.addr_be,
                mask_be: words.mask_be,
                kind: words.kind.into(),
            };
        }
        for (to, &(protocol, port)) in self.link_services.iter_mut().zip(&frames.link_local) {
            *to = abi::link_service {
                port: port.unwrap_or_default(),
                protocol: protocol.0,
                any: u8::from(port.is_none()),
            };
        }
        for (to, &prefix) in self.inside.iter_mut().zip(inside) {
            let words = CidrWords::from(prefix);
            *to = abi::internal_prefix {
                addr_be: words.addr_be,
                mask_be: words.mask_be,
                kind: words.kind.into(),
            };
        }
    }

    /// Peers of all tunnels are in one array; each names its tunnel, counted from 1.
    fn set_tunnels(&mut self, tunnels: &[Tunnel]) {
        let entries = self.tunnel_ports.iter_mut().zip(&mut self.tunnel_kinds);
        for ((port, kind), tunnel) in entries.zip(tunnels) {
            *port = tunnel.port;
            *kind = kind_number(tunnel.kind) as u8;
        }
        let peers = tunnels.iter().zip(1_u32..).flat_map(|(tunnel, number)| {
            let peers = tunnel.peers.iter();
            peers.map(move |&peer| (number, peer))
        });
        for (to, (tunnel, peer)) in self.tunnel_peers.iter_mut().zip(peers) {
            let words = CidrWords::from(peer);
            *to = abi::tunnel_peer {
                addr_be: words.addr_be,
                mask_be: words.mask_be,
                kind: words.kind,
                tunnel,
            };
            self.tunnel_peer_count += 1;
        }
    }

    /// Name and value of each constant.
    pub(crate) fn list(&self) -> Vec<Constant> {
        vec![
            // Of programs that read frames.
            Constant::optional("VLAN_ZONES", self.vlan_zones),
            Constant::optional("DHCP", self.dhcp),
            Constant::optional("ETHERTYPE_COUNT", self.ethertype_count),
            Constant::optional("ETHERTYPES", self.ethertypes),
            Constant::optional("TUNNEL_COUNT", self.tunnel_count),
            Constant::optional("TUNNEL_PORTS", self.tunnel_ports),
            Constant::optional("TUNNEL_KINDS", self.tunnel_kinds),
            Constant::optional("TUNNEL_PEER_COUNT", self.tunnel_peer_count),
            Constant::optional("TUNNEL_PEERS", self.tunnel_peers),
            Constant::optional("INTERNAL_COUNT", self.inside_count),
            Constant::optional("INTERNAL", self.inside),
            // Of policy programs.
            Constant::optional("GROUP_COUNT", self.group_count),
            Constant::optional("GROUPS", self.groups),
            Constant::optional("LINK_SERVICE_COUNT", self.link_service_count),
            Constant::optional("LINK_SERVICES", self.link_services),
        ]
    }
}

fn kind_number(kind: TunnelKind) -> u32 {
    match kind {
        TunnelKind::Vxlan => abi::TUNNEL_VXLAN,
        TunnelKind::Geneve => abi::TUNNEL_GENEVE,
    }
}
