//! An endpoint that policy lets send and be sent nothing, behind each topology, and somebody beside it
//! who sends random frames of every kind that docs/packets.md knows: to stations and groups, from and to
//! known, unknown, link-local, mapped and group addresses, of all protocols, whole and in fragments, and
//! damaged. What comes out at the other side is what that page says passes; both ways.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use bailey_datapath::kernel::netlink;
use bailey_datapath::kernel::xsk::{BATCH, Copies};
use bailey_lab::daemon::{self, POLICIES};
use bailey_lab::wire::SIDES;
use bailey_lab::{Daemon, Lab, Namespace, Wire};
use bailey_reference::{Fragment, Frames, Generator, Packet, Parsed, Pools};
use ipnet::IpNet;
use socket2::{Domain, Protocol, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(30);
/// Frames in each direction of each topology.
const FRAMES: usize = 100_000;
/// Ports that the generator likes.
const PORTS: [u16; 6] = [80, 81, 53, 4789, 6081, 40_000];

/// Where somebody sends and somebody listens.
struct Arena<'a> {
    name: &'static str,
    /// Both ends, by their namespaces and interfaces.
    ends: [(&'a Namespace, &'static str); 2],
    /// Stations that frames of each end go to, beside one that nobody is.
    stations: [Vec<[u8; 6]>; 2],
    frames: Frames,
    /// All addresses of the endpoint, and around them, are in here.
    isolated: Vec<IpNet>,
    /// Is it told which side is the inside? Then nothing comes from there with another's address.
    told: bool,
    /// Addresses that nobody judges: between them and the endpoint there is no NIC.
    unseen: Vec<IpAddr>,
    /// The broadcast addresses of subnets that the machine is in.
    broadcasts: Vec<IpAddr>,
    pools: (Vec<Ipv4Addr>, Vec<Ipv6Addr>),
    /// How many of its frames for each direction at least must come out, since they pass: the test sees
    /// something.
    least: usize,
}

fn amount() -> usize {
    let times = std::env::var("BAILEY_FUZZ_TIMES").ok();
    FRAMES
        * times.map_or(1, |text| {
            text.parse().expect("BAILEY_FUZZ_TIMES is a number")
        })
}

fn seed() -> u64 {
    let seed = std::env::var("BAILEY_SEED").ok();
    seed.map_or_else(
        || fastrand::u64(..),
        |text| text.parse().expect("BAILEY_SEED is a number"),
    )
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_bailey"))
}

/// Nobody may send the endpoint anything, nor it anybody.
fn policies(addresses: &str) -> String {
    format!(
        "apiVersion: bailey.dev/v1\nkind: Workload\n\
         metadata: {{name: closed, namespace: ns}}\nspec: {{addresses: [{addresses}]}}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: nothing, namespace: ns}}\n\
         spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}\n"
    )
}

fn launch(
    node: &Namespace,
    root: &std::path::Path,
    settings: &str,
    interfaces: &[&str],
    addresses: &str,
    isolated: &[IpNet],
) -> Daemon {
    fs::create_dir_all(root.join(POLICIES)).unwrap();
    fs::write(root.join(POLICIES).join("p.yaml"), policies(addresses)).unwrap();
    let isolated: Vec<String> = isolated.iter().map(ToString::to_string).collect();
    let text = format!(
        "interfaces = {interfaces:?}\n{settings}\n[inventory]\nisolated = {isolated:?}\n\
         [flood]\nenabled = false\n"
    );
    daemon::configure(root, &text).unwrap();
    let mut daemon = Daemon::launch(node, root, &binary(), &[]).unwrap();
    for interface in interfaces {
        let line = format!("attached interface=\"{interface}\"");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}

fn mac(namespace: &Namespace, interface: &'static str) -> [u8; 6] {
    namespace
        .run(move || netlink::interface_by_name(interface))
        .unwrap()
        .unwrap()
        .mac
        .unwrap()
}

fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        pair(a ^ 2, b),
        pair(c, 0xff),
        pair(0xfe, d),
        pair(e, f),
    )
}

