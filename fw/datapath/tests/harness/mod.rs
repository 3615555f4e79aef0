//! A datapath with one small policy set, and an assertion that a frame changes exactly the expected
//! counters.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "no test binary uses all of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::thread::panicking;

use bailey_bpf::abi::*;
use bailey_compile::{CompileLimits, RuleIds, RuleKey, Tables, compile};
use bailey_config::{Flood, Settings};
use bailey_datapath::flows::count::TrafficCount;
use bailey_datapath::flows::sweep::Sweeper;
use bailey_datapath::flows::table::Flow;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::observe::records::RecordBatch;
use bailey_datapath::observe::rule_counts::RuleCount;
use bailey_datapath::program::frame;
use bailey_datapath::program::test_run::TestRun;
pub use bailey_datapath::testing::DatapathTesting;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use bailey_policy::{
    Direction, Endpoint, EndpointKind, EndpointRef, IpBlock, Labels, NetworkPolicy, Peer,
    PolicyRef, PortMatch, PortRange, PortSpec, Protocol, Rule, RuleRef, Selector, Snapshot,
    SourceLocation,
};

pub const XDP_DROP: u32 = 1;
pub const XDP_PASS: u32 = 2;
pub const XDP_TX: u32 = 3;
pub const SYN: u8 = 0x02;
pub const SYN_ACK: u8 = 0x12;
pub const ACK: u8 = 0x10;
pub const RST: u8 = 0x04;
pub const FIN_ACK: u8 = 0x11;

/// The isolated pod, in both families.
pub const POD: [&str; 2] = ["10.0.0.1", "fd00::1"];
/// Admitted to the pod's TCP and UDP port 80 by the policy's first rule.
pub const CLIENT: [&str; 2] = ["10.1.0.9", "fd01::9"];
/// Admitted to all ports of the pod by the second rule.
pub const FRIEND: [&str; 2] = ["10.2.0.9", "fd02::9"];
/// Admitted by no rule.
pub const STRANGER: [&str; 2] = ["10.3.0.9", "fd03::9"];

/// Rule and hits of a packet whose other endpoint no policy isolates, in an existing flow.
pub const NOT_ISOLATED: (u32, u64) = (RULE_NOT_ISOLATED, 0);
/// As [`NOT_ISOLATED`], for the packet that creates the flow.
pub const NOT_ISOLATED_NEW: (u32, u64) = (RULE_NOT_ISOLATED, 1);

pub struct Harness {
    pub datapath: Datapath,
    pub test_run: TestRun,
    pub tables: Tables,
    /// Event counters at the start of the test.
    events: Vec<u64>,
}

/// A [`Harness::small`] that tests reuse, each with an empty flow table, because the verifier takes
/// most of the time of a new one. A failed test does not return its harness.
pub struct PooledHarness(Option<Harness>);

static SPARE: Mutex<Vec<Harness>> = Mutex::new(Vec::new());

impl Deref for PooledHarness {
    type Target = Harness;

    fn deref(&self) -> &Harness {
        self.0.as_ref().expect("present until drop")
    }
}

impl Drop for PooledHarness {
    fn drop(&mut self) {
        if let Some(h) = self.0.take().filter(|_| !panicking()) {
            SPARE.lock().unwrap().push(h);
        }
    }
}

/// Default settings without flood defence, because many tests send floods of new flows.
pub fn without_flood_defence() -> Settings {
    Settings {
        flood: Flood {
            enabled: false,
            ..Flood::default()
        },
        ..Settings::default()
    }
}

/// Settings of a table for this number of flows, with few rules and without flood defence.
pub fn table_for(flows: u32) -> Settings {
    Settings {
        flows,
        rules: 256,
        ..without_flood_defence()
    }
}

/// Sweeps the whole table once.
pub fn sweep_pass(sweeper: &mut Sweeper) {
    while !sweeper.sweep(64) {}
}

/// A number from the environment.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

pub fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a frame passes.
pub fn passes(test_run: &TestRun, hook: Hook, frame: &[u8]) -> bool {
    passed(hook, test_run.run(hook, frame, 1).unwrap())
}

