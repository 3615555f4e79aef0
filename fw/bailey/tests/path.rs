//! Packets that are larger than the path MTU: fragments, jumbo frames, path MTU discovery.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::mem::MaybeUninit;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bailey_lab::topology::NIC;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Namespace, Server, connect, daemon};
use demo_lab::*;
use socket2::{Domain, Protocol, Socket, Type};

#[test]
#[ignore = "needs root and BPF"]
fn large_datagrams_arrive_in_fragments() {
    let lab = lab();
    for family in [0, 1] {
        Server::udp(lab.workload("db"), ip(DB[family]), 161).unwrap();
    }
    let _daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    for family in [0, 1] {
        let (backup, stranger) = (ip(BACKUP[family]), ip(STRANGER[family]));
        for bytes in [6, 1400, 1500, 4000, 30_000] {
            let seen = traffic::udp_with_size(&lab.outside, backup, at(DB[family], 161), bytes);
            assert_eq!(seen, Observed::Allowed, "{bytes} bytes, family {family}");
        }
        let seen = traffic::udp_with_size(&lab.outside, stranger, at(DB[family], 161), 4000);
        assert_eq!(seen, Observed::Silent);
    }
    // Policy denied the stranger's first fragments, so its later fragments have no record.
    assert!(counted(&lab, NIC, "xdp", "fragment-no-first") >= 4);
    assert_eq!(counted(&lab, NIC, "tc", "fragment-no-first"), 0);
    for reason in ["fragment", "fragment-tiny", "fragment-overlap"] {
        assert_eq!(
            counted(&lab, NIC, "xdp", reason) + counted(&lab, NIC, "tc", reason),
            0
        );
    }
    tally.assert(&lab);
}

