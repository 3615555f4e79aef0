//! Frames through the loaded programs: verdict, reason, every counter, and that nothing else
//! moved.

mod harness;

use std::thread::sleep;
use std::time::Duration;

use bailey_bpf::abi::*;
use bailey_compile::RuleIds;
use bailey_datapath::kernel::clock::Ticks;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_policy::Protocol;
use harness::*;

#[test]
#[ignore = "needs root and BPF"]
fn tcp_from_handshake_to_teardown() {
    for family in [0, 1] {
        let h = Harness::pooled();
        let rule = h.rule(0);
        let (client, pod) = (CLIENT[family], POD[family]);
        let to = |flags| tcp(client, pod, 40000, 80, flags);
        let back = |flags| tcp(pod, client, 80, 40000, flags);
        let flow = [NOT_ISOLATED, (rule, 0)];
        h.expect(
            Hook::Xdp,
            &to(SYN),
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        assert_eq!(h.flow().state, STATE_TCP_SYN_SENT);
        h.expect(Hook::Tc, &back(SYN_ACK), REASON_PASS_FLOW, &flow);
        assert_eq!(h.flow().state, STATE_TCP_SYN_RECV);
        h.expect(Hook::Xdp, &to(ACK), REASON_PASS_FLOW, &flow);
        assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
        // A SYN the other way round is nobody's reply.
        h.expect(Hook::Tc, &back(SYN), REASON_DROP_TCP_STATE, &[]);
        h.expect(Hook::Tc, &back(FIN_ACK), REASON_PASS_FLOW, &flow);
        assert_eq!(h.flow().state, STATE_TCP_FIN_WAIT);
        h.expect(Hook::Xdp, &to(FIN_ACK), REASON_PASS_FLOW, &flow);
        assert_eq!(h.flow().state, STATE_TCP_TIME_WAIT);
        h.expect(Hook::Tc, &back(ACK), REASON_PASS_FLOW, &flow);
        let flow = h.flow();
        assert_eq!((flow.source, flow.destination), (ip(client), ip(pod)));
        assert_eq!((flow.source_port, flow.destination_port), (40000, 80));
        assert_eq!((flow.original.packets, flow.reply.packets), (3, 3));
        assert_eq!(
            (flow.egress_rule, flow.ingress_rule),
            (RULE_NOT_ISOLATED, rule)
        );
        // The same ports again: the old flow is over, this is a new one.
        let reopened = [NOT_ISOLATED_NEW, (rule, 1)];
        h.expect(Hook::Xdp, &to(SYN), REASON_PASS_NEW, &reopened);
        assert_eq!(h.flow().state, STATE_TCP_SYN_SENT);
        assert_eq!(h.flow().original.packets, 1);
        h.expect(
            Hook::Xdp,
            &to(RST),
            REASON_PASS_FLOW,
            &[NOT_ISOLATED, (rule, 0)],
        );
        assert_eq!(h.flow().state, STATE_CLOSED);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_denied_packet_counts_under_the_side_that_denies_and_leaves_no_flow() {
    for family in [0, 1] {
        let h = Harness::pooled();
        let deny = h.default_deny();
        let pod = POD[family];
        let packets = [
            tcp(STRANGER[family], pod, 1, 80, SYN),
            tcp(CLIENT[family], pod, 1, 81, SYN),
            udp(STRANGER[family], pod, 1, 80),
            echo(CLIENT[family], pod, true),
            frame::ip(
                ip(CLIENT[family]),
                ip(pod),
                Protocol::SCTP,
                &frame::sctp(1, 80),
            ),
            frame::ip(ip(CLIENT[family]), ip(pod), Protocol(47), &[0; 8]),
        ];
        for packet in packets {
            h.expect(Hook::Xdp, &packet, REASON_DROP_POLICY, &[(deny, 1)]);
        }
        assert!(h.flows().is_empty());
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn udp_icmp_sctp_and_others_admit_their_replies() {
    for family in [0, 1] {
        let (friend, pod) = (FRIEND[family], POD[family]);
        let sctp = |a: &str, b: &str, sport, dport| {
            frame::ip(ip(a), ip(b), Protocol::SCTP, &frame::sctp(sport, dport))
        };
        let gre = |a: &str, b: &str| frame::ip(ip(a), ip(b), Protocol(47), &[0; 8]);
        let pairs = [
            (
                udp(friend, pod, 5, 53),
                udp(pod, friend, 53, 5),
                STATE_UDP_NEW,
            ),
            (
                echo(friend, pod, true),
                echo(pod, friend, false),
                STATE_ICMP_NEW,
            ),
            (
                sctp(friend, pod, 5, 6),
                sctp(pod, friend, 6, 5),
                STATE_SCTP_NEW,
            ),
            (gre(friend, pod), gre(pod, friend), STATE_OTHER_NEW),
        ];
        for (there, back, state) in pairs {
            let h = Harness::pooled();
            let rule = h.rule(1);
            h.expect(
                Hook::Xdp,
                &there,
                REASON_PASS_NEW,
                &[NOT_ISOLATED_NEW, (rule, 1)],
            );
            assert_eq!(h.flow().state, state);
            h.expect(
                Hook::Tc,
                &back,
                REASON_PASS_FLOW,
                &[NOT_ISOLATED, (rule, 0)],
            );
            assert_eq!(h.flow().state, state + 1);
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn what_the_pod_opens_admits_its_reply() {
    for family in [0, 1] {
        let h = Harness::pooled();
        let (pod, stranger) = (POD[family], STRANGER[family]);
        let before = h
            .datapath
            .counters()
            .unwrap()
            .rule(RULE_NOT_ISOLATED)
            .packets;
        assert!(h.run(Hook::Tc, &udp(pod, stranger, 4000, 53)));
        assert!(h.run(Hook::Xdp, &udp(stranger, pod, 53, 4000)));
        assert!(!h.run(Hook::Xdp, &udp(stranger, pod, 53, 4001)));
        let after = h
            .datapath
            .counters()
            .unwrap()
            .rule(RULE_NOT_ISOLATED)
            .packets;
        assert_eq!(
            after - before,
            2,
            "once per packet, though it decides both sides"
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn two_hosts_that_ping_each_other_with_one_identifier_are_two_flows() {
    for family in [0, 1] {
        let h = Harness::pooled();
        let (friend, pod) = (FRIEND[family], POD[family]);
        assert!(h.run(Hook::Xdp, &echo(friend, pod, true)));
        assert!(h.run(Hook::Tc, &echo(pod, friend, true)));
        assert_eq!(h.flows().len(), 2);
        assert!(h.run(Hook::Tc, &echo(pod, friend, false)));
        assert!(h.run(Hook::Xdp, &echo(friend, pod, false)));
        assert_eq!(h.flows().len(), 2);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn packets_that_open_nothing_need_a_flow() {
    for family in [0, 1] {
        let h = Harness::pooled();
        let (client, pod) = (CLIENT[family], POD[family]);
        for flags in [ACK, SYN_ACK, RST, FIN_ACK] {
            let segment = tcp(client, pod, 40000, 80, flags);
            h.expect(Hook::Xdp, &segment, REASON_DROP_TCP_NO_FLOW, &[]);
            let answer = tcp(pod, client, 80, 40000, flags);
            h.expect(Hook::Tc, &answer, REASON_DROP_TCP_NO_FLOW, &[]);
        }
        h.expect(
            Hook::Xdp,
            &echo(client, pod, false),
            REASON_DROP_ICMP_NO_FLOW,
            &[],
        );
        assert!(h.flows().is_empty());
        // Between two that no policy isolates a connection is taken up where it is.
        let (a, b) = (STRANGER[family], FRIEND[family]);
        assert!(h.run(Hook::Xdp, &tcp(a, b, 40000, 22, ACK)));
        assert_eq!(h.flow().state, STATE_TCP_SYN_RECV);
        assert!(h.run(Hook::Tc, &tcp(b, a, 22, 40000, ACK)));
        assert!(h.run(Hook::Xdp, &tcp(a, b, 40000, 22, ACK)));
        assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
    }
}

/// An Ethernet frame of a type with a payload of zeros.
fn ethernet(destination: [u8; 6], ethertype: u16, payload: usize) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend([2, 0, 0, 0, 0, 2]);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(vec![0; payload]);
    frame
}

/// A frame with one byte changed.
fn with(frame: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at] = value;
    frame
}

#[test]
#[ignore = "needs root and BPF"]
fn layer_two() {
    let h = Harness::pooled();
    let unicast = [2, 0, 0, 0, 0, 1];
    let control = [0x01, 0x80, 0xc2, 0, 0, 0x0e];
    for (frame, reason) in [
        (ethernet([0xff; 6], 0x0806, 28), REASON_PASS_ARP),
        (
            ethernet(control, 0x88cc, 46),
            REASON_PASS_LINK_LOCAL_CONTROL,
        ),
        (ethernet(control, 38, 46), REASON_PASS_LINK_LOCAL_CONTROL),
        (
            ethernet(with(&control, 5, 0x10).try_into().unwrap(), 0x88cc, 46),
            REASON_DROP_ETHERTYPE,
        ),
        (ethernet(unicast, 0x8847, 46), REASON_DROP_ETHERTYPE),
        (ethernet(unicast, 0x0800, 10), REASON_DROP_IP_TRUNCATED),
        (ethernet(unicast, 0x86dd, 30), REASON_DROP_IP_TRUNCATED),
    ] {
        h.expect(Hook::Xdp, &frame, reason, &[]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn malformed_ipv4() {
    let h = Harness::pooled();
    let (client, pod) = (CLIENT[0], POD[0]);
    let syn = tcp(client, pod, 40000, 80, SYN);
    let datagram = udp(client, pod, 40000, 80);
    let ping = echo(client, pod, true);
    for (frame, reason) in [
        (with(&syn, 14, 0x65), REASON_DROP_IP_HEADER), // version 6
        (with(&syn, 14, 0x44), REASON_DROP_IP_HEADER), // IHL 4
        (with(&syn, 14, 0x40), REASON_DROP_IP_HEADER), // IHL 0
        (with(&syn, 17, 19), REASON_DROP_IP_LENGTH),   // total length < header
        (with(&syn, 17, 200), REASON_DROP_IP_LENGTH),  // total length > frame
        (with(&syn, 14, 0x4f), REASON_DROP_IP_LENGTH), // IHL 60 > total length 40
        (with(&syn, 17, 39), REASON_DROP_L4_TRUNCATED), // 19 bytes of TCP
        (with(&syn, 46, 0x40), REASON_DROP_L4_HEADER), // data offset 4
        (with(&syn, 46, 0x60), REASON_DROP_L4_HEADER), // data offset beyond the packet
        (with(&datagram, 39, 7), REASON_DROP_L4_HEADER), // UDP length < 8
        (with(&datagram, 39, 9), REASON_DROP_L4_HEADER), // UDP length > packet
        (with(&datagram, 17, 27), REASON_DROP_L4_TRUNCATED),
        (with(&ping, 17, 27), REASON_DROP_L4_TRUNCATED),
    ] {
        h.expect(Hook::Xdp, &frame, reason, &[]);
    }
    // Don't-fragment is no fragment; padding after the packet is no payload.
    let rule = h.rule(0);
    let mut padded = with(&syn, 20, 0x40);
    padded.extend([0; 20]);
    h.expect(
        Hook::Xdp,
        &padded,
        REASON_PASS_NEW,
        &[NOT_ISOLATED_NEW, (rule, 1)],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn ipv4_options_are_skipped_and_not_read_as_ports() {
    let h = Harness::pooled();
    let rule = h.rule(0);
    let syn = tcp(CLIENT[0], POD[0], 40000, 80, SYN);
    let mut frame = syn[..34].to_vec();
    frame[14] = 0x46;
    frame[17] = 44;
    frame.extend([0x94, 4, 0, 0]); // router alert
    frame.extend(&syn[34..]);
    h.expect(
        Hook::Xdp,
        &frame,
        REASON_PASS_NEW,
        &[NOT_ISOLATED_NEW, (rule, 1)],
    );
    assert_eq!(h.flow().destination_port, 80);
}

#[test]
#[ignore = "needs root and BPF"]
fn malformed_ipv6_and_neighbour_discovery() {
    let h = Harness::pooled();
    let (client, pod) = (CLIENT[1], POD[1]);
    let syn = tcp(client, pod, 40000, 80, SYN);
    let ping = echo(client, pod, true);
    let nd = |kind, from, to| with(&with(&echo(from, to, true), 54, kind), 21, 255);
    let mut mapped = syn.clone();
    mapped[22..38].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, 9]);
    let mut mapped_destination = syn.clone();
    mapped_destination[38..54]
        .copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
    for (frame, reason) in [
        (with(&syn, 14, 0x40), REASON_DROP_IP_HEADER),
        (with(&syn, 19, 21), REASON_DROP_IP_LENGTH),
        (with(&syn, 19, 19), REASON_DROP_L4_TRUNCATED),
        (mapped, REASON_DROP_MARTIAN),
        (mapped_destination, REASON_DROP_MARTIAN),
        // Neighbour discovery is for the link only.
        (with(&ping, 54, 135), REASON_DROP_ND_HOP_LIMIT),
        (nd(135, "fe80::1", pod), REASON_PASS_ND),
        (nd(133, client, "ff02::2"), REASON_PASS_ND),
        (nd(137, "fe80::1", "fe80::9"), REASON_PASS_ND),
        // A router would take these elsewhere.
        (nd(135, client, pod), REASON_DROP_ND_SCOPE),
        (nd(136, client, pod), REASON_DROP_ND_SCOPE),
        (nd(133, client, pod), REASON_DROP_ND_SCOPE),
        (nd(137, "fe80::1", pod), REASON_DROP_ND_SCOPE),
    ] {
        h.expect(Hook::Xdp, &frame, reason, &[]);
    }
    assert!(h.flows().is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn an_ipv6_packet_never_meets_an_ipv4_flow() {
    let h = Harness::pooled();
    assert!(h.run(Hook::Xdp, &tcp(CLIENT[0], POD[0], 40000, 80, SYN)));
    assert!(h.run(Hook::Xdp, &tcp(CLIENT[1], POD[1], 40000, 80, SYN)));
    let mut flows = h.flows();
    flows.sort_by_key(|flow| flow.source.is_ipv6());
    assert_eq!(flows.len(), 2);
    assert!(flows[0].source.is_ipv4() && flows[1].source.is_ipv6());
}

#[test]
#[ignore = "needs root and BPF"]
fn without_a_policy_everything_that_policy_would_decide_is_dropped() {
    use bailey_config::Settings;
    use bailey_datapath::{Datapath, PinDir};
    let mut h = Harness::small();
    let settings = Settings {
        flows: 1024,
        rules: 256,
        ..without_flood_defence()
    };
    let datapath =
        Datapath::open(PinDir::private().unwrap(), settings, RuleIds::default()).unwrap();
    h = Harness::with(datapath, h.tables);
    let syn = tcp(STRANGER[0], FRIEND[0], 40000, 80, SYN);
    h.expect(Hook::Xdp, &syn, REASON_DROP_NO_POLICY, &[]);
    h.expect(Hook::Tc, &syn, REASON_DROP_NO_POLICY, &[]);
    h.expect(
        Hook::Xdp,
        &ethernet([0xff; 6], 0x0806, 28),
        REASON_PASS_ARP,
        &[],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn the_probe_answers_and_moves_nothing() {
    let h = Harness::pooled();
    let rule = h.rule(0);
    let before = h.datapath.counters().unwrap().reasons();
    for (frame, passes, cells) in [
        (
            tcp(CLIENT[0], POD[0], 1, 80, SYN),
            true,
            Some((RULE_NOT_ISOLATED, rule)),
        ),
        (
            tcp(STRANGER[1], POD[1], 1, 80, SYN),
            false,
            Some((RULE_NOT_ISOLATED, h.default_deny() | CELL_DENY)),
        ),
        (
            with(&tcp(CLIENT[0], POD[0], 1, 80, SYN), 14, 0x44),
            false,
            None,
        ),
    ] {
        let answer = h.datapath.probe_frame(&frame).unwrap();
        assert_eq!((answer.passes, answer.cells), (passes, cells));
    }
    assert_eq!(h.datapath.counters().unwrap().reasons(), before);
    assert!(h.flows().is_empty());
}

#[test]
#[ignore = "needs root and BPF"]
fn the_sum_of_verdicts_is_the_number_of_frames() {
    let h = Harness::small();
    let mut frames = 0;
    for family in [0, 1] {
        for port in 0..200 {
            for source in [CLIENT[family], FRIEND[family], STRANGER[family]] {
                let syn = tcp(source, POD[family], 1000 + port, 80 + port % 2, SYN);
                h.run(Hook::Xdp, &syn);
                h.run(Hook::Xdp, &with(&syn, 14, syn[14] ^ 0x10));
                h.run(
                    Hook::Tc,
                    &tcp(POD[family], source, 80 + port % 2, 1000 + port, SYN_ACK),
                );
                frames += 3;
            }
        }
    }
    let reasons = h.datapath.counters().unwrap().reasons();
    assert_eq!(
        reasons.values().map(|count| count.packets).sum::<u64>(),
        frames
    );
    assert!(
        reasons
            .keys()
            .all(|(_, reason)| bailey_bpf::reason::Reason::of(*reason).is_some())
    );
}

/// The failsafe: both legs, only its peers and ports, never the opening of a connection from its
/// port; and nothing else moves.
#[test]
#[ignore = "needs root and BPF"]
fn the_failsafe_lets_its_peers_through_and_nobody_else() {
    use bailey_config::{Failsafe, Settings};
    let entry = |cidr: &str, protocol, port| Failsafe {
        cidr: cidr.parse().unwrap(),
        protocol,
        port,
    };
    let failsafe = vec![
        entry("10.3.0.0/16", Protocol::TCP, 22),
        entry("fd03::9/128", Protocol::TCP, 22),
        entry("10.3.0.9/32", Protocol::UDP, 161),
        entry("0.0.0.0/0", Protocol::TCP, 2222),
    ];
    let h = Harness::new(Settings {
        flows: 1024,
        rules: 256,
        failsafe,
        ..without_flood_defence()
    });
    for f in [0, 1] {
        let (stranger, pod) = (STRANGER[f], POD[f]);
        for flags in [SYN, ACK, RST, FIN_ACK] {
            let leg = tcp(stranger, pod, 40000, 22, flags);
            h.expect(Hook::Xdp, &leg, REASON_PASS_FAILSAFE, &[]);
        }
        for flags in [SYN_ACK, ACK, RST, FIN_ACK] {
            let leg = tcp(pod, stranger, 22, 40000, flags);
            h.expect(Hook::Tc, &leg, REASON_PASS_FAILSAFE, &[]);
        }
        // What only looks like it: another peer, another port, the other way round.
        let client = CLIENT[f];
        let deny = h.default_deny();
        let denied = [
            tcp(client, pod, 40000, 22, SYN),
            tcp(stranger, pod, 40000, 23, SYN),
            tcp(stranger, pod, 22, 40000, SYN),
            udp(stranger, pod, 40000, 22),
        ];
        for frame in &denied {
            h.expect(Hook::Xdp, frame, REASON_DROP_POLICY, &[(deny, 1)]);
        }
        let answer = tcp(stranger, pod, 22, 40000, ACK);
        h.expect(Hook::Xdp, &answer, REASON_DROP_TCP_NO_FLOW, &[]);
        // The pod's own egress is free, so these are judged as any other packet.
        let opening = tcp(pod, stranger, 22, 40001, SYN);
        h.expect(
            Hook::Tc,
            &opening,
            REASON_PASS_NEW,
            &[(RULE_NOT_ISOLATED, 1)],
        );
    }
    assert_eq!(h.flows().len(), 2, "only what policy let through");
    let snmp = udp(STRANGER[0], POD[0], 40000, 161);
    h.expect(Hook::Xdp, &snmp, REASON_PASS_FAILSAFE, &[]);
    let anybody = tcp(CLIENT[0], POD[0], 40000, 2222, SYN);
    h.expect(Hook::Xdp, &anybody, REASON_PASS_FAILSAFE, &[]);
    let family = tcp(CLIENT[1], POD[1], 40000, 2222, SYN);
    let deny = h.default_deny();
    h.expect(Hook::Xdp, &family, REASON_DROP_POLICY, &[(deny, 1)]);
}

/// With no policy program at all the failsafe holds.
#[test]
#[ignore = "needs root and BPF"]
fn the_failsafe_needs_no_policy() {
    use bailey_config::{Failsafe, Settings};
    use bailey_datapath::{Datapath, PinDir};
    let mut h = Harness::small();
    let settings = Settings {
        flows: 1024,
        rules: 256,
        failsafe: vec![Failsafe {
            cidr: "10.3.0.9/32".parse().unwrap(),
            protocol: Protocol::TCP,
            port: 22,
        }],
        ..without_flood_defence()
    };
    let datapath =
        Datapath::open(PinDir::private().unwrap(), settings, RuleIds::default()).unwrap();
    h = Harness::with(datapath, h.tables);
    let ssh = tcp(STRANGER[0], POD[0], 40000, 22, SYN);
    h.expect(Hook::Xdp, &ssh, REASON_PASS_FAILSAFE, &[]);
    let other = tcp(CLIENT[0], POD[0], 40000, 22, SYN);
    h.expect(Hook::Xdp, &other, REASON_DROP_NO_POLICY, &[]);
}

/// The programs count jiffies, user space reads the coarse clock: the same tick, but at its edge.
#[test]
#[ignore = "needs root and BPF"]
fn a_packet_is_seen_when_user_space_says_it_is() {
    let h = Harness::pooled();
    let (to, back) = (
        |flags| tcp(CLIENT[0], POD[0], 40000, 80, flags),
        |flags| tcp(POD[0], CLIENT[0], 80, 40000, flags),
    );
    assert!(h.run(Hook::Xdp, &to(SYN)) && h.run(Hook::Tc, &back(SYN_ACK)));
    for round in 0..3 {
        sleep(Duration::from_millis(700));
        let before = Ticks::now();
        assert!(h.run(Hook::Xdp, &to(ACK)));
        let seen = h.flow().seen;
        assert!(seen.since(before) <= 1, "{seen:?} after {before:?}");
        assert!(Ticks::now().since(seen) <= 1, "round {round}: {seen:?}");
    }
}