/// Whether the return code of a program passes the packet.
pub fn passed(hook: Hook, code: u32) -> bool {
    match hook {
        Hook::Xdp => {
            let known = [XDP_PASS, XDP_DROP, XDP_TX];
            assert!(known.contains(&code), "return code {code}");
            code == XDP_PASS
        }
        Hook::Tc => {
            assert!(code == u32::MAX || code == 2, "return code {code}");
            code == u32::MAX
        }
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn block(cidrs: [&str; 2]) -> Vec<Peer> {
    cidrs
        .into_iter()
        .map(|cidr| {
            Peer::IpBlock(IpBlock {
                cidr: cidr.parse().unwrap(),
                except: Vec::new(),
            })
        })
        .collect()
}

/// The pod and its policy. Without `client`, the first rule admits other sources, as if revoked.
pub fn snapshot(client: bool) -> Snapshot {
    let port = PortSpec::Range(PortRange::single(80));
    let web = Rule {
        peers: block(["10.1.0.0/16", "fd01::/64"]),
        ports: [Protocol::TCP, Protocol::UDP]
            .map(|protocol| PortMatch {
                protocol,
                port: port.clone(),
            })
            .into(),
        ..Rule::default()
    };
    let friends = Rule {
        peers: block(["10.2.0.0/16", "fd02::/64"]),
        ports: Vec::new(),
        ..Rule::default()
    };
    let unrelated = Rule {
        peers: block(["192.0.2.0/24", "2001:db8::/64"]),
        ports: Vec::new(),
        ..Rule::default()
    };
    let policy = NetworkPolicy {
        id: PolicyRef {
            namespace: "ns".into(),
            name: "web".into(),
        },
        pod_selector: Selector::default(),
        ingress: Some(vec![if client { web } else { unrelated }, friends]),
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
    Snapshot::new([], vec![pod], Vec::new(), vec![policy])
}

/// Asserts that the recorder has exactly the record of one packet, or none if its reason has none.
fn assert_recorded(batch: &RecordBatch, hook: Hook, frame: &[u8], reason: u32) {
    assert_eq!(batch.lost, 0);
    let none = [
        REASON_PASS_FLOW,
        REASON_PASS_EVALUATED,
        REASON_PASS_ARP,
        REASON_PASS_ND,
    ];
    if none.contains(&reason) {
        assert_eq!(batch.records, [], "reason {reason}");
        return;
    }
    let [record] = &batch.records[..] else {
        panic!("reason {reason}: {:?}", batch.records);
    };
    let hook_id = if hook == Hook::Xdp { HOOK_XDP } else { HOOK_TC };
    let noted = (record.reason, record.hook, record.bytes, record.segments);
    assert_eq!(noted, (reason, hook_id, frame.len() as u64, 1));
}

impl Harness {
    pub fn new(settings: Settings) -> Self {
        let tables = compile(
            &snapshot(true),
            &RuleIds::default(),
            &CompileLimits::default(),
        )
        .unwrap();
        let pins = PinDir::private().unwrap();
        let mut datapath = Datapath::open(pins, settings, RuleIds::default()).unwrap();
        datapath.install(&tables).unwrap();
        Self::with(datapath, tables)
    }

    pub fn with(datapath: Datapath, tables: Tables) -> Self {
        let test_run = datapath.test_run().unwrap();
        Self {
            datapath,
            test_run,
            tables,
            events: vec![0; FLOW_EVENTS as usize],
        }
    }

    pub fn small() -> Self {
        Self::new(table_for(1024))
    }

    /// A reused [`Self::small`], for tests that change neither blocks nor policies.
    pub fn pooled() -> PooledHarness {
        let spare = SPARE.lock().unwrap().pop();
        let h = spare.map_or_else(Self::small, |mut h| {
            h.forget();
            h.events = h.datapath.counters().unwrap().events().to_vec();
            h
        });
        PooledHarness(Some(h))
    }

    /// Installs a policy set; rule ids continue.
    pub fn install(&mut self, snapshot: &Snapshot) {
        self.tables = compile(snapshot, &self.tables.rules, &CompileLimits::default()).unwrap();
        self.datapath.install(&self.tables).unwrap();
    }

    /// The id of `ns/web ingress[index]`.
    pub fn rule(&self, index: usize) -> u32 {
        let policy = PolicyRef {
            namespace: "ns".into(),
            name: "web".into(),
        };
        let rule = RuleRef {
            policy,
            direction: Direction::Ingress,
            index,
        };
        self.tables.rules.id(&RuleKey::Rule(rule)).unwrap()
    }

    pub fn default_deny(&self) -> u32 {
        let deny = |key: &&RuleKey| matches!(key, RuleKey::DefaultDeny { .. });
        let key = self
            .tables
            .rules
            .iter()
            .map(|(_, key)| key)
            .find(deny)
            .unwrap();
        self.tables.rules.id(key).unwrap()
    }

    pub fn run(&self, hook: Hook, frame: &[u8]) -> bool {
        passes(&self.test_run, hook, frame)
    }

    /// A TCP handshake with port 80 of a pod; every segment passes.
    pub fn handshake(&self, client: &str, pod: &str, port: u16) {
        assert!(self.run(Hook::Xdp, &tcp(client, pod, port, 80, SYN)));
        assert!(self.run(Hook::Tc, &tcp(pod, client, 80, port, SYN_ACK)));
        assert!(self.run(Hook::Xdp, &tcp(client, pod, port, 80, ACK)));
    }

    /// Runs a frame and asserts its verdict, its reason, and the rules that counted it with their
    /// hits. Asserts that no other counter changed. A rate-limited packet only counts as limited.
    pub fn expect(&self, hook: Hook, frame: &[u8], reason: u32, rules: &[(u32, u64)]) {
        let before = self.counters();
        let recorder = self.datapath.records().unwrap();
        let mut cursor = recorder.cursor(true);
        let passed = self.run(hook, frame);
        let after = self.counters();
        assert_recorded(&recorder.read(&mut cursor), hook, frame, reason);
        let info = bailey_bpf::reason::Reason::of(reason).unwrap();
        let hook_id = if hook == Hook::Xdp { HOOK_XDP } else { HOOK_TC };
        let mut reasons = before.0.clone();
        let count = reasons.entry((hook_id, reason)).or_default();
        *count = TrafficCount {
            packets: count.packets + 1,
            bytes: count.bytes + frame.len() as u64,
        };
        assert_eq!(after.0, reasons, "reasons, expected {}", info.name);
        assert_eq!(passed, info.passes, "{}", info.name);
        let mut expected = before.1;
        for &(rule, hits) in rules {
            let count = expected.entry(rule).or_default();
            if reason == REASON_DROP_RATE_LIMIT {
                count.limited += 1;
                continue;
            }
            count.hits += hits;
            count.packets += 1;
            count.bytes += frame.len() as u64;
            count.seen = after.1.get(&rule).and_then(|count| count.seen);
        }
        // Whether a flow is live is a matter of its state.
        for (rule, count) in &mut expected {
            count.live = after.1.get(rule).map_or(0, |count| count.live);
        }
        assert_eq!(after.1, expected, "rules, reason {}", info.name);
    }

    fn counters(&self) -> (BTreeMap<(u32, u32), TrafficCount>, BTreeMap<u32, RuleCount>) {
        let counters = self.datapath.counters().unwrap();
        let rules = counters.rules().into_iter();
        let rules = rules
            .filter(|(_, count)| *count != RuleCount::default())
            .collect();
        (counters.reasons(), rules)
    }

    /// Empties the flow table; loading the programs again would take longer.
    pub fn forget(&self) {
        self.datapath.forget_flows().unwrap();
    }

    pub fn flows(&self) -> Vec<Flow> {
        self.datapath.flows().unwrap().iter().collect()
    }

    /// Asserts the invariants of the table: every flow is stored once, in one of its two buckets,
    /// under its tag; no entry is torn; no slot is BUSY; each source counts its live flows exactly.
    pub fn audit(&self) -> Vec<Flow> {
        let table = self.datapath.flows().unwrap();
        let hash = self.datapath.flow_hash().unwrap();
        let flows: Vec<Flow> = table.iter().collect();
        let mut keys = BTreeSet::new();
        let mut live: BTreeMap<usize, u64> = BTreeMap::new();
        for flow in &flows {
            let place = hash.locate(&flow.key);
            assert!(
                place.buckets.contains(&(flow.slot.0 as u32)) && place.tag == flow.tag,
                "misplaced, belongs to {place:?}: {flow:?}"
            );
            let words: [u64; 5] = bytemuck::cast(flow.key);
            assert!(keys.insert(words), "twice: {flow:?}");
            let counted = matches!(
                flow.state,
                STATE_TCP_ESTABLISHED | STATE_TCP_FIN_WAIT | STATE_UDP_REPLIED | STATE_ICMP_REPLIED
            );
            if counted {
                let low = flow.flags & FLOW_ORIG_LOW != 0;
                for cell in hash.source_cells(&flow.key, low) {
                    *live.entry(cell).or_default() += 1;
                }
            }
        }
        assert_eq!(table.busy(), 0, "slots that stayed BUSY");
        let counted_cells = self.datapath.source_counts().unwrap();
        for (cell, &count) in counted_cells.iter().enumerate() {
            let expected = live.get(&cell).copied().unwrap_or_default();
            assert_eq!(count, expected, "live flows of the sources in cell {cell}");
        }
        flows
    }

    /// Number of flow events since the test began, by `enum flow_event`.
    pub fn event(&self, event: u32) -> u64 {
        let event = event as usize;
        self.datapath.counters().unwrap().events()[event] - self.events[event]
    }

    /// The only flow in the table.
    pub fn flow(&self) -> Flow {
        let mut flows = self.flows();
        assert_eq!(flows.len(), 1, "{flows:?}");
        flows.remove(0)
    }
}

pub fn tcp(from: &str, to: &str, sport: u16, dport: u16, flags: u8) -> Vec<u8> {
    frame::ip(
        ip(from),
        ip(to),
        Protocol::TCP,
        &frame::tcp(sport, dport, flags),
    )
}

pub fn pin_to(cpu: usize) {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("two CPUs are needed");
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub fn udp(from: &str, to: &str, sport: u16, dport: u16) -> Vec<u8> {
    frame::ip(ip(from), ip(to), Protocol::UDP, &frame::udp(sport, dport))
}

/// An echo request or reply of either family.
pub fn echo(from: &str, to: &str, request: bool) -> Vec<u8> {
    let (protocol, kind) = match (ip(from).is_ipv4(), request) {
        (true, true) => (Protocol::ICMP, 8),
        (true, false) => (Protocol::ICMP, 0),
        (false, true) => (Protocol::ICMPV6, 128),
        (false, false) => (Protocol::ICMPV6, 129),
    };
    frame::ip(ip(from), ip(to), protocol, &frame::echo(kind))
}

/// Reopens the pins with other settings, for example a later clock, as a restarted daemon would.
pub fn after(h: Harness, pins: &OwnedFd, settings: Settings) -> Harness {
    let Harness {
        datapath,
        tables,
        test_run,
        ..
    } = h;
    drop((datapath, test_run));
    let pins = PinDir::Private(pins.try_clone().unwrap());
    let datapath = Datapath::open(pins, settings, tables.rules.clone()).unwrap();
    assert!(datapath.is_adopted());
    let mut h = Harness::with(datapath, tables);
    h.install(&snapshot(true));
    h
}

/// A new datapath on these pins.
pub fn on(pins: &OwnedFd, settings: Settings) -> Harness {
    let tables = compile(
        &snapshot(true),
        &RuleIds::default(),
        &CompileLimits::default(),
    );
    let pins = PinDir::Private(pins.try_clone().unwrap());
    let datapath = Datapath::open(pins, settings, RuleIds::default()).unwrap();
    let mut h = Harness::with(datapath, tables.unwrap());
    h.install(&snapshot(true));
    h
}

/// A private pin directory.
pub fn private() -> OwnedFd {
    match PinDir::private().unwrap() {
        PinDir::Private(fd) => fd,
        PinDir::Path(_) => unreachable!("the directory is private"),
    }
}
