//! Unusual flows: connections that reuse the key of a closed one, permissions revoked in one
//! direction, second paths of multi-homed SCTP endpoints, and sources at their limit.

mod harness;

use std::sync::Arc;

use bailey_bpf::abi::*;
use bailey_config::{OnPolicyChange, Settings, Topology};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::sctp_chunk;
use bailey_policy::{NetworkPolicy, Protocol, Rule, Snapshot};
use harness::*;

fn settings() -> Settings {
    Settings {
        flows: 1024,
        rules: 256,
        ..without_flood_defence()
    }
}

/// `keep` preserves admitted flows, but a SYN after a close creates a new flow, which is evaluated.
#[test]
#[ignore = "needs root and BPF"]
fn syn_after_close_is_evaluated_despite_keep() {
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

/// With equal ports on both sides, as WireGuard, IKE and BFD use, one flow serves both directions.
/// The pod's permission is revoked; the client's stays.
#[test]
#[ignore = "needs root and BPF"]
fn revoked_direction_leaves_the_allowed_one_open() {
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
fn new_sctp_path_is_evaluated() {
    const HEARTBEAT: u8 = 4;
    const HEARTBEAT_ACK: u8 = 5;
    let h = Harness::pooled();
    let rule = h.rule(1);
    let path = |from: &str, tag| {
        let packet = sctp_chunk(5, 6, tag, HEARTBEAT, 0, 0);
        frame::ip(ip(from), ip(POD[0]), Protocol::SCTP, &packet)
    };
    // Bailey may never have seen the association's first path.
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
    // A packet without a tag belongs to no association.
    h.expect(Hook::Xdp, &path("10.2.0.78", 0), REASON_DROP_L4_HEADER, &[]);
}

/// A pod that connects to an external server is limited as an external client is.
#[test]
#[ignore = "needs root and BPF"]
fn source_limit_applies_to_internal_sources() {
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

/// An internal packet with the far endpoint's address is dropped as `spoofed`. Its ACK number does
/// not move the window, so the near endpoint's reset stays in window.
#[test]
#[ignore = "needs root and BPF"]
fn spoofed_acknowledgement_changes_nothing() {
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

/// Control packets need a valid source too: internal ones come from an internal prefix, an
/// endpoint, a link-local address, or the unspecified address.
#[test]
#[ignore = "needs root and BPF"]
fn internal_control_needs_an_internal_source() {
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

/// A segment with these sequence and ACK numbers.
fn numbered(family: usize, mut frame: Vec<u8>, sequence: u32, ack: u32) -> Vec<u8> {
    let header = 14 + [20, 40][family];
    frame[header + 4..header + 8].copy_from_slice(&sequence.to_be_bytes());
    frame[header + 8..header + 12].copy_from_slice(&ack.to_be_bytes());
    frame
}
