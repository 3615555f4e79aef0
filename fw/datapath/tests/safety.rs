//! Emergency blocks, ingress source filtering and the warm-up, through the loaded programs, with
//! every counter.

mod harness;

use bailey_bpf::abi::*;
use bailey_compile::RuleIds;
use bailey_config::{Failsafe, Frames, Settings, Tunnel, TunnelKind};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::{Datapath, PinDir};
use bailey_policy::Protocol;
use harness::*;
use ipnet::IpNet;

fn small() -> Settings {
    Settings {
        flows: 1024,
        rules: 256,
        ..without_flood_defence()
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// An address as a prefix.
fn host(address: &str) -> IpNet {
    IpNet::from(ip(address))
}

fn open(h: &Harness, family: usize) {
    h.handshake(CLIENT[family], POD[family], 40000);
}

#[test]
#[ignore = "needs root and BPF"]
fn block_applies_to_established_flows_at_once() {
    for family in [0, 1] {
        let wide = ["10.1.0.0/16", "fd01::/64"][family];
        for blocked in [host(CLIENT[family]), host(POD[family]), net(wide)] {
            let h = Harness::pooled();
            open(&h, family);
            let (client, pod) = (CLIENT[family], POD[family]);
            let (to, back) = (
                tcp(client, pod, 40000, 80, ACK),
                tcp(pod, client, 80, 40000, ACK),
            );
            let flow = [NOT_ISOLATED, (h.rule(0), 0)];
            h.expect(Hook::Xdp, &to, REASON_PASS_FLOW, &flow);
            let mut blocks = h.datapath.blocks().unwrap();
            blocks.add(&[blocked], 3600, "scan", 7).unwrap();
            let before = h.flow();
            h.expect(Hook::Xdp, &to, REASON_DROP_BLOCKED, &[]);
            h.expect(Hook::Tc, &back, REASON_DROP_BLOCKED, &[]);
            let syn = tcp(client, pod, 40001, 80, SYN);
            h.expect(Hook::Xdp, &syn, REASON_DROP_BLOCKED, &[]);
            let answer = h.datapath.probe_frame(&syn).unwrap();
            assert_eq!(answer.reason, REASON_DROP_BLOCKED);
            assert_eq!(h.flow(), before, "a block changes no flow");
            // Other clients are not affected.
            let rules = [NOT_ISOLATED_NEW, (h.rule(1), 1)];
            if blocked != host(pod) {
                let other = tcp(FRIEND[family], pod, 1, 80, SYN);
                h.expect(Hook::Xdp, &other, REASON_PASS_NEW, &rules);
            }
            let listed = blocks.list().unwrap();
            assert_eq!((listed[0].prefix, listed[0].added), (blocked, 7));
            assert_eq!(listed[0].note, "scan");
            assert!((3599..=3600).contains(&listed[0].remaining_seconds));
            // After the block is removed, the connection continues.
            assert_eq!(blocks.remove(&[blocked]).unwrap(), [blocked]);
            assert!(blocks.remove(&[blocked]).unwrap().is_empty());
            h.expect(Hook::Xdp, &to, REASON_PASS_FLOW, &flow);
            assert!(blocks.list().unwrap().is_empty());
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn blocks_expire_and_longer_prefixes_hide_none() {
    use std::thread::sleep;
    use std::time::Duration;
    for family in [0, 1] {
        let h = Harness::small();
        let syn = |port| tcp(CLIENT[family], POD[family], port, 80, SYN);
        let opened = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
        let mut blocks = h.datapath.blocks().unwrap();
        let wide = net(["10.0.0.0/8", "fd00::/8"][family]);
        let narrow = net(["10.1.0.0/16", "fd01::/64"][family]);
        blocks.add(&[wide], 4, "", 0).unwrap();
        blocks
            .add(&[narrow, host(CLIENT[family])], 1, "", 0)
            .unwrap();
        h.expect(Hook::Xdp, &syn(1), REASON_DROP_BLOCKED, &[]);
        sleep(Duration::from_millis(1300));
        // The narrow blocks have expired; the wide one applies.
        assert_eq!(blocks.list().unwrap().len(), 1);
        h.expect(Hook::Xdp, &syn(2), REASON_DROP_BLOCKED, &[]);
        sleep(Duration::from_secs(3));
        h.expect(Hook::Xdp, &syn(3), REASON_PASS_NEW, &opened);
        // A block of all addresses of one family does not affect the other.
        let other_family = net(["::/0", "0.0.0.0/0"][family]);
        blocks.add(&[other_family], 60, "", 0).unwrap();
        h.expect(Hook::Xdp, &syn(5), REASON_PASS_NEW, &opened);
        blocks.remove(&[other_family]).unwrap();
        // An expired wide block does not hide a narrow one.
        blocks.add(&[narrow], 60, "", 0).unwrap();
        h.expect(Hook::Xdp, &syn(4), REASON_DROP_BLOCKED, &[]);
        let other = udp(FRIEND[family], POD[family], 1, 53);
        let rules = [NOT_ISOLATED_NEW, (h.rule(1), 1)];
        h.expect(Hook::Xdp, &other, REASON_PASS_NEW, &rules);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn hundred_thousand_blocks_fit_and_apply() {
    let h = Harness::small();
    let address = |n: u32| {
        let [_, b, c, d] = n.to_be_bytes();
        format!("10.{}.{c}.{d}", 128 + b)
    };
    let all: Vec<IpNet> = (0..100_000).map(|n| host(&address(n))).collect();
    let mut blocks = h.datapath.blocks().unwrap();
    blocks.add(&all, 600, "list", 0).unwrap();
    assert_eq!(blocks.list().unwrap().len(), all.len());
    for n in (0..100_000).step_by(997) {
        let syn = tcp(&address(n), FRIEND[0], 1, 80, SYN);
        h.expect(Hook::Xdp, &syn, REASON_DROP_BLOCKED, &[]);
    }
    let free = tcp("10.200.0.1", FRIEND[0], 1, 80, SYN);
    h.expect(Hook::Xdp, &free, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
    // One block more than fits: an error, and nothing changes.
    let more: Vec<IpNet> = (0..40_000)
        .map(|n: u32| net(&format!("11.0.{}.{}/32", n / 256, n % 256)))
        .collect();
    // One of them was blocked before, and stays blocked.
    let more: Vec<IpNet> = all[..1].iter().copied().chain(more).collect();
    let error = blocks.add(&more, 600, "", 0).unwrap_err().to_string();
    assert!(error.contains("131072 addresses"), "{error}");
    assert_eq!(blocks.list().unwrap().len(), all.len());
    let prefixes: Vec<IpNet> = (0..5000)
        .map(|n: u32| net(&format!("12.{}.{}.0/24", n / 256, n % 256)))
        .collect();
    assert!(blocks.add(&prefixes, 600, "", 0).is_err());
    assert_eq!(blocks.list().unwrap().len(), all.len());
    blocks.add(&prefixes[..4096], 600, "", 0).unwrap();
    let syn = tcp("12.15.255.9", FRIEND[0], 1, 80, SYN);
    h.expect(Hook::Xdp, &syn, REASON_DROP_BLOCKED, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn failsafe_overrides_blocks_icmp_errors_do_not() {
    let failsafe = vec![Failsafe {
        cidr: net("10.1.0.0/16"),
        protocol: Protocol::TCP,
        port: 22,
    }];
    let h = Harness::new(Settings {
        failsafe,
        ..small()
    });
    open(&h, 0);
    let router = "192.0.2.1";
    let mut message = vec![3, 4, 0, 0, 0, 0, 5, 0];
    message.extend(&tcp(POD[0], CLIENT[0], 80, 40000, ACK)[14..]);
    let error = frame::ip(ip(router), ip(POD[0]), Protocol::ICMP, &message);
    assert!(h.run(Hook::Xdp, &error));
    let mut blocks = h.datapath.blocks().unwrap();
    blocks.add(&[host(router)], 600, "", 0).unwrap();
    // Also after the quoted flow has been revalidated.
    let segment = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
    let flow = [NOT_ISOLATED, (h.rule(0), 0)];
    h.expect(Hook::Xdp, &segment, REASON_PASS_FLOW, &flow);
    h.expect(Hook::Xdp, &error, REASON_DROP_BLOCKED, &[]);
    blocks
        .add(&[net("0.0.0.0/0"), net("::/0")], 600, "", 0)
        .unwrap();
    let ssh = tcp(CLIENT[0], POD[0], 40000, 22, SYN);
    h.expect(Hook::Xdp, &ssh, REASON_PASS_FAILSAFE, &[]);
    for family in [0, 1] {
        let syn = tcp(FRIEND[family], POD[family], 1, 80, SYN);
        h.expect(Hook::Xdp, &syn, REASON_DROP_BLOCKED, &[]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn tunnel_endpoints_can_be_blocked() {
    const OUTER: [&str; 2] = ["10.3.0.9", "10.3.0.2"];
    let h = Harness::new(Settings {
        frames: Frames {
            tunnels: vec![Tunnel {
                kind: TunnelKind::Vxlan,
                port: 4789,
                peers: vec![net("10.3.0.0/16")],
            }],
            ..Frames::default()
        },
        ..small()
    });
    let wrap = |inner: &[u8], from: &str, to: &str| {
        let mut datagram = frame::udp(55555, 4789);
        datagram.extend([8, 0, 0, 0, 0, 0, 42, 0]);
        datagram.extend(inner);
        let length = (datagram.len() as u16).to_be_bytes();
        datagram[4..6].copy_from_slice(&length);
        frame::ip(ip(from), ip(to), Protocol::UDP, &datagram)
    };
    let to = |flags| {
        let inner = tcp(CLIENT[0], POD[0], 40000, 80, flags);
        wrap(&inner, OUTER[0], OUTER[1])
    };
    let back = |flags| {
        let inner = tcp(POD[0], CLIENT[0], 80, 40000, flags);
        wrap(&inner, OUTER[1], OUTER[0])
    };
    assert!(h.run(Hook::Xdp, &to(SYN)) && h.run(Hook::Tc, &back(SYN_ACK)));
    h.datapath
        .blocks()
        .unwrap()
        .add(&[host(OUTER[0])], 600, "", 0)
        .unwrap();
    for _ in 0..2 {
        h.expect(Hook::Tc, &back(ACK), REASON_DROP_BLOCKED, &[]);
        h.expect(Hook::Xdp, &to(ACK), REASON_DROP_BLOCKED, &[]);
    }
}

/// The client sends frames with the pod's address, on an ifindex that test runs can have.
#[test]
#[ignore = "needs root and BPF"]
fn internal_sources_on_external_interfaces_are_dropped() {
    let inside = ["10.0.0.0/24", "fd00::/64"].map(net).to_vec();
    let h = Harness::new(Settings {
        internal: inside,
        ..small()
    });
    for family in [0, 1] {
        let (pod, stranger) = (POD[family], STRANGER[family]);
        let forged = udp(pod, stranger, 1, 53);
        // On an internal interface the pod may send, and creates a flow.
        h.expect(Hook::Xdp, &forged, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
        h.datapath.set_test_interface_external(true);
        // Also if the packet matches that flow.
        h.expect(Hook::Xdp, &forged, REASON_DROP_SPOOFED, &[]);
        h.expect(
            Hook::Xdp,
            &tcp(pod, stranger, 1, 80, ACK),
            REASON_DROP_SPOOFED,
            &[],
        );
        let (protocol, kind) = [(Protocol::ICMP, 3), (Protocol::ICMPV6, 1)][family];
        let mut message = vec![kind, 1, 0, 0, 0, 0, 0, 0];
        message.extend(&udp(stranger, FRIEND[family], 53, 1)[14..]);
        let error = frame::ip(ip(pod), ip(stranger), protocol, &message);
        h.expect(Hook::Xdp, &error, REASON_DROP_SPOOFED, &[]);
        let dhcp = [udp(pod, stranger, 68, 67), udp(pod, stranger, 546, 547)];
        h.expect(Hook::Xdp, &dhcp[family], REASON_DROP_SPOOFED, &[]);
        // Real replies pass, and egress packets are not checked.
        let answer = udp(stranger, pod, 53, 1);
        h.expect(Hook::Xdp, &answer, REASON_PASS_FLOW, &[NOT_ISOLATED]);
        h.expect(Hook::Tc, &forged, REASON_PASS_FLOW, &[NOT_ISOLATED]);
        h.datapath.set_test_interface_external(false);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn warm_up_drops_nothing_and_picks_up_midstream() {
    let pins = private();
    let at = |clock_offset| Settings {
        clock_offset,
        ..small()
    };
    let h = on(&pins, at(0));
    h.datapath.start_warm_up(60);
    let rule = h.rule(0);
    let opened = [NOT_ISOLATED_NEW, (rule, 1)];
    let known = [NOT_ISOLATED, (rule, 0)];
    let back = [0, 1].map(|family| tcp(POD[family], CLIENT[family], 80, 40000, ACK));
    let to = [0, 1].map(|family| tcp(CLIENT[family], POD[family], 40000, 80, ACK));
    let late = [0, 1].map(|family| tcp(STRANGER[family], POD[family], 40000, 80, ACK));
    for family in [0, 1] {
        let (client, pod, stranger) = (CLIENT[family], POD[family], STRANGER[family]);
        // The server's segment comes first; the ports tell which endpoint opened the connection.
        h.expect(Hook::Tc, &back[family], REASON_PASS_NEW, &opened);
        let flows = h.flows();
        let flow = flows.iter().find(|flow| flow.source == ip(client)).unwrap();
        assert_eq!(flow.destination_port, 80);
        assert_eq!(flow.flags & FLOW_MIDSTREAM, 0);
        h.expect(Hook::Xdp, &to[family], REASON_PASS_FLOW, &known);
        // Denied packets pass, and create no flow.
        for frame in [
            late[family].clone(),
            tcp(stranger, pod, 40000, 80, SYN),
            udp(stranger, pod, 40000, 80),
            echo(client, pod, false),
        ] {
            h.expect(Hook::Xdp, &frame, REASON_PASS_WARM_UP, &[]);
        }
        // Neither does a packet in an allowed direction that did not open the connection.
        let reverse = tcp(pod, stranger, 80, 40000, ACK);
        h.expect(Hook::Tc, &reverse, REASON_PASS_WARM_UP, &[]);
        // Malformed packets are still dropped.
        h.expect(
            Hook::Xdp,
            &tcp(stranger, pod, 1, 1, 0),
            REASON_DROP_TCP_FLAGS,
            &[],
        );
        assert_eq!(h.flows().len(), family + 1);
    }
    // The warm-up ends by itself; picked-up connections continue, also under the next policy.
    let h = after(h, &pins, at(70));
    for family in [0, 1] {
        h.expect(Hook::Xdp, &to[family], REASON_PASS_FLOW, &known);
        h.expect(Hook::Tc, &back[family], REASON_PASS_FLOW, &known);
        h.expect(Hook::Xdp, &late[family], REASON_DROP_TCP_NO_FLOW, &[]);
    }
    // The tick of the warm-up wraps around after 208 days, unless the sweeper clears it.
    h.datapath.sweeper().unwrap().clear_ended_warm_up();
    let h = after(h, &pins, at(TICK_MASK + 1));
    for late in &late {
        h.expect(Hook::Xdp, late, REASON_DROP_TCP_NO_FLOW, &[]);
    }
}

/// Blocks need pinned tables, and new tables have none.
#[test]
#[ignore = "needs root and BPF"]
fn blocks_need_pinned_tables() {
    let path = std::env::temp_dir().join("bailey-no-such-pins");
    let error = bailey_datapath::blocks::Blocks::open(&PinDir::Path(path)).unwrap_err();
    assert!(
        matches!(error, bailey_datapath::DatapathError::NotLoaded(_)),
        "{error}"
    );
    let fresh = Datapath::open(PinDir::private().unwrap(), small(), RuleIds::default()).unwrap();
    assert!(fresh.blocks().unwrap().list().unwrap().is_empty());
}
