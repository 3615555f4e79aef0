//! Control protocols, multicast groups, link-local and impossible addresses, configured EtherTypes.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn only_wellformed_dhcp_mld_and_igmp_pass_unevaluated() {
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
    // Similar packets are evaluated by policy.
    let deny = [(h.default_deny(), 1)];
    for frame in [
        udp(STRANGER[0], POD[0], 68, 68),
        // A DHCP renewal through a router uses unicast, which any host could send from that port.
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
fn martian_addresses_are_dropped() {
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

/// Multicast and broadcast packets reach sockets of isolated endpoints that are bound to any
/// address.
#[test]
#[ignore = "needs root and BPF"]
fn groups_accept_only_control_and_configured_groups() {
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
    // Without isolation, multicast needs no restriction.
    let mut free = Harness::new(Settings::default());
    free.install(&Snapshot::default());
    free.expect(
        Hook::Xdp,
        &udp(STRANGER[0], "224.0.0.251", 1, 5353),
        REASON_PASS_NEW,
        &[NOT_ISOLATED_NEW],
    );
}

/// Link-local addresses are not listed in any inventory, and every IPv6 endpoint has one.
#[test]
#[ignore = "needs root and BPF"]
fn link_local_accepts_only_control_and_configured_services() {
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
    // On a bridge, passed packets are redirected, and test runs have no peer port.
    let passed = REASON_DROP_BRIDGE_PORT;
    let control = [
        frame::ip(ip(a), ip(b), Protocol(89), &[0; 16]),
        udp(a, b, 49152, 3784),
        udp("169.254.0.1", "169.254.0.2", 49152, 3784),
    ];
    for frame in &control {
        closed.expect(Hook::Xdp, frame, passed, &[NOT_ISOLATED_NEW]);
    }
    let bgp = bridge(vec![(Protocol::TCP, Some(179)), (Protocol::ICMPV6, None)]);
    bgp.expect(
        Hook::Xdp,
        &tcp(a, b, 40000, 179, SYN),
        passed,
        &[NOT_ISOLATED_NEW],
    );
    bgp.expect(Hook::Xdp, &echo(a, b, true), passed, &[NOT_ISOLATED_NEW]);
    bgp.expect(
        Hook::Xdp,
        &tcp(a, b, 40000, 80, SYN),
        REASON_DROP_LINK_LOCAL,
        &[],
    );
    // On a host the kernel's addresses decide; these are not the machine's own.
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
fn configured_ethertypes_pass_unparsed() {
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
