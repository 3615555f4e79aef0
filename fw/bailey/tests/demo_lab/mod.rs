//! The lab with the demo's policies, its addresses, and assertions on its state.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test binary uses a part"
)]

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bailey_datapath::kernel::{af_xdp, netlink};
use bailey_lab::daemon::POLICIES;
use bailey_lab::topology::NIC;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Namespace, daemon, schema};
use serde_json::Value;

pub const WEB: [&str; 2] = ["10.42.0.11", "fd42::11"];
pub const DB: [&str; 2] = ["10.42.0.12", "fd42::12"];
pub const BACKUP: [&str; 2] = ["203.0.113.10", "2001:db8:a::10"];
pub const STRANGER: [&str; 2] = ["198.51.100.20", "2001:db8:b::20"];
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Log text of an attached interface; with `=`, so that the line "nothing attached" does not match.
pub const ATTACHED: &str = "attached interface=";
pub const COMMITTED: &str = "generation committed";

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn at(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(text), port)
}

pub fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_bailey"))
}

/// The last version with the former layout of the flow table.
pub fn former() -> PathBuf {
    let path = std::env::var("BAILEY_LAYOUT7");
    PathBuf::from(path.expect("BAILEY_LAYOUT7 names a bailey with layout 7; .ci/test builds it"))
}

pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/demo")
}

pub fn lab() -> Lab {
    let lab = Lab::new().unwrap();
    let policies = lab.root().join(POLICIES);
    fs::create_dir(&policies).unwrap();
    for file in ["inventory.yaml", "policies.yaml"] {
        fs::copy(demo().join(file), policies.join(file)).unwrap();
    }
    lab
}

/// Sends frames unchanged out of an interface.
pub fn send_frames(namespace: &Namespace, interface: &'static str, frames: Vec<Vec<u8>>) {
    namespace.run(move || {
        let found = netlink::interface_by_name(interface).unwrap().unwrap();
        let mut socket = af_xdp::Socket::open(found.index, 0, af_xdp::CopyPolicy::Always).unwrap();
        let mut left = &frames[..];
        while !left.is_empty() {
            let mut batch = left.iter();
            let sent = socket.send(left.len(), |room| {
                let frame = batch.next().unwrap();
                room[..frame.len()].copy_from_slice(frame);
                frame.len()
            });
            left = &left[sent.unwrap()..];
            while !socket.flush().unwrap() {
                std::thread::yield_now();
            }
        }
    });
    sleep(Duration::from_millis(300));
}

/// Hardware address of an interface.
pub fn mac_of(namespace: &Namespace, interface: &'static str) -> [u8; 6] {
    let found = namespace.run(move || netlink::interface_by_name(interface));
    found.unwrap().unwrap().mac.unwrap()
}

/// Waits until a condition holds; fails after [`PATIENCE`].
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(50));
    }
}

pub fn start(lab: &Lab, extra: &str) -> Daemon {
    let mut daemon = Daemon::start(lab, &binary(), extra).unwrap();
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    lab.wait_for_carrier();
    daemon
}

/// Waits for the control socket, which opens a moment after the programs are attached.
pub fn wait_for_socket(lab: &Lab) {
    let socket = lab.root().join("run/bailey.sock");
    wait_until("control socket", || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
}

pub fn policies(lab: &Lab) -> PathBuf {
    lab.root().join(POLICIES).join("policies.yaml")
}

/// Revokes or restores the backup machine's permission, and waits for the commit.
pub fn set_backup_permission(lab: &Lab, daemon: &mut Daemon, allowed: bool) {
    let (from, to) = if allowed {
        ("nobody", "backup")
    } else {
        ("backup", "nobody")
    };
    let text = fs::read_to_string(policies(lab)).unwrap();
    let edited = text.replace(&format!("{{role: {from}}}"), &format!("{{role: {to}}}"));
    assert_ne!(text, edited);
    fs::write(policies(lab), edited).unwrap();
    daemon.wait_for(COMMITTED, PATIENCE).unwrap();
}

/// Asserts that the demo's policies are enforced: the backup machine reaches the database, the
/// stranger does not.
pub fn assert_enforced(lab: &Lab) {
    let outside = &lab.outside;
    assert_eq!(
        traffic::ping(outside, ip(BACKUP[0]), ip(DB[0])),
        Observed::Allowed
    );
    assert_eq!(
        traffic::ping(outside, ip(STRANGER[0]), ip(DB[0])),
        Observed::Silent
    );
}

pub fn assert_detached(lab: &Lab) {
    let links = lab.node.run(|| {
        let output = std::process::Command::new("ip")
            .args(["-d", "link", "show", "nic0"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    assert!(links.contains("nic0") && !links.contains("xdp"), "{links}");
    assert!(!lab.root().join("bpf/bailey").exists(), "pins are left");
}

/// Runs a verb with the lab's configuration, with or without a daemon.
pub fn ask(lab: &Lab, verb: &str) -> Output {
    daemon::query(&lab.node, lab.root(), &binary(), verb).unwrap()
}

/// The JSON output of a verb, checked against its schema.
pub fn json(lab: &Lab, verb: &str) -> Value {
    let output = ask(lab, &format!("{verb} -o json"));
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{verb}: {error}: {stderr}")
    });
    schema::assert_valid_output(verb, &answer);
    answer
}

/// Packets with a reason on an interface and hook.
pub fn counted(lab: &Lab, interface: &str, hook: &str, reason: &str) -> u64 {
    packets(lab, |row| {
        row["interface"] == interface && row["hook"] == hook && row["reason"] == reason
    })
}

/// Sum of the packets in the counter rows that match.
fn packets(lab: &Lab, wanted: impl Fn(&Value) -> bool) -> u64 {
    let counters = json(lab, "counters");
    let rows = counters["counters"].as_array().unwrap().iter();
    rows.filter(|row| wanted(row))
        .map(|row| row["packets"].as_u64().unwrap())
        .sum()
}

/// Frames that the other end of the NIC's cable has sent, and frames that XDP has counted. Drivers
/// differ in whether they count a frame that XDP dropped as received, so the sender's counter is
/// used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    sent: u64,
    counted: u64,
}

impl Tally {
    /// Starts to compare; programs must be attached.
    pub fn begin(lab: &Lab) -> Self {
        // Waits until both counters rest: a frame in flight is in one of them only, and cards
        // update their counter late.
        let mut last = Self::read(lab);
        loop {
            sleep(Duration::from_millis(300));
            let now = Self::read(lab);
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// Asserts that every frame since [`begin`](Self::begin) was counted once. An emulated card
    /// without room for a frame loses it before XDP without counting it: there up to an eighth may
    /// be missing, and none may be counted twice.
    pub fn assert(self, lab: &Lab) {
        let now = Self::begin(lab);
        let frames = now.sent - self.sent;
        assert!(frames > 0, "there was no traffic");
        let counters = String::from_utf8(ask(lab, "counters").stdout).unwrap();
        let counted = now.counted - self.counted;
        let cards = std::env::var_os("BAILEY_LAB_PAIRS").is_some();
        let lost = if cards { frames / 8 } else { 0 };
        assert!(
            (frames - lost..=frames).contains(&counted),
            "{counted} of {frames}\n{counters}"
        );
    }

    fn read(lab: &Lab) -> Self {
        Self {
            sent: lab.outside.frames("eth0").unwrap().sent,
            counted: packets(lab, |row| row["interface"] == NIC && row["hook"] == "xdp"),
        }
    }
}
