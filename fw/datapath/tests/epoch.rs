//! Stamps of 16 bits under many epochs: a flow of an old epoch is never taken for a current one, with
//! or without a daemon.

mod harness;

use bailey_bpf::abi::*;
use bailey_datapath::maps::hook::Hook;
use harness::*;
use ipnet::IpNet;

/// Blocks and unblocks without a daemon and without a sweeper. The flow of a blocked client keeps the
/// stamp of the epoch before its block, and would pass as soon as that stamp counted as current.
#[test]
#[ignore = "needs root and BPF"]
fn blocked_flow_stays_blocked_for_70000_epochs() {
    const EPOCHS: u32 = 70_000;
    let h = Harness::small();
    for family in [0, 1] {
        h.handshake(CLIENT[family], POD[family], 40000);
    }
    let blocks = || h.datapath.blocks().unwrap();
    let clients: [IpNet; 2] = CLIENT.map(|client| ip(client).into());
    blocks().add(&clients, 3600, "", 0).unwrap();
    let other: [IpNet; 1] = ["203.0.113.1/32".parse().unwrap()];
    let mut begun = 0;
    let mut before = h.datapath.control().epoch;
    while begun < EPOCHS {
        blocks().add(&other, 3600, "", 0).unwrap();
        blocks().remove(&other).unwrap();
        let epoch = h.datapath.control().epoch;
        assert_ne!(epoch & META_EPOCH_MASK, 0, "no stamp is current in {epoch}");
        begun += epoch.wrapping_sub(before) & CONTROL_EPOCH_MASK;
        before = epoch;
        for family in [0, 1] {
            let packet = tcp(CLIENT[family], POD[family], 40000, 80, ACK);
            assert!(!h.run(Hook::Xdp, &packet), "after {begun} epochs");
        }
    }
    // The flow has stayed.
    blocks().remove(&clients).unwrap();
    for family in [0, 1] {
        let packet = tcp(CLIENT[family], POD[family], 40000, 80, ACK);
        assert!(h.run(Hook::Xdp, &packet));
    }
}

/// The bound is needed: without any pass over the table, the stamp becomes current again.
#[test]
#[ignore = "needs root and BPF"]
fn unbounded_epochs_would_revive_a_stamp() {
    let h = Harness::small();
    h.handshake(CLIENT[0], POD[0], 40000);
    let client: [IpNet; 1] = [ip(CLIENT[0]).into()];
    h.datapath
        .blocks()
        .unwrap()
        .add(&client, 3600, "", 0)
        .unwrap();
    let packet = tcp(CLIENT[0], POD[0], 40000, 80, ACK);
    assert!(!h.run(Hook::Xdp, &packet));
    let epoch = h.datapath.control().epoch;
    h.datapath.set_epoch(epoch + META_EPOCH_MASK / 2 + 1);
    assert!(h.run(Hook::Xdp, &packet), "the stamp counts as ahead");
}
