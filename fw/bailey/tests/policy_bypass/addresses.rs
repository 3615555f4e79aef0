//! Spoofed, shared, unknown and link-local addresses.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use bailey_datapath::kernel::netlink;
use bailey_datapath::program::frame;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Namespace, Server, daemon};
use bailey_policy::Protocol;
use nix::sys::signal::Signal;

use crate::demo_lab::*;
use crate::{NODE, launch, start_on};

/// A packet that comes in with an address of this machine as its source is dropped, even if it
/// matches a flow of the machine.
#[test]
#[ignore = "needs root and BPF"]
fn spoofed_machine_address_cannot_continue_flow() {
    const PORT: u16 = 5353;
    let lab = lab();
    Server::udp(lab.workload("db"), ip(DB[1]), 5432).unwrap();
    let _daemon = start_on(&lab, &["nic0", "db"], "");
    let answered = lab.node.run(|| {
        let socket = UdpSocket::bind((ip(NODE[1]), PORT)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        (0..3).all(|_| {
            socket.send_to(b"x", at(DB[1], 5432)).unwrap();
            socket.recv(&mut [0; 8]).is_ok()
        })
    });
    assert!(answered, "the node reaches its own workload");
    let datagram = frame::udp(PORT, 5432);
    let mut spoofed = frame::ip(ip(NODE[1]), ip(DB[1]), Protocol::UDP, &datagram);
    spoofed[..6].copy_from_slice(&mac_of(&lab.node, "nic0"));
    send_frames(&lab.outside, "eth0", vec![spoofed]);
    assert_eq!(counted(&lab, "nic0", "xdp", "spoofed"), 1);
    assert_eq!(counted(&lab, "nic0", "xdp", "flow"), 0);
}

/// The machine would route neighbour discovery for a subnet behind another interface.
#[test]
#[ignore = "needs root and BPF"]
fn neighbour_discovery_is_not_routed() {
    let lab = lab();
    lab.node
        .ip("address add fd42::ffff/64 dev db nodad")
        .unwrap();
    let _daemon = start(&lab, "");
    let advertisement = [136, 0, 0, 0, 0, 0, 0, 0]
        .into_iter()
        .chain([0; 16])
        .collect::<Vec<u8>>();
    let send = |from: &str, to: &str| {
        let mut frame = frame::ip(ip(from), ip(to), Protocol::ICMPV6, &advertisement);
        frame[..6].copy_from_slice(&mac_of(&lab.node, "nic0"));
        frame[14 + 7] = 255;
        send_frames(&lab.outside, "eth0", vec![frame]);
        counted(&lab, "nic0", "xdp", "nd-scope")
    };
    assert_eq!(send("2001:db8:a::10", "2001:db8:a::20"), 0, "on the link");
    assert_eq!(send("fd42::99", DB[1]), 1);
}

/// An endpoint beside the machine (a macvlan) is not the machine, even with an address that the
/// machine has on another NIC.
#[test]
#[ignore = "needs root and BPF"]
fn macvlan_with_machine_address_is_not_machine() {
    let lab = lab();
    let pod = Namespace::new().unwrap();
    bailey_lab::add_macvlan(&lab.node, "nic0", &pod, "eth0").unwrap();
    // The lab's node has this address on the interfaces to its workloads.
    pod.ip("address add fe80::1/64 dev eth0 nodad").unwrap();
    Server::tcp(&pod, 8080).unwrap();
    // The external host sends to the macvlan under that address.
    let mac = mac_of(&pod, "eth0")
        .map(|byte| format!("{byte:02x}"))
        .join(":");
    lab.outside
        .ip(&format!(
            "-6 neigh replace fe80::1 lladdr {mac} dev eth0 nud permanent"
        ))
        .unwrap();
    let index = lab.outside.run(|| netlink::interface_by_name("eth0"));
    let index = index.unwrap().unwrap().index;
    let to = SocketAddrV6::new("fe80::1".parse().unwrap(), 8080, 0, index).into();
    let reach = || traffic::tcp(&lab.outside, ip("::"), to);
    wait_until("reachable without Bailey", || reach() == Observed::Allowed);
    let _daemon = start_on(&lab, &["nic0", "db"], "");
    lab.wait_for_carrier();
    assert_eq!(reach(), Observed::Silent);
    assert!(counted(&lab, "nic0", "xdp", "link-local") > 0);
}

/// The NIC is a port of a bridge with another hardware address. Packets that the machine sends
/// through the bridge count as the machine's.
#[test]
#[ignore = "needs root and BPF"]
fn machine_traffic_passes_bridge_on_its_nic() {
    let lab = lab();
    for line in [
        "link add br0 address 02:00:00:00:00:77 type bridge",
        "link set nic0 master br0",
        "address flush dev nic0",
        "link set br0 up",
        "address add 203.0.113.1/24 dev br0",
        "address add 2001:db8:a::1/64 dev br0 nodad",
    ] {
        lab.node.ip(line).unwrap();
    }
    Server::udp(&lab.outside, ip(BACKUP[0]), 7000).unwrap();
    Server::tcp(&lab.node, 7001).unwrap();
    // With a declared prefix, sources are checked at the egress hook.
    let declared = "[inventory]\nisolated = [\"10.42.0.0/16\"]";
    let _daemon = start_on(&lab, &["nic0"], declared);
    lab.wait_for_carrier();
    let own = || traffic::udp(&lab.node, ip("203.0.113.1"), at(BACKUP[0], 7000));
    wait_until("the machine's datagrams leave", || {
        own() == Observed::Allowed
    });
    // Also with link-local addresses: these are the machine's, even while endpoints are isolated.
    let index = lab.outside.run(|| netlink::interface_by_name("eth0"));
    let index = index.unwrap().unwrap().index;
    let [a, b, c, d, e, f] = [2_u8, 0, 0, 0, 0, 0x77];
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let words = [pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
    let local = Ipv6Addr::new(0xfe80, 0, 0, 0, words[0], words[1], words[2], words[3]);
    let to = SocketAddrV6::new(local, 7001, 0, index).into();
    wait_until("the machine answers at its link-local address", || {
        traffic::tcp(&lab.outside, ip("::"), to) == Observed::Allowed
    });
    assert_eq!(counted(&lab, "nic0", "tc", "spoofed"), 0);
}

/// Packets that a macvlan endpoint forwards are not the machine's, even if their ingress interface
/// in the endpoint's namespace has the ifindex of the NIC.
#[test]
#[ignore = "needs root and BPF"]
fn spoofed_source_cannot_hide_behind_ifindex_collision() {
    let lab = lab();
    let (pod, beyond) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let nic = lab.node.run(|| netlink::interface_by_name("nic0"));
    let nic = nic.unwrap().unwrap().index;
    // Created first, or the macvlan would take that ifindex.
    let pair = format!(
        "link add in index {nic} type veth peer name out netns {}",
        beyond.id()
    );
    pod.ip(&pair).unwrap();
    bailey_lab::add_macvlan(&lab.node, "nic0", &pod, "eth0").unwrap();
    pod.sysctl("net.ipv4.ip_forward", "1").unwrap();
    for (namespace, line) in [
        (&pod, "address add 203.0.113.50/24 dev eth0"),
        (&pod, "link set in up"),
        (&pod, "address add 192.0.2.5/30 dev in"),
        (&beyond, "link set out up"),
        (&beyond, "address add 192.0.2.6/30 dev out"),
        (&beyond, "address add 198.18.0.9/32 dev lo"),
        (&beyond, "route add default via 192.0.2.5"),
    ] {
        namespace.ip(line).unwrap();
    }
    // With a declared prefix, sources are checked at the egress hook.
    let declared = "[inventory]\nisolated = [\"10.42.0.0/16\"]";
    let _daemon = start_on(&lab, &["nic0"], declared);
    lab.wait_for_carrier();
    beyond.run(|| {
        let socket = UdpSocket::bind((ip("198.18.0.9"), 0)).unwrap();
        for _ in 0..5 {
            socket.send_to(b"x", at(BACKUP[0], 9)).unwrap();
        }
    });
    wait_until("spoofed packets are counted", || {
        counted(&lab, "nic0", "tc", "spoofed") >= 4
    });
}

/// Linux accepts an IPv6 packet with one of its own addresses as the source; Bailey drops it.
#[test]
#[ignore = "needs root and BPF"]
fn own_addresses_from_outside_are_spoofed() {
    let lab = lab();
    let _daemon = start(&lab, "");
    let outside = &lab.outside;
    outside
        .ip("addr add 2001:db8:b::1/128 dev eth0 nodad")
        .unwrap();
    outside
        .ip("addr add 2001:db8:c::1/128 dev lo nodad")
        .unwrap();
    let send = |from: &'static str| {
        outside.run(move || {
            let socket = UdpSocket::bind((ip(from), 0)).unwrap();
            for _ in 0..5 {
                socket.send_to(b"x", at(WEB[1], 9)).unwrap();
            }
        });
        sleep(Duration::from_millis(300));
        counted(&lab, "nic0", "xdp", "spoofed")
    };
    // Resolves the neighbour from an address that the node can answer.
    assert_eq!(send(BACKUP[1]), 0);
    assert_eq!(send("2001:db8:c::1"), 0);
    // An address of the node, but not the one that the sender uses as its gateway.
    let spoofed = send("2001:db8:b::1");
    assert!(spoofed > 0, "{}", json(&lab, "counters"));
    // An address that the machine gets later is spoofed from then on.
    let before = counted(&lab, "nic0", "xdp", "spoofed");
    lab.node
        .ip("addr add 2001:db8:c::1/128 dev lo nodad")
        .unwrap();
    sleep(Duration::from_secs(1));
    assert!(send("2001:db8:c::1") > before);
}

/// An unknown address in a declared prefix may be a new pod, or a second address of an existing
/// pod.
#[test]
#[ignore = "needs root and BPF"]
fn unknown_address_in_declared_prefix_is_denied() {
    let lab = lab();
    let web = lab.workload("web");
    web.ip("addr add 10.42.0.77/32 dev eth0").unwrap();
    lab.node.ip("route add 10.42.0.77 dev web").unwrap();
    Server::udp(web, ip("10.42.0.77"), 7777).unwrap();
    let mut daemon = start(&lab, "");
    let reach = || traffic::udp(&lab.outside, ip(STRANGER[0]), at("10.42.0.77", 7777));
    assert_eq!(reach(), Observed::Allowed, "no prefix is declared");
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    daemon::write_config(
        lab.root(),
        "interfaces = [\"nic0\"]\n[inventory]\nisolated = [\"10.42.0.0/16\"]",
    )
    .unwrap();
    let mut daemon = launch(&lab);
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
    assert_eq!(reach(), Observed::Silent);
    let rules = json(&lab, "rules");
    let unknown = |row: &serde_json::Value| {
        row["rule"] == "unknown-address" && row["packets"].as_u64() > Some(0)
    };
    assert!(
        rules["rules"].as_array().unwrap().iter().any(unknown),
        "{rules}"
    );
}
