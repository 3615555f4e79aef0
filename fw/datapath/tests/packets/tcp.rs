//! TCP flags, sequence numbers and reuse of ports.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn impossible_tcp_flags_are_dropped() {
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
        // PSH, ECE and CWR are ignored.
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

/// A connection between the client and the pod with realistic sequence numbers.
struct Connection<'a> {
    h: &'a Harness,
    client: IpAddr,
    pod: IpAddr,
}

impl<'a> Connection<'a> {
    fn new(h: &'a Harness, family: usize) -> Self {
        Self {
            h,
            client: ip(CLIENT[family]),
            pod: ip(POD[family]),
        }
    }

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

    /// Asserts that a packet passes, and returns the flow's state.
    fn sends(&self, frame: &[u8], hook: Hook) -> u32 {
        assert!(self.h.run(hook, frame));
        self.h.flow().state
    }
}

const CLIENT_ISN: u32 = 0xffff_f000; // comes round during the connection

const POD_ISN: u32 = 1_000_000;

#[test]
#[ignore = "needs root and BPF"]
fn out_of_window_segments_cannot_close_a_connection() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let c = Connection::new(&h, family);
        assert_eq!(
            c.sends(&c.to(SYN, CLIENT_ISN, 0), Hook::Xdp),
            STATE_TCP_SYN_SENT
        );
        // The pod has not sent anything yet, so its RST must acknowledge the SYN.
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
        // 10 MB of replies, each acknowledged.
        let mut far = ack;
        for _ in 0..160 {
            far = far.wrapping_add(1 << 16);
            assert!(h.run(Hook::Tc, &c.back(ACK, far, seq)));
            assert!(h.run(Hook::Xdp, &c.to(ACK, seq, far)));
        }
        // Guesses in steps of 2^26 through all sequence numbers; none is in window.
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
        // An in-window RST moves the flow to FIN_WAIT; later traffic returns it to ESTABLISHED.
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
fn refused_connection_closes_spoofed_syn_changes_nothing() {
    let h = Harness::pooled();
    let c = Connection::new(&h, 0);
    c.sends(&c.to(SYN, CLIENT_ISN, 0), Hook::Xdp);
    let refusal = c.back(RST | ACK, 0, CLIENT_ISN.wrapping_add(1));
    assert_eq!(c.sends(&refusal, Hook::Tc), STATE_CLOSED);
    // A spoofed SYN within an established connection does not move the window.
    let h = Harness::pooled();
    let c = Connection::new(&h, 0);
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
fn spoofed_source_cannot_establish_a_flow() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let c = Connection::new(&h, family);
        c.sends(&c.to(SYN, 1, 0), Hook::Xdp);
        c.sends(&c.back(SYN_ACK, POD_ISN, 2), Hook::Tc);
        // A spoofed source has not seen the SYN-ACK.
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
fn port_is_reusable_after_half_closed_connection() {
    let h = Harness::pooled();
    let c = Connection::new(&h, 0);
    c.sends(&c.to(SYN, 100, 0), Hook::Xdp);
    c.sends(&c.back(SYN_ACK, 200, 101), Hook::Tc);
    c.sends(&c.to(ACK, 101, 201), Hook::Xdp);
    let last = c.to(FIN_ACK, 101, 201);
    assert_eq!(c.sends(&last, Hook::Xdp), STATE_TCP_FIN_WAIT);
    // The pod disappears without sending a FIN.
    let again = c.to(SYN, 90_000, 0);
    let opened = [NOT_ISOLATED_NEW, (h.rule(0), 1)];
    h.expect(Hook::Xdp, &again, REASON_PASS_NEW, &opened);
    assert_eq!(h.flow().state, STATE_TCP_SYN_SENT);
}

#[test]
#[ignore = "needs root and BPF"]
fn simultaneous_open_and_port_reuse_are_tracked() {
    for family in FAMILIES {
        let h = Harness::pooled();
        let c = Connection::new(&h, family);
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
        // Both endpoints have closed, the entry is in TIME_WAIT, and the port is reused.
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
        // The other endpoint can create a flow of its own, which policy evaluates.
        c.sends(&c.back(RST | ACK, 0, 90_001), Hook::Tc);
        let reverse = c.back(SYN, 7, 0);
        h.expect(Hook::Tc, &reverse, REASON_PASS_NEW, &[NOT_ISOLATED_NEW]);
    }
}
