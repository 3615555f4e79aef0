//! VXLAN and Geneve tunnels.

use super::*;

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
fn policy_applies_inside_a_tunnel() {
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
            // Without configuration, a tunnel packet is an ordinary datagram.
            plain.forget();
            let sent = wrap(&syn, &vxlan, 4789, PEER[outer]);
            plain.expect(Hook::Xdp, &sent, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
        }
    }
}
