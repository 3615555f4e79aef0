//! Packets that firewalls get wrong: what docs/packets.md says of each, through the loaded programs,
//! with every counter.

mod harness;

use std::net::IpAddr;

use bailey_bpf::abi::*;
use bailey_config::{Frames, Settings, Timeouts, Topology, Tunnel, TunnelKind};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::{
    Fragment, TcpSegment, ethernet, fragment, ipv6_chain, sctp_chunk, tagged,
};
use bailey_policy::{Protocol, Snapshot};
use harness::*;

const FAMILIES: [usize; 2] = [0, 1];

fn with_frames(frames: Frames) -> Harness {
    Harness::new(Settings {
        flows: 1024,
        rules: 256,
        frames,
        ..without_flood_defence()
    })
}

/// The packet of a frame: what stands behind the Ethernet header.
fn packet(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

/// A frame with bytes changed from an offset on.
fn patched(frame: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

// ---- VLANs

#[test]
#[ignore = "needs root and BPF"]
fn policy_is_about_the_packet_inside_of_up_to_two_tags() {
    for family in FAMILIES {
        let syn = tcp(CLIENT[family], POD[family], 40000, 80, SYN);
        let other = tcp(CLIENT[family], POD[family], 40000, 81, SYN);
        let stacks: [&[(u16, u16)]; 6] = [
            &[(0x8100, 100)],
            &[(0x8100, 0)],
            &[(0x88a8, 200), (0x8100, 100)],
            &[(0x9100, 200), (0x8100, 100)],
            &[(0x8100, 0), (0x8100, 100)],
            &[(0x8100, 0xe000 | 100)],
        ];
        let h = Harness::pooled();
        for tags in stacks {
            h.forget();
            let rule = h.rule(0);
            let opened = [NOT_ISOLATED_NEW, (rule, 1)];
            h.expect(Hook::Xdp, &tagged(&syn, tags), REASON_PASS_NEW, &opened);
            let denied = tagged(&other, tags);
            h.expect(
                Hook::Xdp,
                &denied,
                REASON_DROP_POLICY,
                &[(h.default_deny(), 1)],
            );
            // Without zones the answer may come untagged: a NIC may have put the tag aside.
            let answer = tcp(POD[family], CLIENT[family], 80, 40000, SYN_ACK);
            h.expect(
                Hook::Tc,
                &answer,
                REASON_PASS_FLOW,
                &[NOT_ISOLATED, (rule, 0)],
            );
            assert_eq!(h.flow().zone, 0);
        }
        let three = tagged(&syn, &[(0x88a8, 1), (0x8100, 2), (0x8100, 3)]);
        h.expect(Hook::Xdp, &three, REASON_DROP_VLAN, &[]);
        h.expect(
            Hook::Xdp,
            &tagged(&syn, &[(0x8100, 1)])[..16],
            REASON_DROP_ETH_TRUNCATED,
            &[],
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn arp_and_link_control_pass_under_a_tag_and_unknown_types_do_not() {
    let h = Harness::pooled();
    let arp = ethernet([0xff; 6], 0x0806, &[0; 28]);
    let lldp = ethernet([1, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc, &[0; 46]);
    let mpls = ethernet([2, 0, 0, 0, 0, 1], 0x8847, &[0; 46]);
    for (frame, reason) in [
        (&arp, REASON_PASS_ARP),
        (&lldp, REASON_PASS_LINK_LOCAL_CONTROL),
        (&mpls, REASON_DROP_ETHERTYPE),
    ] {
        h.expect(Hook::Xdp, &tagged(frame, &[(0x8100, 7)]), reason, &[]);
        h.expect(Hook::Tc, &tagged(frame, &[(0x8100, 7)]), reason, &[]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn with_zones_a_vlan_has_flows_of_its_own_and_both_hooks_agree() {
    let zones = Frames {
        vlan_zones: true,
        ..Frames::default()
    };
    for family in FAMILIES {
        let syn = tcp(CLIENT[family], POD[family], 40000, 80, SYN);
        let answer = tcp(POD[family], CLIENT[family], 80, 40000, SYN_ACK);
        let h = with_frames(zones.clone());
        for (tags, zone) in [
            (&[(0x8100, 100)][..], 100),
            (&[(0x8100, 0), (0x8100, 100)], 100),
            (&[(0x8100, 100), (0x8100, 0)], 100),
            (&[(0x88a8, 200), (0x8100, 100)], 200 << 12 | 100),
            (&[(0x88a8, 4095), (0x8100, 4095)], 0xff_ffff),
            (&[(0x8100, 0)], 0),
        ] {
            h.forget();
            let rule = h.rule(0);
            h.expect(
                Hook::Xdp,
                &tagged(&syn, tags),
                REASON_PASS_NEW,
                &[NOT_ISOLATED_NEW, (rule, 1)],
            );
            assert_eq!(h.flow().zone, zone);
            // An answer out of another VLAN is no answer.
            let foreign = tagged(&answer, &[(0x8100, 101)]);
            h.expect(Hook::Tc, &foreign, REASON_DROP_TCP_NO_FLOW, &[]);
            let flow = [NOT_ISOLATED, (rule, 0)];
            h.expect(Hook::Tc, &tagged(&answer, tags), REASON_PASS_FLOW, &flow);
            assert_eq!(h.flow().state, STATE_TCP_SYN_RECV);
        }
    }
}

// ---- IPv4 options, IPv6 extension headers, unknown protocols

#[test]
#[ignore = "needs root and BPF"]
fn ipv4_options_are_walked_and_source_routes_dropped() {
    let h = Harness::pooled();
    let rule = h.rule(0);
    let syn = tcp(CLIENT[0], POD[0], 40000, 80, SYN);
    let opened = [NOT_ISOLATED_NEW, (rule, 1)];
    for (options, reason) in [
        (&[0x94, 4, 0, 0][..], REASON_PASS_NEW), // router alert
        (&[1, 1, 1, 0], REASON_PASS_NEW),        // three NOPs, end
        (&[0, 131, 7, 4], REASON_PASS_NEW),      // nothing counts after the end
        (&[131, 7, 4, 10, 0, 0, 1, 0], REASON_DROP_SOURCE_ROUTE),
        (&[1, 137, 7, 4, 10, 0, 0, 1], REASON_DROP_SOURCE_ROUTE),
        (&[0x94, 4, 0, 0, 131, 3, 4, 0], REASON_DROP_SOURCE_ROUTE),
        (&[0x94, 1, 0, 0], REASON_DROP_IP_HEADER), // a length that would never end
        (&[0x94, 0, 0, 0], REASON_DROP_IP_HEADER),
        (&[0x94, 5, 0, 0], REASON_DROP_IP_HEADER), // beyond the header
        (&[1, 1, 1, 0x94], REASON_DROP_IP_HEADER), // without a length
        (&[7; 40], REASON_PASS_NEW),               // record route of 7, five times, and a bit
    ] {
        let mut frame = syn[..34].to_vec();
        frame[14] = 0x45 + options.len() as u8 / 4;
        frame[17] += options.len() as u8;
        frame.extend(options);
        if options.len() == 40 {
            // 5 * 7 = 35; the last five bytes are an option of 5.
            let last = frame.len() - 5;
            frame[last + 1] = 5;
        }
        frame.extend(&syn[34..]);
        let rules: &[(u32, u64)] = if reason == REASON_PASS_NEW {
            &opened
        } else {
            &[]
        };
        h.forget();
        h.expect(Hook::Xdp, &frame, reason, rules);
        if reason == REASON_PASS_NEW {
            assert_eq!(h.flow().destination_port, 80, "{options:?}");
        }
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn ipv6_extension_headers_are_walked_up_to_eight() {
    let segment = frame::tcp(40000, 80, SYN);
    let chain = |headers: &[(u8, Vec<u8>)]| {
        ipv6_chain(ip(CLIENT[1]), ip(POD[1]), headers, Protocol::TCP, &segment)
    };
    let padding = || vec![0, 0, 1, 4, 0, 0, 0, 0];
    let long = |bytes: usize| {
        let mut header = vec![0; bytes];
        header[1] = (bytes / 8 - 1) as u8;
        header
    };
    // Next header, length, type, segments left.
    let routing = |kind: u8, left: u8| {
        vec![
            0, 2, kind, left, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]
    };
    let ah = || {
        vec![
            0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]
    };
    let alone = || vec![0, 0, 0, 0, 0, 0, 0, 7];
    let h = Harness::pooled();
    for (headers, reason) in [
        (vec![(0, padding())], REASON_PASS_NEW),
        (vec![(60, padding())], REASON_PASS_NEW),
        (vec![(51, ah())], REASON_PASS_NEW),
        (vec![(44, alone())], REASON_PASS_NEW),
        (
            vec![
                (0, padding()),
                (60, padding()),
                (43, routing(4, 0)),
                (51, ah()),
                (60, padding()),
            ],
            REASON_PASS_NEW,
        ),
        (vec![(60, padding()); 8], REASON_PASS_NEW),
        (vec![(60, padding()); 9], REASON_DROP_EXTENSION_HEADER),
        (
            vec![(60, padding()), (0, padding())],
            REASON_DROP_EXTENSION_HEADER,
        ),
        (
            vec![(44, alone()), (44, alone())],
            REASON_DROP_EXTENSION_HEADER,
        ),
        (vec![(43, routing(0, 0))], REASON_DROP_SOURCE_ROUTE),
        (vec![(43, routing(0, 1))], REASON_DROP_SOURCE_ROUTE),
        (vec![(43, routing(2, 1))], REASON_DROP_SOURCE_ROUTE),
        (vec![(43, routing(4, 1))], REASON_DROP_SOURCE_ROUTE),
        (vec![(60, long(400))], REASON_PASS_NEW),
        (
            vec![(60, long(448)), (60, padding())],
            REASON_DROP_L4_TRUNCATED,
        ),
        (
            vec![(60, long(464)), (60, padding())],
            REASON_DROP_EXTENSION_HEADER,
        ),
    ] {
        h.forget();
        let rules = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
        let rules: &[(u32, u64)] = if reason == REASON_PASS_NEW {
            &rules
        } else {
            &[]
        };
        h.expect(Hook::Xdp, &chain(&headers), reason, rules);
        if reason == REASON_PASS_NEW {
            let flow = h.flow();
            assert_eq!((flow.protocol, flow.destination_port), (Protocol::TCP, 80));
        }
    }
    // A header that does not fit into the packet.
    let mut beyond = chain(&[(60, padding())]);
    beyond[55] = 40;
    h.expect(Hook::Xdp, &beyond, REASON_DROP_EXTENSION_HEADER, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn any_protocol_is_judged_by_rules_without_ports() {
    for family in FAMILIES {
        let h = Harness::pooled();
        // IPIP, GRE, ESP, AH (in IPv4), OSPF, no next header, mobility, HIP, experiments
        for protocol in [4, 41, 47, 50, 89, 59, 135, 139, 253, 255] {
            let send =
                |from: &str, to: &str| frame::ip(ip(from), ip(to), Protocol(protocol), &[0; 8]);
            let rules = [NOT_ISOLATED_NEW, (h.rule(1), 1)];
            h.expect(
                Hook::Xdp,
                &send(FRIEND[family], POD[family]),
                REASON_PASS_NEW,
                &rules,
            );
            let denied = send(CLIENT[family], POD[family]);
            h.expect(
                Hook::Xdp,
                &denied,
                REASON_DROP_POLICY,
                &[(h.default_deny(), 1)],
            );
            let back = send(POD[family], FRIEND[family]);
            h.expect(
                Hook::Tc,
                &back,
                REASON_PASS_FLOW,
                &[NOT_ISOLATED, (h.rule(1), 0)],
            );
        }
    }
}

// ---- fragments

/// A UDP datagram of `bytes` in fragments at these offsets.
fn fragments(
    from: &str,
    to: &str,
    dport: u16,
    id: u32,
    bytes: usize,
    cuts: &[usize],
) -> Vec<Vec<u8>> {
    let mut datagram = frame::udp(40000, dport);
    datagram.resize(bytes, 0);
    let length = (bytes as u16).to_be_bytes();
    datagram[4..6].copy_from_slice(&length);
    let ends = cuts[1..].iter().copied().chain([bytes]);
    let parts = cuts.iter().zip(ends).map(|(&start, end)| {
        let part = Fragment {
            id,
            offset: start as u16,
            more: end != bytes,
        };
        fragment(ip(from), ip(to), Protocol::UDP, part, &datagram[start..end])
    });
    parts.collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn later_fragments_go_where_the_first_went() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let (client, pod) = (CLIENT[family], POD[family]);
        let rule = h.rule(0);
        let parts = fragments(client, pod, 80, 1, 3000, &[0, 1400, 2800]);
        // Before the first: nobody knows where it belongs.
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
        // Another packet's, another sender's.
        let other = fragments(client, pod, 80, 2, 3000, &[0, 1400]);
        h.expect(Hook::Xdp, &other[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        let friend = fragments(FRIEND[family], pod, 80, 1, 3000, &[0, 1400]);
        h.expect(Hook::Xdp, &friend[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        // A first that is denied leaves nothing for those after it.
        let denied = fragments(client, pod, 81, 3, 3000, &[0, 1400]);
        h.expect(
            Hook::Xdp,
            &denied[0],
            REASON_DROP_POLICY,
            &[(h.default_deny(), 1)],
        );
        h.expect(Hook::Xdp, &denied[1], REASON_DROP_FRAGMENT_NO_FIRST, &[]);
        // What the pod sends in fragments.
        let back = fragments(pod, client, 9999, 4, 3000, &[0, 1400]);
        h.expect(Hook::Tc, &back[0], REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
        h.expect(Hook::Tc, &back[1], REASON_PASS_FLOW, &[NOT_ISOLATED]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_fragment_may_not_reach_into_the_first_nor_be_impossible() {
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
fn a_first_fragment_has_all_headers() {
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
        // RFC 3128: the second fragment would write over the flags.
        let second = Fragment {
            id: 1,
            offset: 8,
            more: false,
        };
        let second = fragment(client, pod, Protocol::TCP, second, &segment[8..32]);
        h.expect(Hook::Xdp, &second, REASON_DROP_FRAGMENT_OVERLAP, &[]);
    }
    // RFC 7112: headers that go on in the next fragment.
    let h = Harness::pooled();
    let mut chain = vec![60, 0, 0, 1, 0, 0, 0, 1]; // fragment header: destination options follow
    chain.extend([6, 3, 0, 0, 0, 0, 0, 0]); // which say that they have 32 bytes
    let frame = frame::ip(ip(CLIENT[1]), ip(POD[1]), Protocol(44), &chain);
    h.expect(Hook::Xdp, &frame, REASON_DROP_FRAGMENT_TINY, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn records_of_fragments_are_bounded_and_lapse() {
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
    // A flood of first fragments from who may send none: no record is taken.
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
    // A flood of those that may: the newest are known, the table stays what it is.
    for id in 0..17_000_u32 {
        let flood = fragments(CLIENT[0], POD[0], 80, id, 3000, &[0, 1400]);
        assert!(h.run(Hook::Xdp, &flood[0]));
        assert!(
            h.run(Hook::Xdp, &flood[1]),
            "its own first came just before"
        );
    }
    // Half a minute later a first fragment is forgotten.
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
fn icmp_in_fragments_follows_its_identifier() {
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
    // Neighbour discovery never comes in fragments (RFC 6980), nor do errors.
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

// ---- ICMP errors

/// Destination unreachable or packet too big, of either family, quoting a packet.
fn error(from: &str, to: &str, quoted: &[u8]) -> Vec<u8> {
    let (protocol, kind, code) = if ip(from).is_ipv4() {
        (Protocol::ICMP, 3, 4)
    } else {
        (Protocol::ICMPV6, 2, 0)
    };
    let mut message = vec![kind, code, 0, 0, 0, 0, 5, 0];
    message.extend(quoted);
    frame::ip(ip(from), ip(to), protocol, &message)
}

#[test]
#[ignore = "needs root and BPF"]
fn an_icmp_error_belongs_to_the_flow_that_it_quotes() {
    const ROUTER: [&str; 2] = ["192.0.2.77", "2001:db8:77::1"];
    for family in FAMILIES {
        let h = Harness::pooled();
        let (client, pod, router) = (CLIENT[family], POD[family], ROUTER[family]);
        let rule = h.rule(0);
        let there = tcp(client, pod, 40000, 80, SYN);
        let back = tcp(pod, client, 80, 40000, SYN_ACK);
        let early = error(router, pod, packet(&back));
        h.expect(Hook::Xdp, &early, REASON_DROP_ICMP_ERROR, &[]);
        assert!(h.run(Hook::Xdp, &there));
        assert!(h.run(Hook::Tc, &back));
        let before = h.flow();
        let related = [NOT_ISOLATED, (rule, 0)];
        // To the pod about what it sent, to the client about what it sent; from anywhere.
        h.expect(Hook::Xdp, &early, REASON_PASS_RELATED, &related);
        h.expect(
            Hook::Tc,
            &error(pod, client, packet(&there)),
            REASON_PASS_RELATED,
            &related,
        );
        h.expect(
            Hook::Tc,
            &error(router, client, packet(&there)),
            REASON_PASS_RELATED,
            &related,
        );
        // Cut to 8 bytes of layer 4, or less.
        let header: usize = if family == 0 { 20 } else { 40 };
        let cut = |bytes: usize| error(router, pod, &packet(&back)[..header + bytes]);
        h.expect(Hook::Xdp, &cut(8), REASON_PASS_RELATED, &related);
        h.expect(Hook::Xdp, &cut(7), REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
        h.expect(Hook::Xdp, &cut(0), REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
        h.expect(
            Hook::Xdp,
            &error(router, pod, &[]),
            REASON_DROP_ICMP_ERROR_PAYLOAD,
            &[],
        );
        // About a packet of somebody else, of another flow, or against the direction it went in.
        let foreign = error(router, pod, packet(&there));
        h.expect(Hook::Xdp, &foreign, REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
        let other = error(router, pod, packet(&tcp(pod, client, 81, 40000, ACK)));
        h.expect(Hook::Xdp, &other, REASON_DROP_ICMP_ERROR, &[]);
        // An error about an error.
        let nested = error(router, pod, packet(&error(pod, router, packet(&there))));
        h.expect(Hook::Xdp, &nested, REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
        // It changed nothing of the flow.
        assert_eq!(h.flow(), before);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn an_icmp_error_rejudges_its_flow_and_is_denied_with_it() {
    for family in FAMILIES {
        let mut h = Harness::small();
        let (client, pod) = (CLIENT[family], POD[family]);
        let there = udp(client, pod, 40000, 80);
        assert!(h.run(Hook::Xdp, &there));
        let answer = error(pod, client, packet(&there));
        h.install(&snapshot(true));
        h.expect(
            Hook::Tc,
            &answer,
            REASON_PASS_RELATED,
            &[NOT_ISOLATED, (h.rule(0), 0)],
        );
        h.install(&snapshot(false));
        h.expect(
            Hook::Tc,
            &answer,
            REASON_DROP_POLICY,
            &[(h.default_deny(), 0)],
        );
        assert_eq!(h.flow().state, STATE_DENIED);
        h.expect(Hook::Tc, &answer, REASON_DROP_FLOW_DENIED, &[]);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn icmp_errors_about_udp_echoes_and_extension_headers() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let (friend, pod) = (FRIEND[family], POD[family]);
        let related = [NOT_ISOLATED, (h.rule(1), 0)];
        let ping = echo(friend, pod, true);
        assert!(h.run(Hook::Xdp, &ping));
        h.expect(
            Hook::Tc,
            &error(pod, friend, packet(&ping)),
            REASON_PASS_RELATED,
            &related,
        );
        let reply = echo(pod, friend, false);
        h.expect(
            Hook::Xdp,
            &error(friend, pod, packet(&reply)),
            REASON_PASS_RELATED,
            &related,
        );
    }
    let h = Harness::pooled();
    let related = [NOT_ISOLATED, (h.rule(0), 0)];
    let datagram = frame::udp(40000, 80);
    let options = [(60, vec![0, 0, 1, 4, 0, 0, 0, 0])];
    let long = ipv6_chain(
        ip(CLIENT[1]),
        ip(POD[1]),
        &options,
        Protocol::UDP,
        &datagram,
    );
    assert!(h.run(Hook::Xdp, &long));
    h.expect(
        Hook::Tc,
        &error(POD[1], CLIENT[1], packet(&long)),
        REASON_PASS_RELATED,
        &related,
    );
    // The first fragment of a packet has ports, a later one has none.
    let parts = fragments(CLIENT[1], POD[1], 80, 5, 3000, &[0, 1400]);
    h.expect(
        Hook::Tc,
        &error(POD[1], CLIENT[1], packet(&parts[0])),
        REASON_PASS_RELATED,
        &related,
    );
    h.expect(
        Hook::Tc,
        &error(POD[1], CLIENT[1], packet(&parts[1])),
        REASON_DROP_ICMP_ERROR_PAYLOAD,
        &[],
    );
}

// ---- TCP

#[test]
#[ignore = "needs root and BPF"]
fn tcp_flags_that_no_stack_sends() {
    for family in FAMILIES {
        let h = Harness::pooled();
        for flags in [
            0, 0x01, 0x03, 0x06, 0x07, 0x0b, 0x13, 0x16, 0x15, 0x29, 0x3f, 0x20, 0x08,
        ] {
            for (from, to) in [(CLIENT, POD), (STRANGER, FRIEND)] {
                let segment = tcp(from[family], to[family], 40000, 80, flags);
                h.expect(Hook::Xdp, &segment, REASON_DROP_TCP_FLAGS, &[]);
            }
        }
        // PSH, ECE and CWR say nothing.
        let rule = h.rule(0);
        let syn = tcp(CLIENT[family], POD[family], 40000, 80, SYN | 0xc8);
        h.expect(
            Hook::Xdp,
            &syn,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
    }
}

/// A connection between the client and the pod with real numbers.
struct Connection<'a> {
    h: &'a Harness,
    client: IpAddr,
    pod: IpAddr,
}

impl Connection<'_> {
    fn to(&self, flags: u8, sequence: u32, ack: u32) -> Vec<u8> {
        let segment = TcpSegment {
            source: 40000,
            destination: 80,
            flags,
            sequence,
            ack,
        };
        frame::ip(self.client, self.pod, Protocol::TCP, &segment.bytes())
    }

    fn back(&self, flags: u8, sequence: u32, ack: u32) -> Vec<u8> {
        let segment = TcpSegment {
            source: 80,
            destination: 40000,
            flags,
            sequence,
            ack,
        };
        frame::ip(self.pod, self.client, Protocol::TCP, &segment.bytes())
    }

    /// The state after a packet that passes.
    fn sends(&self, frame: &[u8], hook: Hook) -> u32 {
        assert!(self.h.run(hook, frame));
        self.h.flow().state
    }
}

const CLIENT_ISN: u32 = 0xffff_f000; // comes round during the connection
const POD_ISN: u32 = 1_000_000;

#[test]
#[ignore = "needs root and BPF"]
fn a_stranger_cannot_end_a_connection_whose_numbers_it_does_not_know() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let c = Connection {
            h: &h,
            client: ip(CLIENT[family]),
            pod: ip(POD[family]),
        };
        assert_eq!(
            c.sends(&c.to(SYN, CLIENT_ISN, 0), Hook::Xdp),
            STATE_TCP_SYN_SENT
        );
        // Nobody knows yet what the pod will answer: an RST must acknowledge the SYN.
        let blind = c.back(RST, 5, 0);
        assert_eq!(c.sends(&blind, Hook::Tc), STATE_TCP_SYN_SENT);
        let blind = c.back(RST | ACK, 0, CLIENT_ISN.wrapping_add(7000));
        assert_eq!(c.sends(&blind, Hook::Tc), STATE_TCP_SYN_SENT);
        let blind = c.to(RST, CLIENT_ISN.wrapping_add(1 << 30), 0);
        assert_eq!(c.sends(&blind, Hook::Xdp), STATE_TCP_SYN_SENT);
        let (seq, ack) = (CLIENT_ISN.wrapping_add(1), POD_ISN + 1);
        assert_eq!(
            c.sends(&c.back(SYN_ACK, POD_ISN, seq), Hook::Tc),
            STATE_TCP_SYN_RECV
        );
        assert_eq!(
            c.sends(&c.to(ACK, seq, ack), Hook::Xdp),
            STATE_TCP_ESTABLISHED
        );
        // 10 MB of answers, acknowledged as they come.
        let mut far = ack;
        for _ in 0..160 {
            far = far.wrapping_add(1 << 16);
            assert!(h.run(Hook::Tc, &c.back(ACK, far, seq)));
            assert!(h.run(Hook::Xdp, &c.to(ACK, seq, far)));
        }
        // Steps of 2^26 through all sequence numbers, none of which is near.
        let mut believed = 0;
        for step in 0..64_u32 {
            let guess = far.wrapping_add(1 << 25).wrapping_add(step << 26);
            let before = h.flow();
            for flags in [RST, RST | ACK, FIN_ACK] {
                assert!(h.run(Hook::Tc, &c.back(flags, guess, seq)));
            }
            believed += u32::from(h.flow().state != before.state);
        }
        assert_eq!(believed, 0, "no guess is near");
        assert_eq!(h.flow().state, STATE_TCP_ESTABLISHED);
        // Who knows the number ends it, softly: what goes on revives it.
        assert_eq!(c.sends(&c.back(RST, far, 0), Hook::Tc), STATE_TCP_FIN_WAIT);
        assert_eq!(
            c.sends(&c.to(ACK, seq, far), Hook::Xdp),
            STATE_TCP_ESTABLISHED
        );
        assert_eq!(
            c.sends(&c.back(FIN_ACK, far, seq), Hook::Tc),
            STATE_TCP_FIN_WAIT
        );
        assert_eq!(
            c.sends(&c.to(FIN_ACK, seq, far + 1), Hook::Xdp),
            STATE_TCP_TIME_WAIT
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_refused_connection_is_over_and_a_forged_syn_moves_nothing() {
    let h = Harness::pooled();
    let c = Connection {
        h: &h,
        client: ip(CLIENT[0]),
        pod: ip(POD[0]),
    };
    c.sends(&c.to(SYN, CLIENT_ISN, 0), Hook::Xdp);
    let refusal = c.back(RST | ACK, 0, CLIENT_ISN.wrapping_add(1));
    assert_eq!(c.sends(&refusal, Hook::Tc), STATE_CLOSED);
    // A forged SYN within an established connection does not make its numbers the right ones.
    let h = Harness::pooled();
    let c = Connection {
        h: &h,
        client: ip(CLIENT[0]),
        pod: ip(POD[0]),
    };
    c.sends(&c.to(SYN, 1, 0), Hook::Xdp);
    c.sends(&c.back(SYN_ACK, 1, 2), Hook::Tc);
    c.sends(&c.to(ACK, 2, 2), Hook::Xdp);
    assert_eq!(
        c.sends(&c.to(SYN, 1 << 30, 0), Hook::Xdp),
        STATE_TCP_ESTABLISHED
    );
    assert_eq!(
        c.sends(&c.to(RST, (1 << 30) + 1, 0), Hook::Xdp),
        STATE_TCP_ESTABLISHED
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn a_forged_source_cannot_make_a_flow_last() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let c = Connection {
            h: &h,
            client: ip(CLIENT[family]),
            pod: ip(POD[family]),
        };
        c.sends(&c.to(SYN, 1, 0), Hook::Xdp);
        c.sends(&c.back(SYN_ACK, POD_ISN, 2), Hook::Tc);
        // It has not seen the answer.
        for blind in [1 << 30, 1 << 31, POD_ISN.wrapping_sub(1 << 25)] {
            let ack = c.to(ACK, 2, blind);
            assert_eq!(c.sends(&ack, Hook::Xdp), STATE_TCP_SYN_RECV);
        }
        let seen = c.to(ACK, 2, POD_ISN + 1);
        assert_eq!(c.sends(&seen, Hook::Xdp), STATE_TCP_ESTABLISHED);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn a_port_is_used_again_though_its_old_connection_did_not_end_well() {
    let h = Harness::pooled();
    let c = Connection {
        h: &h,
        client: ip(CLIENT[0]),
        pod: ip(POD[0]),
    };
    c.sends(&c.to(SYN, 100, 0), Hook::Xdp);
    c.sends(&c.back(SYN_ACK, 200, 101), Hook::Tc);
    c.sends(&c.to(ACK, 101, 201), Hook::Xdp);
    let last = c.to(FIN_ACK, 101, 201);
    assert_eq!(c.sends(&last, Hook::Xdp), STATE_TCP_FIN_WAIT);
    // The pod is gone without a word.
    let again = c.to(SYN, 90_000, 0);
    let opened = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
    h.expect(Hook::Xdp, &again, REASON_PASS_NEW, &opened);
    assert_eq!(h.flow().state, STATE_TCP_SYN_SENT);
}

#[test]
#[ignore = "needs root and BPF"]
fn a_simultaneous_open_and_the_reuse_of_a_port() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let c = Connection {
            h: &h,
            client: ip(CLIENT[family]),
            pod: ip(POD[family]),
        };
        assert_eq!(c.sends(&c.to(SYN, 100, 0), Hook::Xdp), STATE_TCP_SYN_SENT);
        assert_eq!(c.sends(&c.back(SYN, 200, 0), Hook::Tc), STATE_TCP_SYN_RECV);
        assert_eq!(
            c.sends(&c.to(SYN_ACK, 100, 201), Hook::Xdp),
            STATE_TCP_SYN_RECV
        );
        assert_eq!(
            c.sends(&c.back(SYN_ACK, 200, 101), Hook::Tc),
            STATE_TCP_SYN_RECV
        );
        assert_eq!(
            c.sends(&c.to(ACK, 101, 201), Hook::Xdp),
            STATE_TCP_ESTABLISHED
        );
        // Both ends are through with it, the entry lingers, the port is used again.
        c.sends(&c.to(FIN_ACK, 101, 201), Hook::Xdp);
        assert_eq!(
            c.sends(&c.back(FIN_ACK, 201, 102), Hook::Tc),
            STATE_TCP_TIME_WAIT
        );
        let rule = h.rule(0);
        let syn = c.to(SYN, 90_000, 0);
        h.expect(
            Hook::Xdp,
            &syn,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        assert_eq!(h.flow().state, STATE_TCP_SYN_SENT);
        // The other side may open too, as a flow of its own, which policy decides.
        c.sends(&c.back(RST | ACK, 0, 90_001), Hook::Tc);
        let reverse = c.back(SYN, 7, 0);
        h.expect(Hook::Tc, &reverse, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
    }
}

// ---- SCTP

#[test]
#[ignore = "needs root and BPF"]
fn sctp_opens_with_init_and_ends_for_who_knows_the_tag() {
    const INIT: u8 = 1;
    const INIT_ACK: u8 = 2;
    const DATA: u8 = 0;
    const ABORT: u8 = 6;
    const SHUTDOWN_COMPLETE: u8 = 14;
    for family in FAMILIES {
        let (friend, pod) = (FRIEND[family], POD[family]);
        let h = Harness::pooled();
        let rule = h.rule(1);
        let chunk = |from: &str, to: &str, tag: u32, kind: u8, flags: u8, initiate: u32| {
            let ports = if from == friend { (5, 6) } else { (6, 5) };
            let packet = sctp_chunk(ports.0, ports.1, tag, kind, flags, initiate);
            frame::ip(ip(from), ip(to), Protocol::SCTP, &packet)
        };
        let there = |tag, kind, flags, initiate| chunk(friend, pod, tag, kind, flags, initiate);
        let back = |tag, kind, flags, initiate| chunk(pod, friend, tag, kind, flags, initiate);
        for kind in [DATA, INIT_ACK, ABORT, SHUTDOWN_COMPLETE] {
            h.expect(
                Hook::Xdp,
                &there(7, kind, 0, 7),
                REASON_DROP_SCTP_NO_FLOW,
                &[],
            );
        }
        h.expect(Hook::Xdp, &there(7, INIT, 0, 7), REASON_DROP_L4_HEADER, &[]);
        let init = there(0, INIT, 0, 0xaaaa);
        h.expect(
            Hook::Xdp,
            &init[..init.len() - 4],
            REASON_DROP_IP_LENGTH,
            &[],
        );
        let flow = [NOT_ISOLATED, (rule, 0)];
        h.expect(
            Hook::Xdp,
            &init,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        h.expect(
            Hook::Tc,
            &back(0xaaaa, INIT_ACK, 0, 0xbbbb),
            REASON_PASS_FLOW,
            &flow,
        );
        h.expect(
            Hook::Xdp,
            &there(0xbbbb, DATA, 0, 0),
            REASON_PASS_FLOW,
            &flow,
        );
        assert_eq!(h.flow().state, STATE_SCTP_REPLIED);
        // Wrong tags end nothing.
        for tag in [0, 1, 0xaaaa] {
            assert!(h.run(Hook::Xdp, &there(tag, ABORT, 0, 0)));
            assert_eq!(h.flow().state, STATE_SCTP_REPLIED);
        }
        // A forged INIT leaves no tag of its own behind, and against the opener it is none.
        assert!(h.run(Hook::Xdp, &there(0, INIT, 0, 0x6666)));
        assert!(h.run(Hook::Xdp, &there(0x6666, ABORT, 1, 0)));
        assert_eq!(h.flow().state, STATE_SCTP_REPLIED);
        h.expect(Hook::Tc, &back(0, INIT, 0, 7), REASON_DROP_TCP_STATE, &[]);
        assert!(
            h.run(Hook::Xdp, &there(0xaaaa, ABORT, 1, 0)),
            "T: its own tag, reflected"
        );
        assert_eq!(h.flow().state, STATE_CLOSED);
        h.expect(
            Hook::Xdp,
            &init,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        h.expect(
            Hook::Tc,
            &back(0xaaaa, ABORT, 0, 0),
            REASON_PASS_FLOW,
            &flow,
        );
        assert_eq!(h.flow().state, STATE_CLOSED);
    }
}

// ---- what keeps the network working

#[test]
#[ignore = "needs root and BPF"]
fn dhcp_mld_and_igmp_pass_by_default_and_only_as_they_are() {
    let h = Harness::pooled();
    let hop = |frame: &[u8], limit| patched(frame, 21, &[limit]);
    let ttl = |frame: &[u8], limit| patched(frame, 22, &[limit]);
    let mld = |from: &str, kind: u8| {
        let mut message = vec![0; 24];
        message[0] = kind;
        let alert = [(0, vec![0, 0, 5, 2, 0, 0, 1, 0])];
        ipv6_chain(ip(from), ip("ff02::16"), &alert, Protocol::ICMPV6, &message)
    };
    let igmp = |from: &str| {
        frame::ip(
            ip(from),
            ip("224.0.0.22"),
            Protocol(2),
            &[0x22, 0, 0, 0, 0, 0, 0, 0],
        )
    };
    for (frame, reason) in [
        (udp("0.0.0.0", "255.255.255.255", 68, 67), REASON_PASS_DHCP),
        (udp("169.254.0.9", POD[0], 67, 68), REASON_DROP_LINK_LOCAL),
        (udp("169.254.0.9", "169.254.0.8", 67, 68), REASON_PASS_DHCP),
        (udp("10.3.0.1", "255.255.255.255", 67, 68), REASON_PASS_DHCP),
        (udp("fe80::1", "ff02::1:2", 546, 547), REASON_PASS_DHCP),
        (udp("fe80::1", POD[1], 547, 546), REASON_PASS_DHCP),
        (hop(&mld("fe80::1", 143), 1), REASON_PASS_MULTICAST_CONTROL),
        (hop(&mld("::", 131), 1), REASON_PASS_MULTICAST_CONTROL),
        (ttl(&igmp("10.3.0.1"), 1), REASON_PASS_MULTICAST_CONTROL),
        (ttl(&igmp("0.0.0.0"), 1), REASON_PASS_MULTICAST_CONTROL),
        (udp("0.0.0.0", POD[0], 68, 69), REASON_DROP_MARTIAN),
        (hop(&mld("::", 131), 2), REASON_DROP_MARTIAN),
    ] {
        h.expect(Hook::Xdp, &frame, reason, &[]);
        h.expect(Hook::Tc, &frame, reason, &[]);
    }
    // What only looks like it is judged like anything else.
    let deny = [(h.default_deny(), 1)];
    for frame in [
        udp(STRANGER[0], POD[0], 68, 68),
        // A server behind a router renews, and so would anybody at its port.
        udp(STRANGER[0], POD[0], 67, 68),
        udp(STRANGER[1], POD[1], 547, 546),
        udp(STRANGER[0], POD[0], 546, 547),
        udp(STRANGER[1], POD[1], 68, 67),
        udp(STRANGER[1], POD[1], 547, 547),
    ] {
        h.expect(Hook::Xdp, &frame, REASON_DROP_POLICY, &deny);
    }
    let off = with_frames(Frames {
        dhcp: false,
        ..Frames::default()
    });
    let deny = [(off.default_deny(), 1)];
    off.expect(
        Hook::Xdp,
        &udp(STRANGER[0], POD[0], 67, 68),
        REASON_DROP_POLICY,
        &deny,
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn impossible_addresses() {
    let h = Harness::pooled();
    for (from, to) in [
        ("127.0.0.1", POD[0]),
        (CLIENT[0], "127.0.0.1"),
        ("224.0.0.1", POD[0]),
        ("255.255.255.255", POD[0]),
        ("0.1.2.3", POD[0]),
        (CLIENT[0], "0.0.0.0"),
        ("0.0.0.0", POD[0]),
        ("::1", POD[1]),
        (CLIENT[1], "::1"),
        ("::", POD[1]),
        (CLIENT[1], "::"),
        ("ff02::1", POD[1]),
    ] {
        h.expect(Hook::Xdp, &udp(from, to, 1, 80), REASON_DROP_MARTIAN, &[]);
        h.expect(
            Hook::Tc,
            &tcp(from, to, 1, 80, SYN),
            REASON_DROP_MARTIAN,
            &[],
        );
    }
    for address in [POD[0], POD[1], CLIENT[0], "fe80::7"] {
        h.expect(
            Hook::Xdp,
            &udp(address, address, 7, 80),
            REASON_DROP_MARTIAN,
            &[],
        );
    }
}

/// What goes to a group reaches sockets of isolated endpoints that are bound to any address.
#[test]
#[ignore = "needs root and BPF"]
fn groups_are_for_control_and_for_what_is_listed() {
    let listed = with_frames(Frames {
        groups: ["239.1.0.0/16", "10.1.0.255/32", "ff02::fb/128"]
            .map(|net| net.parse().unwrap())
            .into(),
        ..Frames::default()
    });
    let broadcast = |frame: Vec<u8>| patched(&frame, 0, &[0xff; 6]);
    let data = [
        (udp(STRANGER[0], "224.0.0.251", 1, 5353), false),
        (udp(STRANGER[0], "255.255.255.255", 1, 5353), false),
        (broadcast(udp(STRANGER[0], "10.1.0.255", 1, 5353)), true),
        (broadcast(udp(STRANGER[0], "10.9.0.255", 1, 5353)), false),
        (udp(STRANGER[0], "239.1.2.3", 1, 5353), true),
        (udp(STRANGER[0], "239.2.2.3", 1, 5353), false),
        (udp(STRANGER[1], "ff02::1", 1, 5353), false),
        (udp(STRANGER[1], "ff02::fb", 1, 5353), true),
        (udp(STRANGER[1], "ff05::fb", 1, 5353), false),
    ];
    let of = |protocol, to: &str| {
        let from = if ip(to).is_ipv4() {
            STRANGER[0]
        } else {
            STRANGER[1]
        };
        frame::ip(ip(from), ip(to), Protocol(protocol), &[0; 16])
    };
    let control = [
        of(89, "224.0.0.5"),
        of(89, "ff02::6"),
        of(112, "224.0.0.18"),
        of(112, "ff02::12"),
        of(103, "224.0.0.13"),
        of(88, "224.0.0.10"),
        udp(STRANGER[0], "224.0.0.9", 520, 520),
        udp(STRANGER[1], "ff02::9", 521, 521),
        udp(STRANGER[0], "224.0.0.102", 1985, 1985),
    ];
    let no_control = [
        of(89, "224.0.0.7"),
        of(89, "239.0.0.5"),
        of(112, "224.0.0.5"),
        of(89, "ff02::1:6"),
        udp(STRANGER[0], "224.0.0.9", 520, 521),
    ];
    for (h, all) in [(&listed, true), (&with_frames(Frames::default()), false)] {
        for (frame, is_listed) in &data {
            if *is_listed && all {
                h.expect(Hook::Xdp, frame, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
            } else {
                h.expect(Hook::Xdp, frame, REASON_DROP_GROUP, &[]);
            }
        }
        for frame in &no_control {
            h.expect(Hook::Xdp, frame, REASON_DROP_GROUP, &[]);
        }
        for frame in &control {
            h.expect(Hook::Xdp, frame, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
        }
        let to_one = patched(&udp(STRANGER[0], "239.1.2.3", 9, 9), 0, &[2, 0, 0, 0, 0, 1]);
        h.expect(Hook::Xdp, &to_one, REASON_DROP_GROUP_MAC, &[]);
        h.expect(Hook::Tc, &to_one, REASON_DROP_GROUP_MAC, &[]);
    }
    // Nobody is isolated: nobody is reached who should not be.
    let mut free = Harness::new(Settings::default());
    free.install(&Snapshot::default());
    free.expect(
        Hook::Xdp,
        &udp(STRANGER[0], "224.0.0.251", 1, 5353),
        REASON_PASS_NEW,
        &[NOT_ISOLATED_NEW],
    );
}

/// A link-local address is one that nobody has listed, and every IPv6 endpoint has one.
#[test]
#[ignore = "needs root and BPF"]
fn link_local_addresses_of_endpoints_are_for_control_and_for_what_is_listed() {
    let bridge = |link_local| {
        Harness::new(Settings {
            topology: Topology::Bridge,
            frames: Frames {
                link_local,
                ..Frames::default()
            },
            ..Settings::default()
        })
    };
    let (a, b) = ("fe80::a", "fe80::b");
    let data = [
        tcp(a, b, 40000, 80, SYN),
        udp(a, POD[1], 40000, 80),
        udp(STRANGER[1], b, 40000, 80),
        udp("169.254.1.1", STRANGER[0], 40000, 80),
        echo(a, b, true),
    ];
    let closed = bridge(Vec::new());
    for frame in &data {
        closed.expect(Hook::Xdp, frame, REASON_DROP_LINK_LOCAL, &[]);
    }
    // On a bridge what passes is redirected, and in a test run there is no other side.
    let passed = REASON_DROP_BRIDGE_PORT;
    let control = [
        frame::ip(ip(a), ip(b), Protocol(89), &[0; 16]),
        udp(a, b, 49152, 3784),
        udp("169.254.0.1", "169.254.0.2", 49152, 3784),
    ];
    for frame in &control {
        closed.expect(Hook::Xdp, frame, passed, &[]);
    }
    let bgp = bridge(vec![(Protocol::TCP, Some(179)), (Protocol::ICMPV6, None)]);
    bgp.expect(Hook::Xdp, &tcp(a, b, 40000, 179, SYN), passed, &[]);
    bgp.expect(Hook::Xdp, &echo(a, b, true), passed, &[]);
    bgp.expect(
        Hook::Xdp,
        &tcp(a, b, 40000, 80, SYN),
        REASON_DROP_LINK_LOCAL,
        &[],
    );
    // Host: whose address it is the programs know from the kernel; these are nobody's here.
    let host = Harness::pooled();
    host.expect(
        Hook::Xdp,
        &tcp(a, b, 40000, 80, SYN),
        REASON_DROP_LINK_LOCAL,
        &[],
    );
    host.expect(
        Hook::Tc,
        &tcp(b, a, 40000, 80, SYN),
        REASON_DROP_LINK_LOCAL,
        &[],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn configured_types_pass_unread() {
    let h = with_frames(Frames {
        ethertypes: vec![0x88f7, 0x22f0],
        ..Frames::default()
    });
    for (kind, reason) in [
        (0x88f7, REASON_PASS_ETHERTYPE),
        (0x22f0, REASON_PASS_ETHERTYPE),
        (0x22f1, REASON_DROP_ETHERTYPE),
        (0, REASON_DROP_ETHERTYPE),
    ] {
        let frame = ethernet([2, 0, 0, 0, 0, 1], kind, &[0; 46]);
        h.expect(Hook::Xdp, &frame, reason, &[]);
    }
}

// ---- lengths

#[test]
#[ignore = "needs root and BPF"]
fn frames_of_many_buffers_are_read_to_their_end() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let rule = h.rule(0);
        let mut datagram = frame::udp(40000, 80);
        datagram.resize(8900, 0);
        datagram[4..6].copy_from_slice(&8900_u16.to_be_bytes());
        let jumbo = frame::ip(
            ip(CLIENT[family]),
            ip(POD[family]),
            Protocol::UDP,
            &datagram,
        );
        h.expect(
            Hook::Xdp,
            &jumbo,
            REASON_PASS_NEW,
            &[NOT_ISOLATED_NEW, (rule, 1)],
        );
        assert_eq!(h.flow().original.bytes, jumbo.len() as u64);
        // What it says is longer than all its buffers.
        let short = &jumbo[..jumbo.len() - 1];
        h.expect(Hook::Xdp, short, REASON_DROP_IP_LENGTH, &[]);
    }
}

/// What offload has joined to more than a header can state, as BIG TCP over IPv4 does (Linux 6.3), reaches
/// XDP in generic mode.
#[test]
#[ignore = "needs root and BPF"]
fn a_length_of_zero_is_that_of_more_than_64_kib() {
    const IPV4: usize = 0;
    let h = Harness::pooled();
    let rule = h.rule(0);
    let mut segments = frame::tcp(40000, 80, SYN);
    segments.resize(68_000, 0);
    let mut joined = frame::ip(ip(CLIENT[IPV4]), ip(POD[IPV4]), Protocol::TCP, &segments);
    joined[16..18].fill(0);
    let admitted = [NOT_ISOLATED_NEW, (rule, 1)];
    h.expect(Hook::Xdp, &joined, REASON_PASS_NEW, &admitted);
    assert_eq!(h.flow().original.bytes, joined.len() as u64);
    h.forget();
    // Shorter ones state their length.
    let longest = &joined[..14 + 65_535];
    h.expect(Hook::Xdp, longest, REASON_DROP_IP_LENGTH, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn padding_and_trailers_are_no_payload() {
    for family in FAMILIES {
        let h = Harness::pooled();
        // Ports that stand in the padding are not the packet's.
        let mut empty = frame::ip(ip(CLIENT[family]), ip(POD[family]), Protocol::TCP, &[]);
        empty.extend(frame::tcp(40000, 80, SYN));
        h.expect(Hook::Xdp, &empty, REASON_DROP_L4_TRUNCATED, &[]);
        let mut ping = echo(FRIEND[family], POD[family], true);
        let at = if family == 0 { 17 } else { 19 };
        ping[at] -= 1;
        ping.extend([0; 20]);
        h.expect(Hook::Xdp, &ping, REASON_DROP_L4_TRUNCATED, &[]);
        let error = error(STRANGER[family], POD[family], &[]);
        let mut padded = error;
        padded.extend(packet(&tcp(POD[family], CLIENT[family], 80, 40000, ACK)));
        h.expect(Hook::Xdp, &padded, REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
    }
}

// ---- tunnels

fn tunnels() -> Frames {
    let tunnel = |kind, port| Tunnel {
        kind,
        port,
        peers: vec!["10.3.0.0/16".parse().unwrap(), "fd03::/64".parse().unwrap()],
    };
    Frames {
        tunnels: vec![
            tunnel(TunnelKind::Vxlan, 4789),
            tunnel(TunnelKind::Geneve, 6081),
        ],
        ..Frames::default()
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn policy_is_about_the_packet_inside_a_tunnel() {
    const VTEP: [&str; 2] = ["10.3.0.2", "fd03::2"];
    const PEER: [&str; 2] = STRANGER;
    let (h, plain) = (with_frames(tunnels()), Harness::pooled());
    for family in FAMILIES {
        for outer in FAMILIES {
            let wrap = |inner: &[u8], header: &[u8], port: u16, from: &str| {
                let mut datagram = frame::udp(55555, port);
                datagram.extend(header);
                datagram.extend(inner);
                let length = (datagram.len() as u16).to_be_bytes();
                datagram[4..6].copy_from_slice(&length);
                frame::ip(ip(from), ip(VTEP[outer]), Protocol::UDP, &datagram)
            };
            let vxlan = [8, 0, 0, 0, 0, 0, 42, 0];
            let geneve = [2, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 1, 1, 1, 1, 0, 0, 0];
            let syn = tcp(CLIENT[family], POD[family], 40000, 80, SYN);
            let denied = tcp(CLIENT[family], POD[family], 40000, 81, SYN);
            for (header, port) in [(&vxlan[..], 4789), (&geneve, 6081)] {
                h.forget();
                let rule = h.rule(0);
                let opened = [NOT_ISOLATED_NEW, (rule, 1)];
                let sent = wrap(&syn, header, port, PEER[outer]);
                h.expect(Hook::Xdp, &sent, REASON_PASS_NEW, &opened);
                let flow = h.flow();
                assert_eq!(
                    (flow.source, flow.destination),
                    (ip(CLIENT[family]), ip(POD[family]))
                );
                let refused = wrap(&denied, header, port, PEER[outer]);
                h.expect(
                    Hook::Xdp,
                    &refused,
                    REASON_DROP_POLICY,
                    &[(h.default_deny(), 1)],
                );
                let answer = tcp(POD[family], CLIENT[family], 80, 40000, SYN_ACK);
                let answer = wrap(&answer, header, port, PEER[outer]);
                h.expect(
                    Hook::Tc,
                    &answer,
                    REASON_PASS_FLOW,
                    &[NOT_ISOLATED, (rule, 0)],
                );
                let stranger = wrap(&syn, header, port, FRIEND[outer]);
                h.expect(Hook::Xdp, &stranger, REASON_DROP_TUNNEL_PEER, &[]);
                let arp = ethernet([0xff; 6], 0x0806, &[0; 28]);
                let arp = wrap(&arp, header, port, PEER[outer]);
                h.expect(Hook::Xdp, &arp, REASON_PASS_ARP, &[]);
                let short = wrap(&syn[..20], header, port, PEER[outer]);
                h.expect(Hook::Xdp, &short, REASON_DROP_IP_TRUNCATED, &[]);
            }
            h.forget();
            let invalid = wrap(&syn, &[0; 8], 4789, PEER[outer]);
            h.expect(Hook::Xdp, &invalid, REASON_DROP_TUNNEL_HEADER, &[]);
            let control = wrap(&syn, &[0, 0x80, 0x65, 0x58, 0, 0, 0, 0], 6081, PEER[outer]);
            h.expect(Hook::Xdp, &control, REASON_DROP_TUNNEL_HEADER, &[]);
            let ppp = wrap(&syn, &[0, 0, 0x88, 0x0b, 0, 0, 0, 0], 6081, PEER[outer]);
            h.expect(Hook::Xdp, &ppp, REASON_DROP_TUNNEL_HEADER, &[]);
            let kind = if family == 0 {
                [0x08, 0x00]
            } else {
                [0x86, 0xdd]
            };
            let bare = [0, 0, kind[0], kind[1], 0, 0, 0, 0];
            let bare = wrap(packet(&syn), &bare, 6081, PEER[outer]);
            let opened = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
            h.expect(Hook::Xdp, &bare, REASON_PASS_NEW, &opened);
            // Not configured, it is a datagram like any other.
            plain.forget();
            let sent = wrap(&syn, &vxlan, 4789, PEER[outer]);
            plain.expect(Hook::Xdp, &sent, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
        }
    }
}

// ---- timeouts

#[test]
#[ignore = "needs root and BPF"]
fn udp_lasts_longer_once_it_was_answered() {
    let timeouts = Timeouts {
        // Loading the programs anew takes a minute where they are emulated.
        udp_new: 100,
        udp_replied: 600,
        icmp: 200,
        ..Timeouts::default()
    };
    let pins = private();
    let at = |clock_offset| Settings {
        flows: 1024,
        rules: 256,
        timeouts,
        clock_offset,
        ..without_flood_defence()
    };
    let there = FAMILIES.map(|family| udp(CLIENT[family], POD[family], 40000, 80));
    let back = FAMILIES.map(|family| udp(POD[family], CLIENT[family], 80, 40000));
    let h = on(&pins, at(0));
    let rule = h.rule(0);
    let (opened, flow) = ([NOT_ISOLATED_NEW, (rule, 1)], [NOT_ISOLATED, (rule, 0)]);
    for there in &there {
        assert!(h.run(Hook::Xdp, there));
    }
    let h = after(h, &pins, at(120));
    for (there, back) in there.iter().zip(&back) {
        h.expect(Hook::Xdp, there, REASON_PASS_NEW, &opened);
        assert!(h.run(Hook::Tc, back));
    }
    let h = after(h, &pins, at(120 + 400));
    for there in &there {
        h.expect(Hook::Xdp, there, REASON_PASS_FLOW, &flow);
    }
    let h = after(h, &pins, at(120 + 400 + 610));
    for there in &there {
        h.expect(Hook::Xdp, there, REASON_PASS_NEW, &opened);
    }
}