/// Addresses that are nobody's, groups', and those given.
fn pools(ipv4: &[&str], ipv6: &[&str], local: &[Ipv6Addr]) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    const IPV4: [&str; 9] = [
        "198.51.100.9",
        "203.0.113.77",
        "169.254.7.7",
        "224.0.0.1",
        "224.0.0.5",
        "224.0.0.251",
        "239.1.1.1",
        "255.255.255.255",
        "240.1.1.1",
    ];
    const IPV6: [&str; 10] = [
        "2001:db8:f::9",
        "fe80::bad",
        "ff02::1",
        "ff02::5",
        "ff02::fb",
        "ff02::1:2",
        "ff05::2",
        "ff0e::9",
        "::ffff:10.9.0.2",
        "fec0::1",
    ];
    // What is meant comes as often as everything else.
    let four = ipv4.iter().cycle().take(IPV4.len() + 3).chain(&IPV4);
    let six = ipv6.iter().cycle().take(IPV6.len() + 3).chain(&IPV6);
    let six = six.map(|text| text.parse().unwrap());
    (
        four.map(|text| text.parse().unwrap()).collect(),
        six.chain(local.iter().copied()).collect(),
    )
}

/// Protocols of raw sockets: ICMP, TCP, GRE, OSPF, SCTP. Of UDP and ICMPv6 some passes without policy.
const RAW: [i32; 5] = [1, 6, 47, 89, 132];

/// What a namespace sees on its interfaces, and what its sockets are given.
struct Listener {
    stop: Arc<AtomicBool>,
    frames: JoinHandle<Vec<Vec<u8>>>,
    /// UDP and raw ones; that they are all of one type means receiving only.
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpListener>,
}

/// A socket for what comes to any address of a family.
fn any(family: Domain, kind: Type, protocol: Option<Protocol>, port: u16) -> Socket {
    let address: IpAddr = match family {
        Domain::IPV4 => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = Socket::new(family, kind, protocol).unwrap();
    if family == Domain::IPV6 && kind != Type::RAW {
        socket.set_only_v6(true).unwrap();
    }
    let at = std::net::SocketAddr::new(address, port);
    socket.bind(&at.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

impl Listener {
    fn start(namespace: &Namespace, own: [u8; 6]) -> Self {
        const AF_PACKET: i32 = 17;
        const ETH_P_ALL: u16 = 3;
        let stop = Arc::new(AtomicBool::new(false));
        let (socket, datagrams, streams) = namespace.run(|| {
            let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
            let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, Some(protocol)).unwrap();
            socket.set_recv_buffer_size(1 << 24).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            let mut datagrams: Vec<UdpSocket> = Vec::new();
            let mut streams: Vec<TcpListener> = Vec::new();
            for family in [Domain::IPV4, Domain::IPV6] {
                for port in PORTS {
                    datagrams.push(any(family, Type::DGRAM, None, port).into());
                    let stream = any(family, Type::STREAM, None, port);
                    stream.listen(16).unwrap();
                    streams.push(stream.into());
                }
                for protocol in RAW {
                    let protocol = Some(Protocol::from(protocol));
                    datagrams.push(any(family, Type::RAW, protocol, 0).into());
                }
            }
            (socket, datagrams, streams)
        });
        let stopped = Arc::clone(&stop);
        let frames = thread::spawn(move || {
            let (mut socket, mut seen) = (socket, Vec::new());
            let mut frame = vec![0; 4096];
            loop {
                match socket.read(&mut frame) {
                    // What it sends itself is seen, too, and what it tells itself.
                    Ok(length) if length >= 14 && frame[6..12] != own && frame[6..12] != [0; 6] => {
                        seen.push(frame[..length].to_vec());
                    }
                    Ok(_) => {}
                    Err(_) if stopped.load(Ordering::Acquire) => return seen,
                    Err(_) => {}
                }
            }
        });
        Self {
            stop,
            frames,
            datagrams,
            streams,
        }
    }

    /// All frames that came in, and packets and connections that a socket was given.
    fn end(self) -> (Vec<Vec<u8>>, Vec<String>) {
        sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Release);
        let frames = self.frames.join().unwrap();
        let mut given = Vec::new();
        let mut buffer = [0; 2048];
        for socket in &self.datagrams {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let local = socket.local_addr().unwrap();
                given.push(format!("{from} -> {local}: {length} bytes"));
            }
        }
        for stream in &self.streams {
            while let Ok((_, from)) = stream.accept() {
                let local = stream.local_addr().unwrap();
                given.push(format!("{from} -> {local}: a connection"));
            }
        }
        (frames, given)
    }
}

