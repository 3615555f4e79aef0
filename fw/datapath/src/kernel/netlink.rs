//! Interfaces and addresses as rtnetlink reports them, and notification of their changes.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use bailey_config::XdpMode;
use ipnet::IpNet;
use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp, State, XdpAttached,
};
use netlink_sys::protocols::{NETLINK_ROUTE, NETLINK_XFRM};
use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec};

/// `RTNLGRP_LINK`, linux/rtnetlink.h.
const GROUP_LINK: u32 = 1;
const GROUP_IPV4_ADDRESS: u32 = 5;
const GROUP_IPV6_ADDRESS: u32 = 9;
const GROUP_IPV4_SETTINGS: u32 = 24;
const GROUP_IPV6_SETTINGS: u32 = 25;
/// A group of NETLINK_XFRM.
const GROUP_IPSEC_POLICY: u32 = 4;

/// Current state of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceState {
    /// Its index in this network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MTU.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it is up and has a carrier.
    pub running: bool,
    /// Whether it is promiscuous: receives frames addressed to other stations.
    pub promiscuous: bool,
    /// Ethernet address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// The attached XDP program, Bailey's or another.
    pub xdp: Option<XdpState>,
}

/// An XDP program on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XdpState {
    /// Program id.
    pub program: u32,
    /// Native (also offloaded to the NIC) or generic.
    pub mode: XdpMode,
}

/// Selects an interface.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    Name(&'a str),
    Index(u32),
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}

fn send(socket: &Socket, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
    packet.header.flags = flags;
    packet.header.sequence_number = 1;
    packet.finalize();
    let mut buffer = vec![0; packet.buffer_len()];
    packet.serialize(&mut buffer);
    socket.send(&buffer, 0).map(drop)
}

/// Sends one request and returns the answer.
///
/// # Errors
/// If the kernel answers with an error, or not within five seconds.
pub(crate) fn send_request(
    message: RouteNetlinkMessage,
    flags: u16,
) -> io::Result<Option<RouteNetlinkMessage>> {
    let socket = open()?;
    send(&socket, message, flags)?;
    let timeout = Some(Duration::from_secs(5));
    rustix::net::sockopt::set_socket_timeout(
        &socket,
        rustix::net::sockopt::Timeout::Recv,
        timeout,
    )?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    match answer.payload {
        NetlinkPayload::InnerMessage(message) => Ok(Some(message)),
        NetlinkPayload::Error(error) if error.code.is_some() => Err(error.to_io()),
        _ => Ok(None),
    }
}

/// The state of an interface; `None` if there is no such interface.
pub(crate) fn interface(which: Which<'_>) -> io::Result<Option<InterfaceState>> {
    let mut link = LinkMessage::default();
    match which {
        Which::Name(name) => link.attributes.push(name_attribute(name)),
        Which::Index(index) => link.header.index = index,
    }
    match send_request(RouteNetlinkMessage::GetLink(link), NLM_F_REQUEST) {
        Ok(Some(RouteNetlinkMessage::NewLink(link))) => Ok(Some(state_of(&link))),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Selects by name. A name that is too long for an interface is an alternative name.
fn name_attribute(name: &str) -> LinkAttribute {
    if name.len() < libc::IFNAMSIZ {
        return LinkAttribute::IfName(name.to_owned());
    }
    let mut text = name.as_bytes().to_vec();
    text.push(0);
    LinkAttribute::Other(DefaultNla::new(libc::IFLA_ALT_IFNAME, text))
}

/// The state of the interface with this name; `None` if there is no such interface.
///
/// # Errors
/// If the kernel does not answer.
pub fn interface_by_name(name: &str) -> io::Result<Option<InterfaceState>> {
    interface(Which::Name(name))
}

fn state_of(link: &LinkMessage) -> InterfaceState {
    let flags = link.header.flags;
    let mut state = InterfaceState {
        index: link.header.index,
        name: String::new(),
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Up),
        promiscuous: flags.contains(LinkFlags::Promisc),
        mac: None,
        xdp: None,
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => state.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => state.mtu = *mtu,
            LinkAttribute::Address(address) => state.mac = address.as_slice().try_into().ok(),
            LinkAttribute::OperState(operation) => {
                state.running &= !matches!(
                    operation,
                    State::Down | State::LowerLayerDown | State::NotPresent
                );
            }
            LinkAttribute::Xdp(attributes) => state.xdp = xdp_of(attributes),
            _ => {}
        }
    }
    state
}

