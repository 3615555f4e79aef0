//! SCTP associations and verification tags.

use super::*;

/// Chunk types.
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const DATA: u8 = 0;
const ABORT: u8 = 6;
const SHUTDOWN_COMPLETE: u8 = 14;

#[test]
#[ignore = "needs root and BPF"]
fn sctp_needs_init_to_open_tag_to_abort() {
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
        // Wrong tags close no flow.
        for tag in [0, 1, 0xaaaa] {
            assert!(h.run(Hook::Xdp, &there(tag, ABORT, 0, 0)));
            assert_eq!(h.flow().state, STATE_SCTP_REPLIED);
        }
        // A spoofed INIT does not replace the tag, and one against the flow's direction is dropped.
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
