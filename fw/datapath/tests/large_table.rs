//! A table of more than 4 M flows is an array of buckets that programs look up.

mod harness;

use bailey_bpf::abi::*;
use bailey_datapath::maps::hook::Hook;
use harness::*;

#[test]
#[ignore = "needs root and BPF"]
fn table_beyond_direct_addresses_holds_flows() {
    let h = Harness::new(table_for((1 << 22) + 1));
    let rules = [(RULE_NOT_ISOLATED, 0), (h.rule(0), 0)];
    for family in [0, 1] {
        let (client, pod) = (CLIENT[family], POD[family]);
        let ack = tcp(client, pod, 40000, 80, ACK);
        h.handshake(client, pod, 40000);
        h.expect(Hook::Xdp, &ack, REASON_PASS_FLOW, &rules);
    }
    let flows = h.audit();
    assert_eq!(flows.len(), 2);
    for flow in &flows {
        let packets = (flow.original.packets, flow.reply.packets);
        assert_eq!(packets, (3, 1), "{flow:?}");
    }
    assert!(h.datapath.open_again().unwrap().is_adopted());
    assert_eq!(h.flows().len(), 2);
}
