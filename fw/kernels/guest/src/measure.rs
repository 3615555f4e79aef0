//! Checks that end in numbers: what the verifier processed, what a packet costs, what a NIC offers.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use bailey_bpf::reason::Reason;
use bailey_compile::{CompileLimits, RuleIds, Tables, compile};
use bailey_config::{Frames, OnPolicyChange, Settings, Topology, Tunnel, TunnelKind};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::{Fragment, fragment, ipv6_chain, tagged};
use bailey_datapath::program::test_run::TestRun;
use bailey_datapath::testing::DatapathTesting;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use bailey_kernels::plan::VALUE;
use bailey_lab::interface_in_slot;
use bailey_policy::{
    Endpoint, EndpointKind, EndpointRef, IpBlock, Labels, NetworkPolicy, Peer, PolicyRef,
    PortMatch, PortRange, PortSpec, Protocol, Rule, Selector, Snapshot, SourceLocation,
};

/// The same of a firewall in the common style.
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

fn record(name: &str, value: impl std::fmt::Display) {
    println!("{VALUE}{name}={value}");
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// One isolated pod; TCP and UDP port 80 are open to a prefix of each family.
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

/// Loads every variant of the programs, and records what the verifier processed.
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
                flow_counters: false,
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

/// A frame whose cost is recorded: what must have been seen before it, and its reason.
struct Fixture {
    name: String,
    before: Vec<(Hook, Vec<u8>)>,
    hook: Hook,
    frame: Vec<u8>,
    passes: bool,
}

fn fixtures() -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    for (family, name) in [(0, "ipv4"), (1, "ipv6")] {
        let (client, pod) = (ip(CLIENT[family]), ip(POD[family]));
        let stranger = ip(STRANGER[family]);
        let tcp = |from, to, sport, dport, flags| {
            frame::ip(from, to, Protocol::TCP, &frame::tcp(sport, dport, flags))
        };
        let udp = |from, to, dport| frame::ip(from, to, Protocol::UDP, &frame::udp(40000, dport));
        let part = |id, offset, more, bytes: &[u8]| {
            fragment(
                client,
                pod,
                Protocol::UDP,
                Fragment { id, offset, more },
                bytes,
            )
        };
        let mut datagram = frame::udp(40000, 80);
        datagram.resize(64, 0);
        let handshake = vec![
            (Hook::Xdp, tcp(client, pod, 40000, 80, SYN)),
            (Hook::Tc, tcp(pod, client, 80, 40000, SYN_ACK)),
            (Hook::Xdp, tcp(client, pod, 40000, 80, ACK)),
        ];
        let (protocol, kind) = [(Protocol::ICMP, 3), (Protocol::ICMPV6, 1)][family];
        let mut error = vec![kind, 4, 0, 0, 0, 0, 5, 0];
        error.extend(&tcp(client, pod, 40000, 80, ACK)[14..]);
        let mut add = |what: &str, before: &[(Hook, Vec<u8>)], hook, frame: Vec<u8>, passes| {
            fixtures.push(Fixture {
                name: format!("{name}.{what}"),
                before: before.to_vec(),
                hook,
                frame,
                passes,
            });
        };
        let established = tcp(client, pod, 40000, 80, ACK);
        let answer = tcp(pod, client, 80, 40000, ACK);
        add(
            "established",
            &handshake,
            Hook::Xdp,
            established.clone(),
            true,
        );
        add("established-tc", &handshake, Hook::Tc, answer, true);
        let vlan = tagged(&established, &[(0x8100, 7)]);
        add("established-vlan", &handshake, Hook::Xdp, vlan, true);
        let related = frame::ip(pod, client, protocol, &error);
        add("icmp-error", &handshake, Hook::Tc, related, true);
        add(
            "denied-tcp",
            &[],
            Hook::Xdp,
            tcp(stranger, pod, 1, 80, SYN),
            false,
        );
        add("denied-udp", &[], Hook::Xdp, udp(stranger, pod, 80), false);
        add(
            "stray-ack",
            &[],
            Hook::Xdp,
            tcp(stranger, pod, 1, 80, ACK),
            false,
        );
        let first = [(Hook::Xdp, part(1, 0, true, &datagram))];
        add(
            "fragment-later",
            &first,
            Hook::Xdp,
            part(1, 64, false, &datagram),
            true,
        );
        add(
            "fragment-stray",
            &[],
            Hook::Xdp,
            part(2, 64, false, &datagram),
            false,
        );
        let mut truncated = established;
        truncated.truncate(30);
        add("truncated", &[], Hook::Xdp, truncated, false);
    }
    let options = vec![(60, vec![0, 0, 1, 4, 0, 0, 0, 0]); 8];
    let segment = frame::tcp(1, 80, SYN);
    let chain = ipv6_chain(
        ip(STRANGER[1]),
        ip(POD[1]),
        &options,
        Protocol::TCP,
        &segment,
    );
    fixtures.push(Fixture {
        name: "ipv6.eight-extension-headers".into(),
        before: Vec::new(),
        hook: Hook::Xdp,
        frame: chain,
        passes: false,
    });
    fixtures
}

fn passed(runner: &TestRun, hook: Hook, frame: &[u8]) -> Result<bool> {
    const XDP_PASS: u32 = 2;
    let code = runner.run(hook, frame, 1)?;
    Ok(match hook {
        Hook::Xdp => code == XDP_PASS,
        Hook::Tc => code == u32::MAX,
    })
}

/// What a run costs, in what the clock counts: instructions, under `-icount shift=0`.
fn packets() -> Result<()> {
    const REPEAT: u32 = 2000;
    // One for all: where instructions are counted, the verifier's take minutes.
    let datapath = open(Settings::default())?;
    let runner = datapath.test_run()?;
    let counted = || -> Result<u64> {
        let reasons = datapath.counters()?.reasons();
        ensure!(
            reasons.keys().all(|(_, r)| Reason::of(*r).is_some()),
            "a reason without a name"
        );
        Ok(reasons.values().map(|count| count.packets).sum())
    };
    for fixture in fixtures() {
        datapath.forget_flows()?;
        let earlier = counted()?;
        for (hook, frame) in &fixture.before {
            ensure!(
                passed(&runner, *hook, frame)?,
                "{}: a packet before it",
                fixture.name
            );
        }
        let passes = passed(&runner, fixture.hook, &fixture.frame)?;
        ensure!(
            passes == fixture.passes,
            "{}: passes is {passes}",
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

/// The interface in a PCI slot: its driver, and what it says it can.
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
