//! Checks that record values: instructions of the verifier, instructions per packet, capabilities
//! of a NIC.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use bailey_bpf::reason::Reason;
use bailey_compile::{CompileLimits, RuleIds, Tables, compile};
use bailey_config::{Frames, OnPolicyChange, Settings, Topology, Tunnel, TunnelKind};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::test_run::TestRun;
use bailey_datapath::testing::DatapathTesting;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use bailey_kernels::plan::VALUE;
use bailey_lab::interface_in_slot;
use bailey_policy::{
    Endpoint, EndpointKind, EndpointRef, IpBlock, Labels, NetworkPolicy, Peer, PolicyRef,
    PortMatch, PortRange, PortSpec, Protocol, Rule, Selector, Snapshot, SourceLocation,
};

/// The frames whose cost is recorded.
mod fixtures;
/// The LRU-hash/LPM baseline on the same frames.
mod reference;

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const CLIENT: [&str; 2] = ["10.1.0.9", "fd01::9"];
const POD: [&str; 2] = ["10.0.0.1", "fd00::1"];
const STRANGER: [&str; 2] = ["10.3.0.9", "fd03::9"];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["programs"] => programs(),
        ["packets"] => packets(),
        ["nic", slot] => nic(slot),
        _ => bail!("measure programs | packets | nic PCI-SLOT"),
    }
}

/// Prints a value to be recorded.
fn record(name: &str, value: impl std::fmt::Display) {
    println!("{VALUE}{name}={value}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// One isolated pod that allows TCP and UDP port 80 from a prefix of each family.
fn tables() -> Result<Tables> {
    let peer = |cidr: &str| {
        Peer::IpBlock(IpBlock {
            cidr: cidr.parse().expect("a prefix"),
            except: Vec::new(),
        })
    };
    let ports = [Protocol::TCP, Protocol::UDP].map(|protocol| PortMatch {
        protocol,
        port: PortSpec::Range(PortRange::single(80)),
    });
    let rule = Rule {
        peers: vec![peer("10.1.0.0/16"), peer("fd01::/64")],
        ports: ports.into(),
        ..Rule::default()
    };
    let policy = NetworkPolicy {
        id: PolicyRef {
            namespace: "ns".into(),
            name: "web".into(),
        },
        pod_selector: Selector::default(),
        ingress: Some(vec![rule]),
        egress: None,
        location: SourceLocation::default(),
    };
    let pod = Endpoint {
        id: EndpointRef {
            kind: EndpointKind::Pod,
            namespace: "ns".into(),
            name: "web".into(),
        },
        labels: Labels::default(),
        addresses: POD.map(ip).into(),
        ports: Vec::new(),
        node: None,
    };
    let snapshot = Snapshot::new([], vec![pod], Vec::new(), vec![policy]);
    Ok(compile(
        &snapshot,
        &RuleIds::default(),
        &CompileLimits::default(),
    )?)
}

/// Opens a datapath with these settings and small tables, and installs [`tables`].
fn open(settings: Settings) -> Result<Datapath> {
    let settings = Settings {
        flows: 4096,
        rules: 256,
        ..settings
    };
    let mut datapath = Datapath::open(PinDir::private()?, settings, RuleIds::default())?;
    datapath.install(&tables()?)?;
    Ok(datapath)
}

/// Settings that enable all optional parts of the parser.
fn all_frames() -> Frames {
    Frames {
        groups: Vec::new(),
        link_local: Vec::new(),
        vlan_zones: true,
        dhcp: true,
        ethertypes: vec![0x88f7],
        tunnels: vec![Tunnel {
            kind: TunnelKind::Vxlan,
            port: 4789,
            peers: vec!["10.0.0.0/8".parse().expect("a prefix")],
        }],
    }
}

/// Loads every variant of the programs, and records the instructions that the verifier processed.
fn programs() -> Result<()> {
    let variants = [
        ("host", Settings::default()),
        (
            "bridge",
            Settings {
                topology: Topology::Bridge,
                ..Settings::default()
            },
        ),
        (
            "router",
            Settings {
                topology: Topology::Router,
                ..Settings::default()
            },
        ),
        (
            "all",
            Settings {
                frames: all_frames(),
                tcp_strict: true,
                on_policy_change: OnPolicyChange::Keep,
                ..Settings::default()
            },
        ),
    ];
    for (variant, settings) in variants {
        let datapath = open(settings).context(variant)?;
        for (program, instructions) in datapath.verified_instructions() {
            record(&format!("{variant}.{program}"), instructions);
        }
    }
    Ok(())
}

/// Whether a frame passes at a hook.
fn passed(runner: &TestRun, hook: Hook, frame: &[u8]) -> Result<bool> {
    const XDP_PASS: u32 = 2;
    let code = runner.run(hook, frame, 1)?;
    Ok(match hook {
        Hook::Xdp => code == XDP_PASS,
        Hook::Tc => code == u32::MAX,
    })
}

/// Records the cost of each fixture in units of the clock, which are instructions under `-icount
/// shift=0`.
fn packets() -> Result<()> {
    const REPEAT: u32 = 2000;
    // One datapath for all fixtures: on this clock, the verifier takes minutes per load.
    let datapath = open(Settings::default())?;
    let runner = datapath.test_run()?;
    let counted = || -> Result<u64> {
        let reasons = datapath.counters()?.reasons();
        ensure!(
            reasons.keys().all(|(_, r)| Reason::of(*r).is_some()),
            "the counters contain a reason without a name"
        );
        Ok(reasons.values().map(|count| count.packets).sum())
    };
    for fixture in fixtures::all() {
        datapath.forget_flows()?;
        let earlier = counted()?;
        for (hook, frame) in &fixture.before {
            ensure!(
                passed(&runner, *hook, frame)?,
                "{}: a preparing packet was dropped",
                fixture.name
            );
        }
        let passes = passed(&runner, fixture.hook, &fixture.frame)?;
        ensure!(
            passes == fixture.passes,
            "{}: the frame passes: {passes}",
            fixture.name
        );
        let cost = runner.measure(fixture.hook, &fixture.frame, REPEAT)?;
        record(&fixture.name, cost);
        let counted = counted().context(fixture.name.clone())? - earlier;
        let sent = fixture.before.len() as u64 + 1 + u64::from(REPEAT);
        ensure!(
            counted == sent,
            "{}: {sent} frames, {counted} counted",
            fixture.name
        );
    }
    reference::packets(REPEAT)
}

/// Records the capabilities that the NIC in a PCI slot reports.
fn nic(slot: &str) -> Result<()> {
    let name = interface_in_slot(slot).with_context(|| format!("no interface in slot {slot}"))?;
    let nic = xdp::nic::NicIndex::lookup_by_name(&std::ffi::CString::new(name.as_str())?)?
        .with_context(|| name.clone())?;
    match nic.query_capabilities() {
        Ok(capabilities) => record("zero-copy", format!("{:?}", capabilities.zero_copy)),
        Err(error) => record("zero-copy", format!("unknown ({error})")),
    }
    Ok(())
}
