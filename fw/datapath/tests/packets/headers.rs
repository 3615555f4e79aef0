//! IPv4 options, IPv6 extension headers, unknown protocols, lengths and padding.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn ipv4_options_are_walked_source_routes_dropped() {
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

/// A destination or hop-by-hop options header of eight bytes.
fn padding() -> Vec<u8> {
    vec![0, 0, 1, 4, 0, 0, 0, 0]
}

/// An options header of this length, a multiple of 8.
fn options(bytes: usize) -> Vec<u8> {
    let mut header = vec![0; bytes];
    header[1] = (bytes / 8 - 1) as u8;
    header
}

/// A routing header of 24 bytes: next header, length, type, segments left.
fn routing(kind: u8, left: u8) -> Vec<u8> {
    let mut header = vec![0; 24];
    header[1..4].copy_from_slice(&[2, kind, left]);
    header
}

/// An authentication header.
fn ah() -> Vec<u8> {
    let mut header = vec![0; 24];
    (header[1], header[7], header[11]) = (4, 1, 1);
    header
}

/// A fragment header of a packet that is not fragmented.
fn atomic_fragment() -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, 0, 7]
}

#[test]
#[ignore = "needs root and BPF"]
fn ipv6_extension_headers_are_walked_up_to_eight() {
    let segment = frame::tcp(40000, 80, SYN);
    let chain = |headers: &[(u8, Vec<u8>)]| {
        ipv6_chain(ip(CLIENT[1]), ip(POD[1]), headers, Protocol::TCP, &segment)
    };
    let h = Harness::pooled();
    for (headers, reason) in [
        (vec![(0, padding())], REASON_PASS_NEW),
        (vec![(60, padding())], REASON_PASS_NEW),
        (vec![(51, ah())], REASON_PASS_NEW),
        (vec![(44, atomic_fragment())], REASON_PASS_NEW),
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
            vec![(44, atomic_fragment()), (44, atomic_fragment())],
            REASON_DROP_EXTENSION_HEADER,
        ),
        (vec![(43, routing(0, 0))], REASON_DROP_SOURCE_ROUTE),
        (vec![(43, routing(0, 1))], REASON_DROP_SOURCE_ROUTE),
        (vec![(43, routing(2, 1))], REASON_DROP_SOURCE_ROUTE),
        (vec![(43, routing(4, 1))], REASON_DROP_SOURCE_ROUTE),
        (vec![(60, options(400))], REASON_PASS_NEW),
        (
            vec![(60, options(448)), (60, padding())],
            REASON_DROP_L4_TRUNCATED,
        ),
        (
            vec![(60, options(464)), (60, padding())],
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
    // A header that exceeds the packet.
    let mut beyond = chain(&[(60, padding())]);
    beyond[55] = 40;
    h.expect(Hook::Xdp, &beyond, REASON_DROP_EXTENSION_HEADER, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn rules_without_ports_match_any_protocol() {
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

#[test]
#[ignore = "needs root and BPF"]
fn multi_buffer_frames_are_read_completely() {
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
        // The stated length exceeds all buffers.
        let short = &jumbo[..jumbo.len() - 1];
        h.expect(Hook::Xdp, short, REASON_DROP_IP_LENGTH, &[]);
    }
}

/// GSO frames longer than a header can state, as BIG TCP over IPv4 produces them (Linux 6.3), reach
/// XDP in generic mode.
#[test]
#[ignore = "needs root and BPF"]
fn ipv4_length_zero_means_over_64_kib() {
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
    // Shorter frames must state their length.
    let longest = &joined[..14 + 65_535];
    h.expect(Hook::Xdp, longest, REASON_DROP_IP_LENGTH, &[]);
}

#[test]
#[ignore = "needs root and BPF"]
fn padding_and_trailers_are_not_payload() {
    for family in FAMILIES {
        let h = Harness::pooled();
        // Ports in the padding are not the packet's.
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
