//! Fragments.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn later_fragments_follow_their_first() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let (client, pod) = (CLIENT[family], POD[family]);
        let rule = h.rule(0);
        let parts = fragments(client, pod, 80, 1, 3000, &[0, 1400, 2800]);
        // A fragment before the first matches no record.
        h.expect(Hook::Xdp, &parts[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        h.expect(
            Hook::Xdp,
            &parts[0],
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        for part in [&parts[1], &parts[2], &parts[1]] {
            h.expect(
                Hook::Xdp,
                part,
                REASON_PASS_FLOW,
                &[NOT_ISOLATED, (rule, 0)],
            );
        }
        let flow = h.flow();
        assert_eq!((flow.original.packets, flow.destination_port), (4, 80));
        // Fragments of another packet, and of another sender.
        let other = fragments(client, pod, 80, 2, 3000, &[0, 1400]);
        h.expect(Hook::Xdp, &other[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        let friend = fragments(FRIEND[family], pod, 80, 1, 3000, &[0, 1400]);
        h.expect(Hook::Xdp, &friend[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        // A denied first fragment leaves no record.
        let denied = fragments(client, pod, 81, 3, 3000, &[0, 1400]);
        h.expect(
            Hook::Xdp,
            &denied[0],
            REASON_DROP_POLICY,
            &[(h.default_deny(), 1)],
        );
        h.expect(Hook::Xdp, &denied[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        // Fragments that the pod sends.
        let back = fragments(pod, client, 9999, 4, 3000, &[0, 1400]);
        h.expect(Hook::Tc, &back[0], REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
        h.expect(Hook::Tc, &back[1], REASON_PASS_FLOW, &[NOT_ISOLATED]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn overlapping_and_impossible_fragments_are_dropped() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let (client, pod) = (CLIENT[family], POD[family]);
        let rule = h.rule(0);
        let first = &fragments(client, pod, 80, 1, 3000, &[0, 1400])[0];
        h.expect(
            Hook::Xdp,
            first,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        let piece = |offset, more, bytes: usize| {
            let part = Fragment {
                id: 1,
                offset,
                more,
            };
            fragment(ip(client), ip(pod), Protocol::UDP, part, &vec![0; bytes])
        };
        for (piece, reason) in [
            (piece(8, true, 16), REASON_DROP_FRAGMENT_OVERLAP), // over the ports' neighbours
            (piece(1392, false, 64), REASON_DROP_FRAGMENT_OVERLAP),
            (piece(1400, true, 0), REASON_DROP_FRAGMENT),
            (piece(1400, true, 12), REASON_DROP_FRAGMENT),
            (piece(65528, false, 100), REASON_DROP_FRAGMENT),
        ] {
            h.expect(Hook::Xdp, &piece, reason, &[]);
        }
        let last = piece(1400, false, 12);
        h.expect(
            Hook::Xdp,
            &last,
            REASON_PASS_FLOW,
            &[NOT_ISOLATED, (rule, 0)],
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn first_fragment_without_all_headers_is_dropped() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let (client, pod) = (ip(CLIENT[family]), ip(POD[family]));
        let head = Fragment {
            id: 1,
            offset: 0,
            more: true,
        };
        let mut segment = frame::tcp(40000, 80, SYN);
        segment.resize(64, 0);
        let mut options = segment.clone();
        options[12] = 15 << 4;
        let rule = h.rule(0);
        for (protocol, bytes, reason) in [
            (Protocol::TCP, &segment[..8], REASON_DROP_FRAGMENT_TINY),
            (Protocol::TCP, &segment[..16], REASON_DROP_FRAGMENT_TINY), // RFC 1858
            (Protocol::TCP, &options[..32], REASON_DROP_FRAGMENT_TINY),
            (
                Protocol::SCTP,
                &frame::sctp(1, 80)[..8],
                REASON_DROP_FRAGMENT_TINY,
            ),
        ] {
            let frame = fragment(client, pod, protocol, head, bytes);
            h.expect(Hook::Xdp, &frame, reason, &[]);
        }
        let whole = fragment(client, pod, Protocol::TCP, head, &segment[..24]);
        h.expect(
            Hook::Xdp,
            &whole,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        // RFC 3128: the second fragment would overwrite the flags.
        let second = Fragment {
            id: 1,
            offset: 8,
            more: false,
        };
        let second = fragment(client, pod, Protocol::TCP, second, &segment[8..32]);
        h.expect(Hook::Xdp, &second, REASON_DROP_FRAGMENT_OVERLAP, &[]);
    }
    // RFC 7112: headers that continue in the next fragment.
    let h = Harness::pooled();
    let mut chain = vec![60, 0, 0, 1, 0, 0, 0, 1]; // fragment header: destination options follow
    chain.extend([6, 3, 0, 0, 0, 0, 0, 0]); // which say that they have 32 bytes
    let frame = frame::ip(ip(CLIENT[1]), ip(POD[1]), Protocol(44), &chain);
    h.expect(Hook::Xdp, &frame, REASON_DROP_FRAGMENT_TINY, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn fragment_records_are_bounded_and_expire() {
    let settings = |clock_offset| Settings {
        flows: 65536,
        rules: 256,
        clock_offset,
        ..without_flood_defence()
    };
    let pins = private();
    let h = on(&pins, settings(0));
    let rule = h.rule(0);
    let mine = fragments(CLIENT[0], POD[0], 80, 0xffff, 3000, &[0, 1400]);
    // A flood of denied first fragments takes no records.
    assert!(h.run(Hook::Xdp, &mine[0]));
    for id in 0..17_000_u32 {
        h.run(
            Hook::Xdp,
            &fragments(STRANGER[0], POD[0], 80, id, 3000, &[0, 1400])[0],
        );
    }
    h.expect(
        Hook::Xdp,
        &mine[1],
        REASON_PASS_FLOW,
        &[NOT_ISOLATED, (rule, 0)],
    );
    // In a flood of admitted first fragments, the newest records stay and the table stays bounded.
    for id in 0..17_000_u32 {
        let flood = fragments(CLIENT[0], POD[0], 80, id, 3000, &[0, 1400]);
        assert!(h.run(Hook::Xdp, &flood[0]));
        assert!(
            h.run(Hook::Xdp, &flood[1]),
            "its own first came just before"
        );
    }
    // A first fragment is forgotten after half a minute.
    let h = after(h, &pins, settings(29));
    h.expect(
        Hook::Xdp,
        &fragments(CLIENT[0], POD[0], 80, 16_999, 3000, &[0, 1400])[1],
        REASON_DROP_FRAGMENT_NO_FIRST,
        &[],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn fragmented_icmp_echo_matches_its_flow() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let (friend, pod) = (FRIEND[family], POD[family]);
        let (protocol, kind) = if family == 0 {
            (Protocol::ICMP, 8)
        } else {
            (Protocol::ICMPV6, 128)
        };
        let mut message = frame::echo(kind);
        message.resize(2000, 0);
        let head = Fragment {
            id: 9,
            offset: 0,
            more: true,
        };
        let tail = Fragment {
            id: 9,
            offset: 1400,
            more: false,
        };
        let rule = h.rule(1);
        let first = fragment(ip(friend), ip(pod), protocol, head, &message[..1400]);
        let last = fragment(ip(friend), ip(pod), protocol, tail, &message[1400..]);
        h.expect(
            Hook::Xdp,
            &first,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        h.expect(
            Hook::Xdp,
            &last,
            REASON_PASS_FLOW,
            &[NOT_ISOLATED, (rule, 0)],
        );
    }
    // Neighbour discovery messages and errors are never fragmented (RFC 6980).
    let h = Harness::pooled();
    let head = Fragment {
        id: 9,
        offset: 0,
        more: true,
    };
    for kind in [1, 2, 135] {
        let mut message = vec![0; 64];
        message[0] = kind;
        let mut frame = fragment(ip(CLIENT[1]), ip(POD[1]), Protocol::ICMPV6, head, &message);
        frame[21] = 255;
        h.expect(Hook::Xdp, &frame, REASON_DROP_FRAGMENT, &[]);
    }
}
