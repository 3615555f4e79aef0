//! An endpoint that policy isolates in both directions, behind each topology, and a host beside it
//! that sends random frames of every kind that docs/packets.md defines: to stations and groups,
//! from and to known, unknown, link-local, mapped and group addresses, of all protocols, whole and
//! in fragments, and damaged. Only frames that the page passes may come out at the other end; in
//! both directions.
#![cfg(target_os = "linux")]

/// The two ends, their addresses and settings.
mod arena;
/// Which frames may come out.
mod expected;
/// Receives frames, packets and connections.
mod listener;
/// Sends random frames.
mod sender;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use arena::{Arena, addresses, link_local, mac, nets, pools};
use bailey_lab::daemon::{self, POLICIES};
use bailey_lab::inline_testbed::SIDES;
use bailey_lab::{Daemon, InlineTestbed, Lab, Namespace};
use bailey_reference::{Frames, Generator, Pools};
use expected::check_frame;
use ipnet::IpNet;
use listener::Listener;
use sender::send_random_frames;

const PATIENCE: Duration = Duration::from_secs(30);

/// Frames per direction and topology; `BAILEY_FUZZ_TIMES` multiplies the number.
const FRAMES: usize = 100_000;

fn amount() -> usize {
    let times = std::env::var("BAILEY_FUZZ_TIMES").ok();
    FRAMES
        * times.map_or(1, |text| {
            text.parse().expect("BAILEY_FUZZ_TIMES is a number")
        })
}

fn seed() -> u64 {
    let seed = std::env::var("BAILEY_SEED").ok();
    seed.map_or_else(
        || fastrand::u64(..),
        |text| text.parse().expect("BAILEY_SEED is a number"),
    )
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_bailey"))
}

/// Policies that isolate the endpoint in both directions without any rule.
fn policies(addresses: &str) -> String {
    format!(
        "apiVersion: bailey.dev/v1\nkind: Workload\n\
         metadata: {{name: closed, namespace: ns}}\nspec: {{addresses: [{addresses}]}}\n---\n\
         apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: nothing, namespace: ns}}\n\
         spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}\n"
    )
}

fn launch(
    node: &Namespace,
    root: &std::path::Path,
    settings: &str,
    interfaces: &[&str],
    addresses: &str,
    isolated: &[IpNet],
) -> Daemon {
    fs::create_dir_all(root.join(POLICIES)).unwrap();
    fs::write(root.join(POLICIES).join("p.yaml"), policies(addresses)).unwrap();
    let isolated: Vec<String> = isolated.iter().map(ToString::to_string).collect();
    let text = format!(
        "interfaces = {interfaces:?}\n{settings}\n[inventory]\nisolated = {isolated:?}\n\
         [flood]\nenabled = false\n"
    );
    daemon::write_config(root, &text).unwrap();
    let mut daemon = Daemon::launch(node, root, &binary(), &[]).unwrap();
    for interface in interfaces {
        let line = format!("attached interface=\"{interface}\"");
        daemon.wait_for(&line, PATIENCE).unwrap();
    }
    daemon
}

