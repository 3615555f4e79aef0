//! Flows whose end, or whose beginning, is not the plain one: connections that begin again where another
//! has ended, permission that goes in one direction and stays in the other, a second path of a
//! multi-homed peer, and sources that have enough.

mod harness;

use std::sync::Arc;

use bailey_bpf::abi::*;
use bailey_config::{OnPolicyChange, Settings, Topology};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::sctp_chunk;
use bailey_datapath::{OnPolicyChange, Settings, Topology};
use bailey_policy::{NetworkPolicy, Protocol, Rule, Snapshot};
use harness::*;

fn settings() -> Settings {
    Settings {
        flows: 1024,
        rules: 256,
        ..without_flood_defence()
    }
}

/// What was admitted is kept, but a SYN asks for a connection of its own, whatever ended the one before.
#[test]
#[ignore = "needs root and BPF"]
fn a_syn_after_an_end_is_judged_also_where_flows_are_kept() {
    for end in [RST, FIN_ACK] {
        for family in [0, 1] {
            let (client, pod) = (CLIENT[family], POD[family]);
            let mut h = Harness::new(Settings {
                on_policy_change: OnPolicyChange::Keep,
                ..settings()
            });
            for port in [40000, 40001] {
                assert!(h.run(Hook::Xdp, &tcp(client, pod, port, 80, SYN)));
                assert!(h.run(Hook::Tc, &tcp(pod, client, 80, port, SYN_ACK)));
                assert!(h.run(Hook::Xdp, &tcp(client, pod, port, 80, ACK)));
            }
            assert!(h.run(Hook::Tc, &tcp(pod, client, 80, 40000, end)));
            h.install(&snapshot(false));
            let again = tcp(client, pod, 40000, 80, SYN);
            h.expect(
                Hook::Xdp,
                &again,
                REASON_DROP_POLICY,
                &[(h.default_deny(), 1)],
            );
            assert!(
                h.run(Hook::Xdp, &tcp(client, pod, 40001, 80, ACK)),
                "what is open is kept"
            );
        }
    }
}