fn xdp_of(attributes: &[LinkXdp]) -> Option<XdpState> {
    let mut program = None;
    let mut mode = XdpMode::Generic;
    for attribute in attributes {
        match attribute {
            LinkXdp::ProgId(id) => program = Some(*id),
            LinkXdp::DrvProgId(id) | LinkXdp::HwProgId(id) => {
                program.get_or_insert(*id);
            }
            LinkXdp::Attached(attached) => {
                mode = match attached {
                    XdpAttached::SocketBuffer => XdpMode::Generic,
                    _ => XdpMode::Native,
                };
            }
            _ => {}
        }
    }
    program.map(|program| XdpState { program, mode })
}

/// Relation of an interface to those below and above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stacking {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// The ifindex below a VLAN device.
    pub(crate) lower: Option<u32>,
    /// The ifindex below a macvlan or ipvlan.
    pub(crate) shares: Option<u32>,
    /// The ifindex of the bond, bridge or VRF that the interface is a member of.
    pub(crate) master: Option<u32>,
    pub(crate) is_bond: bool,
}

/// All interfaces of this network namespace.
pub(crate) fn interfaces() -> io::Result<Vec<InterfaceState>> {
    links(state_of)
}

/// Relations of all interfaces of this network namespace.
pub(crate) fn stacking() -> io::Result<Vec<Stacking>> {
    links(stacking_of)
}

/// Applies `read` to all interfaces.
fn links<T>(read: fn(&LinkMessage) -> T) -> io::Result<Vec<T>> {
    dump(
        RouteNetlinkMessage::GetLink(LinkMessage::default()),
        |message| match message {
            RouteNetlinkMessage::NewLink(link) => Some(read(&link)),
            _ => None,
        },
    )
}

/// An address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Address and prefix length.
    pub(crate) net: IpNet,
    /// Broadcast address that follows from the prefix (of the peer, on point-to-point interfaces).
    pub(crate) subnet: Option<Ipv4Addr>,
    /// Configured broadcast address.
    pub(crate) broadcast: Option<Ipv4Addr>,
    /// The ifindex.
    pub(crate) interface: u32,
}

/// All addresses of all interfaces.
///
/// # Errors
/// If the kernel does not answer.
pub(crate) fn addresses() -> io::Result<Vec<Address>> {
    let found = dump(
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        |message| match message {
            RouteNetlinkMessage::NewAddress(address) => Some(address),
            _ => None,
        },
    )?;
    // On a point-to-point interface `Address` is the peer.
    let own = |message: AddressMessage| {
        let (bits, interface) = (message.header.prefix_len, message.header.index);
        let (mut local, mut other, mut broadcast) = (None, None, None);
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Local(address) => local = Some(address),
                AddressAttribute::Address(address) => other = Some(address),
                AddressAttribute::Broadcast(address) => broadcast = Some(address),
                _ => {}
            }
        }
        let address = local.or(other)?;
        let subnet = match IpNet::new(other.unwrap_or(address), bits) {
            Ok(IpNet::V4(net)) if bits < 31 => Some(net.broadcast()),
            _ => None,
        };
        Some(Address {
            net: IpNet::new(address, bits).ok()?,
            interface,
            subnet,
            broadcast,
        })
    };
    Ok(found.into_iter().filter_map(own).collect())
}