/// The machine fragments anew between its two hooks, so the first fragments at the egress hook are
/// shorter.
#[test]
#[ignore = "needs root and BPF"]
fn refragmented_datagrams_arrive() {
    let lab = lab();
    lab.node.ip("link set db mtu 1400").unwrap();
    lab.workload("db").ip("link set eth0 mtu 1400").unwrap();
    Server::udp(lab.workload("db"), ip(DB[0]), 161).unwrap();
    let text = format!("interfaces = [{NIC:?}, \"db\"]");
    daemon::write_config(lab.root(), &text).unwrap();
    let mut daemon = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
    daemon
        .wait_for("attached interface=\"db\"", PATIENCE)
        .unwrap();
    for _ in 0..2 {
        let seen = traffic::udp_with_size(&lab.outside, ip(BACKUP[0]), at(DB[0], 161), 4000);
        assert_eq!(seen, Observed::Allowed);
    }
    assert_eq!(counted(&lab, "db", "tc", "fragment-overlap"), 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn jumbo_frames_are_read_in_many_buffers() {
    let lab = lab();
    lab.outside.ip("link set eth0 mtu 9000").unwrap();
    lab.node.ip("link set nic0 mtu 9000").unwrap();
    lab.node.ip("link set db mtu 9000").unwrap();
    lab.workload("db").ip("link set eth0 mtu 9000").unwrap();
    for family in [0, 1] {
        Server::udp(lab.workload("db"), ip(DB[family]), 161).unwrap();
    }
    let _daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    for family in [0, 1] {
        let to = at(DB[family], 161);
        let seen = traffic::udp_with_size(&lab.outside, ip(BACKUP[family]), to, 8000);
        assert_eq!(seen, Observed::Allowed, "family {family}");
    }
    assert_eq!(counted(&lab, NIC, "xdp", "ip-length"), 0);
    tally.assert(&lab);
}

/// The length of the longest frame that an interface receives. Ends at the deadline, or with the
/// first frame longer than `enough`.
fn longest_frame(namespace: &Namespace, enough: usize, deadline: Instant) -> JoinHandle<usize> {
    const AF_PACKET: i32 = 17;
    const ETH_P_ALL: u16 = 3;
    const MSG_TRUNC: i32 = 0x20; // returns the full length of a truncated frame
    let socket = namespace.run(|| {
        let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        Socket::new(Domain::from(AF_PACKET), Type::RAW, Some(protocol)).unwrap()
    });
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    thread::spawn(move || {
        let mut longest = 0;
        while longest <= enough && Instant::now() < deadline {
            let received = socket.recv_with_flags(&mut [MaybeUninit::uninit(); 64], MSG_TRUNC);
            longest = longest.max(received.unwrap_or_default());
        }
        longest
    })
}

/// GRO frames longer than an IP header can state: in generic mode XDP receives each as one packet
/// with a length field of 0.
#[test]
#[ignore = "needs root and BPF"]
fn gro_frames_beyond_64_kib_pass_generic_mode() {
    const BYTES: usize = 1 << 24;
    const FRAME_MAX: usize = 14 + 40 + 65_535;
    let lab = lab();
    for (namespace, device) in [(&lab.outside, "eth0"), (&lab.node, NIC)] {
        let line = format!("link set {device} gso_max_size 196608 gro_max_size 196608");
        namespace.ip(&line).unwrap();
    }
    // The sender builds GSO frames of this many segments at any rate.
    lab.outside
        .sysctl("net.ipv4.tcp_min_tso_segs", "100")
        .unwrap();
    Server::tcp(&lab.node, 5432).unwrap();
    let _daemon = start(&lab, "xdp_mode = \"generic\"");
    let to = at("2001:db8:a::1", 5432);
    let longest = longest_frame(&lab.node, FRAME_MAX, Instant::now() + PATIENCE);
    let mut stream = traffic::tcp_connect(&lab.outside, ip(BACKUP[1]), to).unwrap();
    while !longest.is_finished() {
        assert_eq!(traffic::tcp_echo(&mut stream), Observed::Allowed);
        assert_eq!(traffic::tcp_transfer(&stream, BYTES), Observed::Allowed);
    }
    let longest = longest.join().unwrap();
    assert!(
        longest > FRAME_MAX,
        "no frame was longer than {longest} bytes"
    );
    for reason in ["ip-length", "extension-header"] {
        assert_eq!(counted(&lab, NIC, "xdp", reason), 0, "{reason}");
    }
}

const FAR: [&str; 2] = ["192.0.2.10", "2001:db8:f::10"];

/// A host behind an external router, on a link with an MTU of 1280 bytes.
fn far_host(lab: &Lab) -> Namespace {
    let far = Namespace::new().unwrap();
    connect(&lab.outside, "far0", &far, "eth0").unwrap();
    // The router: a link with a small MTU, and forwarding.
    let outside = [
        "address add 192.0.2.1/24 dev far0",
        "address add 2001:db8:f::1/64 dev far0 nodad",
        "link set far0 mtu 1280",
    ];
    for command in outside {
        lab.outside.ip(command).unwrap();
    }
    for setting in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
        lab.outside.sysctl(setting, "1").unwrap();
    }
    // The host sends packets of at most 1280 bytes, but announces the MSS of a path of 1500 bytes.
    for command in [
        "address add 192.0.2.10/24 dev eth0",
        "address add 2001:db8:f::10/64 dev eth0 nodad",
        "route add default via 192.0.2.1 mtu 1280 advmss 1460",
        "-6 route add default via 2001:db8:f::1 mtu 1280 advmss 1440",
    ] {
        far.ip(command).unwrap();
    }
    // Routes of the node to the host.
    lab.node
        .ip("route add 192.0.2.0/24 via 203.0.113.10")
        .unwrap();
    lab.node
        .ip("-6 route add 2001:db8:f::/64 via 2001:db8:a::10")
        .unwrap();
    far
}

#[test]
#[ignore = "needs root and BPF"]
fn path_mtu_discovery_works_from_internal_side() {
    let lab = lab();
    let far = far_host(&lab);
    Server::tcp(lab.workload("web"), 8080).unwrap();
    let _daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    for family in [0, 1] {
        let before = counted(&lab, NIC, "xdp", "related");
        // The first try may fail: IPv6 may still check the address for duplicates.
        let mut tries = (0..5).filter_map(|_| {
            traffic::tcp_connect(&far, ip(FAR[family]), at(WEB[family], 8080)).ok()
        });
        let stream = tries.next().expect("policy allows it");
        let seen = traffic::tcp_transfer(&stream, 1 << 20);
        assert_eq!(seen, Observed::Allowed, "family {family}");
        assert!(
            counted(&lab, NIC, "xdp", "related") > before,
            "family {family}"
        );
    }
    tally.assert(&lab);
}

#[test]
#[ignore = "needs root and BPF"]
fn path_mtu_discovery_works_from_external_side() {
    let lab = lab();
    Server::tcp(lab.workload("web"), 8080).unwrap();
    // The link to the workload has an MTU of 1280 bytes; the workload announces the MSS of 1500
    // bytes.
    lab.node.ip("link set web mtu 1280").unwrap();
    let web = lab.workload("web");
    web.ip("route change default via 169.254.1.1 dev eth0 mtu 1280 advmss 1460")
        .unwrap();
    web.ip("-6 route change default via fe80::1 dev eth0 mtu 1280 advmss 1440")
        .unwrap();
    let _daemon = start(&lab, "");
    let tally = Tally::begin(&lab);
    for family in [0, 1] {
        let before = counted(&lab, NIC, "tc", "related");
        let from = ip(BACKUP[family]);
        let mut tries = (0..5)
            .filter_map(|_| traffic::tcp_connect(&lab.outside, from, at(WEB[family], 8080)).ok());
        let stream = tries.next().expect("policy allows it");
        let seen = traffic::tcp_transfer(&stream, 1 << 20);
        assert_eq!(seen, Observed::Allowed, "family {family}");
        assert!(
            counted(&lab, NIC, "tc", "related") > before,
            "family {family}"
        );
    }
    tally.assert(&lab);
}