fn send_both_ways(arena: &Arena<'_>) {
    let seed = seed();
    for (sender, receiver) in [(0, 1), (1, 0)] {
        let ends = arena.ends;
        let own = [0, 1].map(|end| mac(ends[end].0, ends[end].1));
        println!(
            "{}, from end {sender}: BAILEY_SEED={seed}, {} frames",
            arena.name,
            amount()
        );
        let mut stations = arena.stations[sender].clone();
        stations.push([2, 0, 0, 0, 0xde, 0xad]);
        // All frames have the sender's hardware address, so that no bridge or neighbour table
        // learns another.
        let pools = Pools {
            stations,
            from: own[sender],
            ipv4: arena.pools.0.clone(),
            ipv6: arena.pools.1.clone(),
        };
        let generator = Generator::with_pools(seed, arena.frames.clone(), pools);
        // Send, and collect what comes out.
        let listener = Listener::start(ends[receiver].0, own[receiver]);
        send_random_frames(ends[sender].0, ends[sender].1, generator, own[sender]);
        let (frames, received) = listener.end();
        // A packet back to its own end may still wait for neighbour resolution. It must not come out
        // while the other end sends.
        arena.machine.ip("neighbour flush all").unwrap();
        // Each frame must be allowed to pass.
        let mut passed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut wrongs = Vec::new();
        for frame in &frames {
            match check_frame(frame, arena, sender) {
                Ok(reason) => *passed.entry(reason).or_default() += 1,
                Err(what) => wrongs.push(what),
            }
        }
        println!("  came out: {passed:?}");
        assert!(
            wrongs.is_empty(),
            "{} frames got past policy ({}, from end {sender}), such as\n{}",
            wrongs.len(),
            arena.name,
            wrongs[..wrongs.len().min(10)].join("\n")
        );
        // Sockets may receive packets only if packets without isolated ends passed.
        let open = passed
            .keys()
            .any(|reason| reason.contains("no end isolated"));
        assert!(open || received.is_empty(), "sockets received {received:?}");
        assert!(
            frames.len() >= arena.min_frames,
            "only {} came out",
            frames.len()
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_on_bridge() {
    let wire = InlineTestbed::new().unwrap();
    let isolated = nets(&["10.9.0.0/24", "fd09::/64"]);
    let _daemon = launch(
        &wire.bump,
        wire.root(),
        "topology = \"bridge\"\n[sources]\nexternal = [\"left0\"]\n\
         internal = [\"10.9.0.0/24\", \"fd09::/64\"]",
        &SIDES,
        "10.9.0.2, \"fd09::2\"",
        &isolated,
    );
    // The ends: the hosts on both sides of the bridge.
    let macs = [mac(&wire.left, "eth0"), mac(&wire.right, "eth0")];
    send_both_ways(&Arena {
        name: "bridge",
        machine: &wire.bump,
        ends: [(&wire.left, "eth0"), (&wire.right, "eth0")],
        stations: [vec![macs[1]], vec![macs[0]]],
        frames: Frames {
            bridge: true,
            internal: isolated.clone(),
            ..Frames::default()
        },
        isolated,
        knows_sources: true,
        machine_addresses: Vec::new(),
        broadcasts: Vec::new(),
        pools: pools(
            &["10.9.0.2", "10.9.0.1", "10.9.0.77", "10.9.0.255"],
            &["fd09::2", "fd09::1", "fd09::77", "fd09::"],
            &macs.map(link_local),
        ),
        min_frames: 1000,
    });
}

/// `[sources]` of the lab.
const SOURCES: &str =
    "[sources]\nexternal = [\"nic0\"]\ninternal = [\"10.42.0.0/24\", \"fd42::/64\"]";

/// Broadcast addresses of the subnets of the lab's NIC.
const BROADCASTS: [&str; 2] = ["203.0.113.255", "198.51.100.255"];

/// IPv6 subnets of the lab's node.
const SUBNETS: [&str; 2] = ["2001:db8:a::/64", "2001:db8:b::/64"];

/// Sends random frames in a lab whose workload `web` is isolated in both directions.
fn run_in_lab(name: &'static str, settings: &str, interfaces: &[&str]) {
    let lab = Lab::new().unwrap();
    let isolated = nets(&["10.42.0.0/24", "fd42::/64"]);
    let _daemon = launch(
        &lab.node,
        lab.root(),
        settings,
        interfaces,
        "10.42.0.11, \"fd42::11\"",
        &isolated,
    );
    lab.wait_for_carrier();
    // The ends: the external host and the isolated workload.
    let web = lab.workload("web");
    let near = [mac(&lab.node, "nic0"), mac(&lab.node, "web")];
    send_both_ways(&Arena {
        name,
        machine: &lab.node,
        ends: [(&lab.outside, "eth0"), (web, "eth0")],
        stations: near.map(|mac| vec![mac]),
        frames: Frames {
            subnets: nets(&SUBNETS),
            internal: isolated.clone(),
            ..Frames::default()
        },
        isolated,
        // At the egress hook of a host the source is only checked for packets that create a flow.
        knows_sources: name == "router",
        machine_addresses: addresses(&lab.node),
        broadcasts: BROADCASTS.map(|text| text.parse().unwrap()).to_vec(),
        pools: pools(
            &["10.42.0.11", "10.42.0.77", "203.0.113.10", "203.0.113.1"],
            &["fd42::11", "fd42::77", "2001:db8:a::10", "2001:db8:a::1"],
            &near.map(link_local),
        ),
        min_frames: 0,
    });
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_through_host() {
    run_in_lab("host", SOURCES, &["nic0"]);
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_through_router() {
    run_in_lab(
        "router",
        &format!("topology = \"router\"\n{SOURCES}"),
        &["nic0", "web", "db"],
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn random_frames_cannot_bypass_policy_to_macvlan() {
    let lab = Lab::new().unwrap();
    let pod = Namespace::new().unwrap();
    bailey_lab::add_macvlan(&lab.node, "nic0", &pod, "eth0").unwrap();
    // The isolated endpoint: a macvlan on the NIC.
    for address in ["203.0.113.50/24", "2001:db8:a::50/64"] {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        pod.ip(&format!("address add {address} dev eth0 {nodad}"))
            .unwrap();
    }
    let isolated = nets(&[
        "203.0.113.48/28",
        "2001:db8:a::48/125",
        "2001:db8:a::50/124",
    ]);
    let _daemon = launch(
        &lab.node,
        lab.root(),
        "",
        &["nic0"],
        "203.0.113.50, \"2001:db8:a::50\"",
        &isolated,
    );
    lab.wait_for_carrier();
    // The ends: the external host and the macvlan.
    let macs = [mac(&lab.outside, "eth0"), mac(&pod, "eth0")];
    send_both_ways(&Arena {
        name: "macvlan",
        machine: &lab.node,
        ends: [(&lab.outside, "eth0"), (&pod, "eth0")],
        stations: [vec![macs[1]], vec![macs[0]]],
        frames: Frames {
            subnets: nets(&SUBNETS),
            ..Frames::default()
        },
        isolated,
        knows_sources: false,
        machine_addresses: addresses(&lab.node),
        broadcasts: BROADCASTS.map(|text| text.parse().unwrap()).to_vec(),
        pools: pools(
            &[
                "203.0.113.50",
                "203.0.113.51",
                "203.0.113.10",
                "203.0.113.255",
            ],
            &[
                "2001:db8:a::50",
                "2001:db8:a::51",
                "2001:db8:a::10",
                "2001:db8:a::",
            ],
            &macs.map(link_local),
        ),
        min_frames: 100,
    });
}