/// Requests a dump and collects the messages that `take` accepts.
fn dump<T>(
    message: RouteNetlinkMessage,
    take: impl Fn(RouteNetlinkMessage) -> Option<T>,
) -> io::Result<Vec<T>> {
    let socket = open()?;
    send(&socket, message, NLM_F_REQUEST | NLM_F_DUMP)?;
    let mut found = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let length = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::InnerMessage(message) => found.extend(take(message)),
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                _ => {}
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn stacking_of(link: &LinkMessage) -> Stacking {
    let mut stacking = Stacking {
        index: link.header.index,
        name: String::new(),
        lower: None,
        shares: None,
        master: None,
        is_bond: false,
    };
    let (mut is_vlan, mut is_macvlan, mut elsewhere) = (false, false, false);
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => stacking.name.clone_from(name),
            LinkAttribute::Link(lower) => stacking.lower = Some(*lower),
            LinkAttribute::Controller(master) => stacking.master = Some(*master),
            LinkAttribute::LinkInfo(info) => {
                let is = |kind: &InfoKind| info.contains(&LinkInfo::Kind(kind.clone()));
                is_vlan = is(&InfoKind::Vlan);
                is_macvlan = is(&InfoKind::MacVlan) || is(&InfoKind::IpVlan);
                stacking.is_bond = is(&InfoKind::Bond);
            }
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            _ => {}
        }
    }
    // Macvlans exchange frames above the NIC. An ifindex of another namespace means another
    // interface.
    if is_macvlan && !elsewhere {
        stacking.shares = stacking.lower;
    }
    // The link of a veth is its peer.
    if !is_vlan || elsewhere {
        stacking.lower = None;
    }
    stacking
}

/// Detaches an XDP program that was attached without a link.
pub(crate) fn remove_xdp(index: u32, flags: u32) -> io::Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    let nothing = vec![LinkXdp::Fd(-1), LinkXdp::Flags(flags)];
    link.attributes.push(LinkAttribute::Xdp(nothing));
    send_request(
        RouteNetlinkMessage::SetLink(link),
        NLM_F_REQUEST | NLM_F_ACK,
    )
    .map(drop)
}

/// Waits for changes of interfaces, addresses, forwarding settings and IPsec policy.
#[derive(Debug)]
pub struct Monitor {
    routes: Socket,
    /// Absent if the kernel has no IPsec.
    ipsec: Option<Socket>,
}

impl Monitor {
    /// Subscribes to changes.
    ///
    /// # Errors
    /// If netlink sockets cannot be opened.
    pub fn new() -> io::Result<Self> {
        let mut routes = Socket::new(NETLINK_ROUTE)?;
        routes.bind_auto()?;
        for group in [
            GROUP_LINK,
            GROUP_IPV4_ADDRESS,
            GROUP_IPV6_ADDRESS,
            GROUP_IPV4_SETTINGS,
            GROUP_IPV6_SETTINGS,
        ] {
            routes.add_membership(group)?;
        }
        let ipsec = Socket::new(NETLINK_XFRM).and_then(|mut socket| {
            socket.bind_auto()?;
            socket.add_membership(GROUP_IPSEC_POLICY)?;
            Ok(socket)
        });
        Ok(Self {
            routes,
            ipsec: ipsec.ok(),
        })
    }

    /// Returns after a change, after `at_most`, or if messages were lost, because then there were
    /// changes.
    ///
    /// # Errors
    /// If a socket fails.
    pub fn wait(&self, at_most: Duration) -> io::Result<()> {
        let sockets: Vec<&Socket> = [Some(&self.routes), self.ipsec.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let mut polled: Vec<PollFd<'_>> = sockets
            .iter()
            .map(|socket| PollFd::new(*socket, PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: at_most.as_secs() as i64,
            tv_nsec: at_most.subsec_nanos().into(),
        };
        while let Err(error) = rustix::event::poll(&mut polled, Some(&timeout)) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        let ready = polled.iter().zip(&sockets);
        for (_, socket) in ready.filter(|(polled, _)| !polled.revents().is_empty()) {
            match socket.recv_from_full() {
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