/// Port to port, as WireGuard, IKE and BFD have it: one flow for both directions. The pod's permission to
/// ask is taken away; that of the client stays.
#[test]
#[ignore = "needs root and BPF"]
fn a_revoked_direction_closes_none_that_a_rule_allows() {
    for family in [0, 1] {
        let both = snapshot(true);
        let change = |egress: Vec<Rule>| {
            let policy = NetworkPolicy {
                egress: Some(egress),
                ..NetworkPolicy::clone(&both.policies()[0])
            };
            let pods: Vec<_> = both.endpoints().iter().map(Arc::clone).collect();
            Snapshot::new([], pods, Vec::new(), vec![policy])
        };
        let (client, pod) = (CLIENT[family], POD[family]);
        let mut h = Harness::new(settings());
        h.install(&change(vec![Rule::default()]));
        assert!(h.run(Hook::Tc, &udp(pod, client, 80, 80)));
        h.install(&change(Vec::new()));
        assert!(!h.run(Hook::Tc, &udp(pod, client, 80, 80)), "revoked");
        assert!(!h.run(Hook::Tc, &udp(pod, client, 80, 80)));
        assert!(
            h.run(Hook::Xdp, &udp(client, pod, 80, 80)),
            "a rule allows this direction"
        );
        assert!(
            h.run(Hook::Tc, &udp(pod, client, 80, 80)),
            "and answers to it"
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn another_path_of_a_multi_homed_peer_is_asked_about() {
    const HEARTBEAT: u8 = 4;
    const HEARTBEAT_ACK: u8 = 5;
    let h = Harness::pooled();
    let rule = h.rule(1);
    let path = |from: &str, tag| {
        let packet = sctp_chunk(5, 6, tag, HEARTBEAT, 0, 0);
        frame::ip(ip(from), ip(POD[0]), Protocol::SCTP, &packet)
    };
    // Of an association whose other path Bailey may never have seen.
    h.expect(
        Hook::Xdp,
        &path("10.2.0.77", 7),
        REASON_PASS_NEW,
        &[(RULE_NOT_ISOLATED, 1), (rule, 1)],
    );
    let answer = sctp_chunk(6, 5, 8, HEARTBEAT_ACK, 0, 0);
    let answer = frame::ip(ip(POD[0]), ip("10.2.0.77"), Protocol::SCTP, &answer);
    assert!(h.run(Hook::Tc, &answer));
    let stranger = path("203.0.113.9", 7);
    h.expect(
        Hook::Xdp,
        &stranger,
        REASON_DROP_POLICY,
        &[(h.default_deny(), 1)],
    );
    // Without the tag of an association it is nobody's.
    h.expect(Hook::Xdp, &path("10.2.0.78", 0), REASON_DROP_L4_HEADER, &[]);
}

/// A pod with a willing server outside fills the table no more than a client does.
#[test]
#[ignore = "needs root and BPF"]
fn the_limit_of_a_source_holds_for_the_inside_too() {
    const LIMIT: u32 = 20;
    for family in [0, 1] {
        let h = Harness::new(Settings {
            flows_per_source: LIMIT,
            ..settings()
        });
        let (pod, server) = (POD[family], ["203.0.113.9", "2001:db8:1::9"][family]);
        for port in 0..100 {
            assert!(h.run(Hook::Tc, &tcp(pod, server, 2000 + port, 443, SYN)));
            assert!(h.run(Hook::Xdp, &tcp(server, pod, 443, 2000 + port, SYN_ACK)));
            assert!(h.run(Hook::Tc, &tcp(pod, server, 2000 + port, 443, ACK)));
        }
        let flows = h.flows();
        let established = |flow: &&_| -> bool {
            let flow: &bailey_datapath::flows::table::Flow = flow;
            flow.state == STATE_TCP_ESTABLISHED
        };
        assert_eq!(flows.len(), 100, "all of them work");
        assert_eq!(flows.iter().filter(established).count() as u32, LIMIT);
    }
}

/// Who says from the inside that it is the far end is dropped as `spoofed`. What it acknowledges says nothing
/// of where the near end's next segment begins: its reset is believed as before.
#[test]
#[ignore = "needs root and BPF"]
fn a_forged_acknowledgement_moves_nothing() {
    let h = Harness::new(Settings {
        topology: Topology::Router,
        internal: vec!["172.16.0.0/12".parse().unwrap()],
        ..settings()
    });
    for family in [0, 1] {
        h.forget();
        let (far, pod) = (STRANGER[family], POD[family]);
        let near =
            |flags, sequence, ack| numbered(family, tcp(pod, far, 40000, 80, flags), sequence, ack);
        let answer =
            |flags, sequence, ack| numbered(family, tcp(far, pod, 80, 40000, flags), sequence, ack);
        assert!(h.run(Hook::Xdp, &near(SYN, 1000, 0)));
        assert!(h.run(Hook::Tc, &answer(SYN_ACK, 5000, 1001)));
        assert!(h.run(Hook::Xdp, &near(ACK, 1001, 5001)));
        assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
        for step in 1..20 {
            let forged = answer(ACK, 5001, 1001 + step * (1 << 22));
            h.expect(Hook::Xdp, &forged, REASON_DROP_SPOOFED, &[]);
        }
        assert!(h.run(Hook::Xdp, &near(RST, 1001, 0)));
        assert_eq!(h.flow().state, STATE_TCP_FIN_WAIT, "family {family}");
    }
}

/// What passes without policy has a sender, too: from the inside one of its prefixes, an endpoint, a link-local
/// address, or none yet.
#[test]
#[ignore = "needs root and BPF"]
fn control_from_the_inside_has_a_sender_there() {
    let h = Harness::new(Settings {
        topology: Topology::Router,
        internal: vec!["172.16.0.0/12".parse().unwrap()],
        ..settings()
    });
    let igmp = |from: &str| {
        let report = [0x22, 0, 0, 0, 0, 0, 0, 0];
        let mut frame = frame::ip(ip(from), ip("224.0.0.22"), Protocol(2), &report);
        frame[14 + 8] = 1;
        frame
    };
    let dhcp = |from: &str| udp(from, "255.255.255.255", 68, 67);
    for (frame, reason) in [
        (igmp("172.16.0.9"), REASON_PASS_MULTICAST_CONTROL),
        (igmp(POD[0]), REASON_PASS_MULTICAST_CONTROL),
        (igmp("169.254.0.9"), REASON_PASS_MULTICAST_CONTROL),
        (igmp("0.0.0.0"), REASON_PASS_MULTICAST_CONTROL),
        (igmp(STRANGER[0]), REASON_DROP_SPOOFED),
        (dhcp("0.0.0.0"), REASON_PASS_DHCP),
        (dhcp("172.16.0.9"), REASON_PASS_DHCP),
        (dhcp(STRANGER[0]), REASON_DROP_SPOOFED),
    ] {
        h.expect(Hook::Xdp, &frame, reason, &[]);
    }
}

/// A segment with its numbers.
fn numbered(family: usize, mut frame: Vec<u8>, sequence: u32, ack: u32) -> Vec<u8> {
    let header = 14 + [20, 40][family];
    frame[header + 4..header + 8].copy_from_slice(&sequence.to_be_bytes());
    frame[header + 8..header + 12].copy_from_slice(&ack.to_be_bytes());
    frame
}
