//! Timeouts of UDP flows.

use super::*;

#[test]
#[ignore = "needs root and BPF"]
fn udp_timeout_is_longer_after_a_reply() {
    let timeouts = Timeouts {
        // Long timeouts: in an emulated machine loading the programs takes a minute.
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