/// Sends frames of the generator from a namespace.
fn send(namespace: &Namespace, interface: &'static str, mut generator: Generator, from: [u8; 6]) {
    let frames = amount();
    namespace.run(move || {
        let index = netlink::interface_by_name(interface)
            .unwrap()
            .unwrap()
            .index;
        let mut socket =
            bailey_datapath::kernel::xsk::Socket::open(index, 0, Copies::Always).unwrap();
        let mut left = frames;
        while left > 0 {
            let sent = socket.send(BATCH.min(left), |room| {
                let mut frame = generator.frame();
                frame[6..12].copy_from_slice(&from);
                complete(&mut frame);
                room[..frame.len()].copy_from_slice(&frame);
                frame.len()
            });
            left -= sent.unwrap();
            // The reader is to keep up.
            sleep(Duration::from_micros(100));
        }
        while !socket.flush().unwrap() {
            thread::yield_now();
        }
    });
}

/// Mostly the right checksum of an IPv4 header, which the generator leaves out: without it, no stack
/// would take the packet.
fn complete(frame: &mut [u8]) {
    let mut at = 12;
    while frame.len() > at + 4 && matches!(frame[at..at + 2], [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    let header = at + 2;
    if frame.len() < header + 20 || frame[at..header] != [0x08, 0x00] {
        return;
    }
    let end = header + usize::from(frame[header] & 0x0f) * 4;
    if end < header + 20 || end > frame.len() {
        return;
    }
    frame[header + 10..header + 12].fill(0);
    let (words, _) = frame[header..end].as_chunks::<2>();
    let sum: u32 = words
        .iter()
        .map(|w| u32::from(u16::from_be_bytes(*w)))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[header + 10..header + 12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// Routing protocols to their groups; the table of docs/packets.md.
fn is_control(packet: &Packet) -> bool {
    let one_of = |groups: &[&str]| {
        let mut groups = groups.iter().map(|text| text.parse::<IpAddr>().unwrap());
        groups.any(|group| group == packet.destination)
    };
    match (packet.protocol, packet.destination_port) {
        (89, _) => one_of(&["224.0.0.5", "224.0.0.6", "ff02::5", "ff02::6"]),
        (88 | 103 | 112, _) => one_of(&[
            "224.0.0.10",
            "224.0.0.13",
            "224.0.0.18",
            "ff02::a",
            "ff02::d",
            "ff02::12",
        ]),
        _ => false,
    }
}

/// May a packet that policy is asked about pass? Neither end is isolated, and it goes to nobody else.
fn may_pass(packet: &Packet, frame: &[u8], arena: &Arena<'_>, end: usize) -> bool {
    let sender = sender_of(frame);
    // What the machine itself sends has not been forwarded. What it forwards with its own address may be
    // masqueraded, or forged behind an interface that nobody judges: see docs/unseen.md.
    let own = matches!(hops_of(frame), 1 | 64 | 255) || arena.name == "host" && sender.is_ipv6();
    if own && arena.unseen.contains(&sender) {
        return true;
    }
    let local = |end: &IpAddr| match end {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if arena.told && end == 1 && !local(&sender) {
        return false;
    }
    // The packet is an answer to what an error quotes; who reports it may be another.
    let ends = [packet.source, packet.destination, sender];
    let is_isolated = |end: &IpAddr| arena.isolated.iter().any(|net| net.contains(end));
    if ends.iter().any(is_isolated) {
        return false;
    }
    let to_group = frame[0] & 1 == 1
        || arena.broadcasts.contains(&packet.destination)
        || match packet.destination {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
            IpAddr::V6(address) => address.is_multicast(),
        };
    // A later fragment over IPv6 does not say what it is of.
    let unknown = matches!(packet.fragment, Fragment::Later { .. }) && packet.protocol == 0;
    let routing = unknown
        || matches!(packet.protocol, 88 | 89 | 103 | 112)
        || packet.protocol == 17 && matches!(packet.destination_port, 3784 | 3785);
    // What is sent to groups has its senders' leave.
    if to_group && (arena.frames.bridge || end == 0) {
        return is_control(packet);
    }
    // To the machine itself anybody on the link may send, and this may be of such a flow, or an error about
    // one.
    let of_machine = |end: &IpAddr| !arena.told && arena.unseen.contains(end);
    let to_machine =
        of_machine(&packet.destination) || packet.related && of_machine(&packet.source);
    !ends[..2].iter().any(local) || routing || to_machine
}

/// The IP packet in a frame.
fn packet_of(frame: &[u8]) -> &[u8] {
    let mut at = 12;
    while matches!(
        frame[at..at + 2],
        [0x81, 0x00] | [0x88, 0xa8] | [0x91, 0x00]
    ) {
        at += 4;
    }
    &frame[at + 2..]
}

/// Its TTL or hop limit.
fn hops_of(frame: &[u8]) -> u8 {
    let header = packet_of(frame);
    header[if header[0] >> 4 == 4 { 8 } else { 7 }]
}

/// Its source.
fn sender_of(frame: &[u8]) -> IpAddr {
    let header = packet_of(frame);
    match header[0] >> 4 {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(&header[12..16]).unwrap()).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(&header[8..24]).unwrap()).into(),
    }
}

/// What is wrong with a frame that came out, if anything is.
fn wrong(frame: &[u8], arena: &Arena<'_>, end: usize) -> Result<&'static str, String> {
    match bailey_reference::parse(frame, &arena.frames) {
        Parsed::Pass(reason) => Ok(reason),
        Parsed::Packet(packet) if may_pass(&packet, frame, arena, end) => {
            // Who is asked is no secret of a fragment without ports.
            Ok(match packet.fragment {
                Fragment::Whole => "nobody isolated",
                _ => "fragment, nobody isolated",
            })
        }
        other => Err(format!("{other:?}: {frame:02x?}")),
    }
}

fn assail(arena: &Arena<'_>) {
    let seed = seed();
    for (sender, receiver) in [(0, 1), (1, 0)] {
        let ends = arena.ends;
        let own = [0, 1].map(|end| mac(ends[end].0, ends[end].1));
        println!(
            "{}, from end {sender}: BAILEY_SEED={seed}, {} frames",
            arena.name,
            amount()
        );
        let mut stations = arena.stations[sender].clone();
        stations.push([2, 0, 0, 0, 0xde, 0xad]);
        // Frames are the sender's own, so that nobody learns another way to it.
        let pools = Pools {
            stations,
            from: own[sender],
            ipv4: arena.pools.0.clone(),
            ipv6: arena.pools.1.clone(),
        };
        let generator = Generator::among(seed, arena.frames.clone(), pools);
        let listener = Listener::start(ends[receiver].0, own[receiver]);
        send(ends[sender].0, ends[sender].1, generator, own[sender]);
        let (frames, given) = listener.end();
        let mut passed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut wrongs = Vec::new();
        for frame in &frames {
            match wrong(frame, arena, sender) {
                Ok(reason) => *passed.entry(reason).or_default() += 1,
                Err(what) => wrongs.push(what),
            }
        }
        println!("  came out: {passed:?}");
        assert!(
            wrongs.is_empty(),
            "{} frames got past policy ({}, from end {sender}), such as\n{}",
            wrongs.len(),
            arena.name,
            wrongs[..wrongs.len().min(10)].join("\n")
        );
        let open = passed
            .keys()
            .any(|reason| reason.contains("nobody isolated"));
        assert!(open || given.is_empty(), "sockets were given {given:?}");
        assert!(
            frames.len() >= arena.least,
            "only {} came out",
            frames.len()
        );
    }
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_on_bridge() {
    let wire = Wire::new().unwrap();
    let isolated = nets(&["10.9.0.0/24", "fd09::/64"]);
    let _daemon = launch(
        &wire.bump,
        wire.root(),
        "topology = \"bridge\"\n[sources]\nexternal = [\"left0\"]\n\
         internal = [\"10.9.0.0/24\", \"fd09::/64\"]",
        &SIDES,
        "10.9.0.2, \"fd09::2\"",
        &isolated,
    );
    let macs = [mac(&wire.left, "eth0"), mac(&wire.right, "eth0")];
    assail(&Arena {
        name: "bridge",
        ends: [(&wire.left, "eth0"), (&wire.right, "eth0")],
        stations: [vec![macs[1]], vec![macs[0]]],
        frames: Frames {
            bridge: true,
            inside: isolated.clone(),
            ..Frames::default()
        },
        isolated,
        told: true,
        unseen: Vec::new(),
        broadcasts: Vec::new(),
        pools: pools(
            &["10.9.0.2", "10.9.0.1", "10.9.0.77", "10.9.0.255"],
            &["fd09::2", "fd09::1", "fd09::77", "fd09::"],
            &macs.map(link_local),
        ),
        least: 1000,
    });
}

/// Where the inside of the lab is.
const INSIDE: &str =
    "[sources]\nexternal = [\"nic0\"]\ninternal = [\"10.42.0.0/24\", \"fd42::/64\"]";
/// Of the subnets of the lab's NIC.
const BROADCASTS: [&str; 2] = ["203.0.113.255", "198.51.100.255"];

/// The subnets of IPv6 that the lab's node is in.
const SUBNETS: [&str; 2] = ["2001:db8:a::/64", "2001:db8:b::/64"];

/// All addresses of a namespace.
fn addresses(namespace: &Namespace) -> Vec<IpAddr> {
    let output = namespace.run(|| {
        let mut command = std::process::Command::new("ip");
        command.args(["-o", "address"]).output().unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3));
    let nets = words.filter_map(|word| word.parse::<IpNet>().ok());
    nets.map(|net| net.addr()).collect()
}

/// A lab whose workload `web` is closed.
fn assail_lab(name: &'static str, settings: &str, interfaces: &[&str]) {
    let lab = Lab::new().unwrap();
    let isolated = nets(&["10.42.0.0/24", "fd42::/64"]);
    let _daemon = launch(
        &lab.node,
        lab.root(),
        settings,
        interfaces,
        "10.42.0.11, \"fd42::11\"",
        &isolated,
    );
    lab.wait_for_carrier();
    let web = lab.workload("web");
    let near = [mac(&lab.node, "nic0"), mac(&lab.node, "web")];
    assail(&Arena {
        name,
        ends: [(&lab.outside, "eth0"), (web, "eth0")],
        stations: near.map(|mac| vec![mac]),
        frames: Frames {
            subnets: nets(&SUBNETS),
            inside: isolated.clone(),
            ..Frames::default()
        },
        isolated,
        // At the egress hook of a host only what opens a flow is asked for its source.
        told: name == "router",
        unseen: addresses(&lab.node),
        broadcasts: BROADCASTS.map(|text| text.parse().unwrap()).to_vec(),
        pools: pools(
            &["10.42.0.11", "10.42.0.77", "203.0.113.10", "203.0.113.1"],
            &["fd42::11", "fd42::77", "2001:db8:a::10", "2001:db8:a::1"],
            &near.map(link_local),
        ),
        least: 0,
    });
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_through_host() {
    assail_lab("host", INSIDE, &["nic0"]);
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_through_router() {
    assail_lab(
        "router",
        &format!("topology = \"router\"\n{INSIDE}"),
        &["nic0", "web", "db"],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_to_macvlan() {
    let lab = Lab::new().unwrap();
    let pod = Namespace::new().unwrap();
    bailey_lab::move_macvlan(&lab.node, "nic0", &pod, "eth0").unwrap();
    for address in ["203.0.113.50/24", "2001:db8:a::50/64"] {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        pod.ip(&format!("address add {address} dev eth0 {nodad}"))
            .unwrap();
    }
    let isolated = nets(&[
        "203.0.113.48/28",
        "2001:db8:a::48/125",
        "2001:db8:a::50/124",
    ]);
    let _daemon = launch(
        &lab.node,
        lab.root(),
        "",
        &["nic0"],
        "203.0.113.50, \"2001:db8:a::50\"",
        &isolated,
    );
    lab.wait_for_carrier();
    let macs = [mac(&lab.outside, "eth0"), mac(&pod, "eth0")];
    assail(&Arena {
        name: "macvlan",
        ends: [(&lab.outside, "eth0"), (&pod, "eth0")],
        stations: [vec![macs[1]], vec![macs[0]]],
        frames: Frames {
            subnets: nets(&SUBNETS),
            ..Frames::default()
        },
        isolated,
        told: false,
        unseen: addresses(&lab.node),
        broadcasts: BROADCASTS.map(|text| text.parse().unwrap()).to_vec(),
        pools: pools(
            &[
                "203.0.113.50",
                "203.0.113.51",
                "203.0.113.10",
                "203.0.113.255",
            ],
            &[
                "2001:db8:a::50",
                "2001:db8:a::51",
                "2001:db8:a::10",
                "2001:db8:a::",
            ],
            &macs.map(link_local),
        ),
        least: 100,
    });
}
