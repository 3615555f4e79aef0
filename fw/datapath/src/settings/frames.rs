use bailey_policy::Protocol;
use ipnet::IpNet;

/// How frames are read; docs/packets.md says what each setting does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frames {
    /// Are the flows of a VLAN its own?
    pub vlan_zones: bool,
    /// Does DHCP pass without policy?
    pub dhcp: bool,
    /// Types that pass unread; at most [`ETHERTYPES_MAX`](bailey_bpf::abi::ETHERTYPES_MAX).
    pub ethertypes: Vec<u16>,
    /// Groups that data may go to though policy isolates endpoints.
    pub groups: Vec<IpNet>,
    /// Services, by protocol and port, that link-local addresses of endpoints may use.
    pub link_local: Vec<(Protocol, Option<u16>)>,
    /// UDP ports whose payload is judged; at most [`TUNNELS_MAX`](bailey_bpf::abi::TUNNELS_MAX), with at most
    /// [`TUNNEL_PEERS_MAX`](bailey_bpf::abi::TUNNEL_PEERS_MAX) peers together.
    pub tunnels: Vec<Tunnel>,
}

/// A tunnel over UDP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// What follows the UDP header.
    pub kind: TunnelKind,
    /// The destination port.
    pub port: u16,
    /// From where it is accepted.
    pub peers: Vec<IpNet>,
}

/// What follows the UDP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TunnelKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
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
