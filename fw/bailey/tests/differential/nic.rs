//! Packets that come in through a NIC of a machine: own addresses, groups and link-local addresses
//! come before policies; the rules `self` and `own-node` do not apply, because they hold only for
//! packets that the machine sends. The oracle and the attached program agree on the reason.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use bailey_bpf::abi;
use bailey_compile::{CompileLimits, RuleIds, compile};
use bailey_config::{Flood, Frames, Settings, Topology};
use bailey_config::{Interface, XdpMode};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::test_run::TestRun;
use bailey_datapath::testing::DatapathTesting;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use bailey_lab::Namespace;
use bailey_policy::{
    Connection, Endpoint, IsolatedDirections, LinkScope, OutOfScope, Snapshot, oracle,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};

use crate::scenario::{OWN, OWN_BROADCAST, scenario};
use crate::{PACKETS, bridge, random_from, reaches_policy, seed};

/// Random snapshots per topology.
const SNAPSHOTS: usize = 30;

/// A network namespace whose NIC has the addresses of [`OWN`].
fn machine() -> Namespace {
    let node = Namespace::new().unwrap();
    for line in [
        "link add nic type veth peer name other",
        "link set lo up",
        "link set nic up",
        "link set other up",
    ] {
        node.ip(line).unwrap();
    }
    for address in OWN {
        let length = if address.contains(':') { 64 } else { 24 };
        node.ip(&format!("address add {address}/{length} dev nic nodad"))
            .unwrap();
    }
    node
}

/// Takes the link down: the program would also count packets that the kernel sends by itself.
fn quieten() {
    let down = ["link", "set", "other", "down"];
    let status = Command::new("ip").args(down).status().unwrap();
    assert!(status.success(), "{down:?}");
}

/// Splits each endpoint into endpoints with one address, so that no endpoint is its own peer.
fn without_self(snapshot: &Snapshot) -> Snapshot {
    let mut endpoints = Vec::new();
    for endpoint in snapshot.endpoints() {
        for (number, &address) in endpoint.addresses.iter().enumerate() {
            let mut one = Endpoint::clone(endpoint);
            one.id.name = format!("{}-{number}", one.id.name);
            one.addresses = vec![address];
            endpoints.push(Arc::new(one));
        }
    }
    let host_pods = snapshot.host_pods().to_vec();
    let policies = snapshot.policies().to_vec();
    Snapshot::new(
        snapshot.namespaces().clone(),
        endpoints,
        host_pods,
        policies,
    )
    .with_declared_prefixes(snapshot.declared_prefixes().iter().copied())
    .without_own_nodes()
}

/// The reason that the oracle expects for a packet.
fn expected(snapshot: &Snapshot, scope: &LinkScope, connection: &Connection) -> u32 {
    match scope.find_exclusion(IsolatedDirections::from(snapshot), connection) {
        Some(OutOfScope::Spoofed) => abi::REASON_DROP_SPOOFED,
        Some(OutOfScope::Group) => abi::REASON_DROP_GROUP,
        Some(OutOfScope::LinkLocal) => abi::REASON_DROP_LINK_LOCAL,
        None if oracle::evaluate(snapshot, connection).is_allowed() => abi::REASON_PASS_NEW,
        None => abi::REASON_DROP_POLICY,
    }
}

/// The reason under which the attached program counts a packet.
fn counted(datapath: &Datapath, runner: &TestRun, frame: &[u8]) -> u32 {
    datapath.forget_flows().unwrap();
    let packets = || {
        let reasons = datapath.counters().unwrap().reasons();
        let xdp = reasons
            .into_iter()
            .filter(|((hook, _), _)| *hook == abi::HOOK_XDP);
        xdp.map(|((_, reason), count)| (reason, count.packets))
            .collect::<BTreeMap<_, _>>()
    };
    let before = packets();
    runner.run(Hook::Xdp, frame, 1).unwrap();
    let grown: Vec<u32> = packets()
        .into_iter()
        .filter(|(reason, count)| before.get(reason) != Some(count))
        .map(|(reason, _)| reason)
        .collect();
    assert_eq!(grown.len(), 1, "counted under {grown:?}");
    grown[0]
}

/// The settings that correspond to a scope.
fn settings_of(topology: Topology, scope: &LinkScope) -> Settings {
    Settings {
        flows: 64,
        topology,
        frames: Frames {
            groups: scope.groups.clone(),
            link_local: scope.services.clone(),
            ..Frames::default()
        },
        flood: Flood {
            enabled: false,
            ..Flood::default()
        },
        ..Settings::default()
    }
}

/// Compares the oracle and the attached program in one topology.
fn compare(topology: Topology) {
    let scope = LinkScope {
        own: OWN.map(|text| text.parse().unwrap()).into(),
        broadcasts: vec![OWN_BROADCAST.parse().unwrap()],
        ..LinkScope {
            bridge: false,
            ..bridge()
        }
    };
    let settings = settings_of(topology, &scope);
    let pins = PinDir::private().unwrap();
    let mut datapath = Datapath::open(pins, settings, RuleIds::default()).unwrap();
    let runner = datapath.test_run().unwrap();
    // Packets of random snapshots; the NIC is attached after the first install.
    let mut random = TestRunner::new_with_rng(Config::default(), random_from(seed()));
    let mut met: BTreeMap<u32, usize> = BTreeMap::new();
    for number in 0..SNAPSHOTS {
        let scenario = scenario(PACKETS).new_tree(&mut random).unwrap().current();
        let snapshot = scenario.snapshot(false);
        let on_wire = without_self(&snapshot);
        let tables = compile(&snapshot, &RuleIds::default(), &CompileLimits::default()).unwrap();
        datapath.install(&tables).unwrap();
        if number == 0 {
            let nic = Interface {
                name: "nic".into(),
                mode: XdpMode::Generic,
                external: false,
            };
            datapath.attach(&[nic], false).unwrap();
            quieten();
        }
        for connection in scenario
            .connections(&snapshot)
            .iter()
            .filter(|c| reaches_policy(c))
        {
            let mut frame = frame::opening(connection);
            if scope
                .broadcasts
                .iter()
                .any(|all| *all == connection.destination)
            {
                // A broadcast packet needs a broadcast frame: in a unicast frame it would be
                // dropped.
                frame[..6].fill(0xff);
            }
            let wanted = expected(&on_wire, &scope, connection);
            let got = counted(&datapath, &runner, &frame);
            assert_eq!(
                got, wanted,
                "{topology:?}, {connection}: reason, and the oracle's\n{snapshot:#?}"
            );
            *met.entry(got).or_default() += 1;
        }
    }
    // Every reason must have been met.
    println!("{topology:?}: {met:?} packets by reason");
    for reason in [
        abi::REASON_PASS_NEW,
        abi::REASON_DROP_POLICY,
        abi::REASON_DROP_SPOOFED,
        abi::REASON_DROP_GROUP,
        abi::REASON_DROP_LINK_LOCAL,
    ] {
        assert!(met.contains_key(&reason), "reason {reason} was never met");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn oracle_and_kernel_agree_at_host_nic() {
    for topology in [Topology::Host, Topology::Router] {
        machine().run(move || compare(topology));
    }
}
