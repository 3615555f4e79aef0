//! VLAN tags and zones.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn policy_applies_inside_up_to_two_vlan_tags() {
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
            // Without zones a reply can be untagged, because VLAN RX offload may have stripped its
            // tag.
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
fn tagged_arp_and_lldp_pass_unknown_types_drop() {
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
fn vlan_zones_separate_flows_on_both_hooks() {
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
            // A reply from another VLAN matches no flow.
            let foreign = tagged(&answer, &[(0x8100, 101)]);
            h.expect(Hook::Tc, &foreign, REASON_DROP_TCP_NO_FLOW, &[]);
            let flow = [NOT_ISOLATED, (rule, 0)];
            h.expect(Hook::Tc, &tagged(&answer, tags), REASON_PASS_FLOW, &flow);
            assert_eq!(h.flow().state, STATE_TCP_SYN_RECV);
        }
    }
}
