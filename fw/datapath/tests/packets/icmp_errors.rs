//! ICMP errors and the flows that they quote.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn icmp_error_matches_the_flow_it_quotes() {
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
        // Errors to the pod and to the client about packets they sent, from any router.
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
        // Quotes of 8 bytes of layer 4, or fewer.
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
        // Quotes of another host's packet, of another flow, and against the direction.
        let foreign = error(router, pod, packet(&there));
        h.expect(Hook::Xdp, &foreign, REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
        let other = error(router, pod, packet(&tcp(pod, client, 81, 40000, ACK)));
        h.expect(Hook::Xdp, &other, REASON_DROP_ICMP_ERROR, &[]);
        // An error that quotes an error.
        let nested = error(router, pod, packet(&error(pod, router, packet(&there))));
        h.expect(Hook::Xdp, &nested, REASON_DROP_ICMP_ERROR_PAYLOAD, &[]);
        // Errors do not change the flow.
        assert_eq!(h.flow(), before);
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn icmp_error_revalidates_its_flow() {
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
fn icmp_errors_match_udp_echo_and_extension_headers() {
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
    // A quoted first fragment has ports, a later one does not.
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
