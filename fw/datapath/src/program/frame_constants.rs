use bailey_bpf::abi;
use bailey_config::{Frames, TunnelKind};
use bytemuck::Zeroable;
use ipnet::IpNet;

use crate::maps::cidr::CidrWords;

/// [`Frames`] as constants of the programs.
#[derive(Debug)]
pub(crate) struct ParserConstants {
    pub(crate) vlan_zones: u32,
    pub(crate) dhcp: u32,
    pub(crate) ethertype_count: u32,
    pub(crate) ethertypes: [u16; abi::ETHERTYPES_MAX as usize],
    pub(crate) tunnel_count: u32,
    pub(crate) tunnel_ports: [u16; abi::TUNNELS_MAX as usize],
    pub(crate) tunnel_kinds: [u8; abi::TUNNELS_MAX as usize],
    pub(crate) tunnel_peer_count: u32,
    pub(crate) tunnel_peers: [abi::tunnel_peer; abi::TUNNEL_PEERS_MAX as usize],
    pub(crate) inside_count: u32,
    pub(crate) inside: [abi::internal_prefix; abi::INTERNAL_MAX as usize],
    pub(crate) group_count: u32,
    pub(crate) groups: [abi::group_prefix; abi::GROUPS_MAX as usize],
    pub(crate) link_service_count: u32,
    pub(crate) link_services: [abi::link_service; abi::LINK_SERVICES_MAX as usize],
}

impl ParserConstants {
    pub(crate) fn new(frames: &Frames, inside: &[IpNet]) -> Self {
        let mut globals = Self {
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
        for (to, &group) in globals.groups.iter_mut().zip(&frames.groups) {
            let words = CidrWords::from(group);
            *to = abi::group_prefix {
                addr_be: words.addr_be,
                mask_be: words.mask_be,
                kind: words.kind.into(),
            };
        }
        for (to, &(protocol, port)) in globals.link_services.iter_mut().zip(&frames.link_local) {
            *to = abi::link_service {
                port: port.unwrap_or_default(),
                protocol: protocol.0,
                any: u8::from(port.is_none()),
            };
        }
        for (to, &prefix) in globals.inside.iter_mut().zip(inside) {
            let words = CidrWords::from(prefix);
            *to = abi::internal_prefix {
                addr_be: words.addr_be,
                mask_be: words.mask_be,
                kind: words.kind.into(),
            };
        }
        for (to, from) in globals.ethertypes.iter_mut().zip(&frames.ethertypes) {
            *to = *from;
        }
        let places = globals.tunnel_ports.iter_mut();
        let places = places.zip(&mut globals.tunnel_kinds);
        for ((port, kind), tunnel) in places.zip(&frames.tunnels) {
            *port = tunnel.port;
            *kind = number_of(tunnel.kind) as u8;
        }
        let peers = frames
            .tunnels
            .iter()
            .zip(1_u32..)
            .flat_map(|(tunnel, number)| {
                let peers = tunnel.peers.iter();
                peers.map(move |&peer| (number, peer))
            });
        for (to, (tunnel, peer)) in globals.tunnel_peers.iter_mut().zip(peers) {
            let words = CidrWords::from(peer);
            *to = abi::tunnel_peer {
                addr_be: words.addr_be,
                mask_be: words.mask_be,
                kind: words.kind,
                tunnel,
            };
            globals.tunnel_peer_count += 1;
        }
        globals
    }
}

fn number_of(kind: TunnelKind) -> u32 {
    match kind {
        TunnelKind::Vxlan => abi::TUNNEL_VXLAN,
        TunnelKind::Geneve => abi::TUNNEL_GENEVE,
    }
}
