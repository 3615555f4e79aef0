//! The programs under test: Bailey, the LRU-hash/LPM baseline, xdp-filter, and XDP_DROP as the
//! lower bound.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailey_compile::{CompileLimits, RuleIds, compile};
use bailey_config::{Flood, Settings};
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::program::test_run::TestRun;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use ipnet::IpNet;
use libbpf_rs::{MapCore, MapFlags};

use super::mutator::Callee;
use crate::object::{BpfObject, image};
use crate::policies::PolicySet;
use crate::results::{BASELINE, WITHOUT_RECORDER};
use crate::tuples::{POD, PORT, octets};
use crate::xdp_filter::XdpFilter;

/// Result of a program for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PacketOutcome {
    /// The packet belongs to a known flow.
    Flow,
    /// The packet created a flow.
    New,
    /// No rule allows the packet.
    Denied,
    /// Another result, which the scenario defines.
    Other,
}

impl PacketOutcome {
    /// The outcomes in the order in which the programs in bench/bpf count them.
    pub(crate) const COUNTED: [Self; 4] = [Self::Flow, Self::New, Self::Denied, Self::Other];
}

/// A BPF program under test.
pub(crate) trait ProgramUnderTest {
    /// Name of the system in reports.
    fn name(&self) -> &'static str;
    fn callee(&self) -> Callee<'_>;
    /// Packets since the start by outcome; none if the program has no counters.
    fn outcome_counts(&self) -> Result<Option<BTreeMap<PacketOutcome, u64>>>;
}

/// Bailey with its default settings: all counters and the flood defence are on, no interface is
/// attached.
pub(crate) struct Bailey {
    pub(crate) datapath: Datapath,
    runner: TestRun,
    has_recorder: bool,
}

impl Bailey {
    pub(crate) fn new(
        policy: &PolicySet,
        flows: u32,
        adapt: impl FnOnce(&mut Settings),
    ) -> Result<Self> {
        let limits = CompileLimits {
            rules: policy.rules() + 64,
            classes: 1 << 22,
            table_bytes: 2 << 30,
        };
        let mut settings = Settings {
            flows,
            rules: limits.rules.max(1 << 16) as u32,
            // The scenarios create flows at the rate of a flood, so the limits are out of reach.
            flood: Flood {
                new_flows_per_second: u32::MAX,
                new_flows_per_second_per_source: 0,
                ..Flood::default()
            },
            ..Settings::default()
        };
        adapt(&mut settings);
        let has_recorder = settings.records > 0;
        let tables = compile(&policy.snapshot(), &RuleIds::default(), &limits)?;
        let mut datapath = Datapath::open(PinDir::private()?, settings, RuleIds::default())
            .context("cannot open the datapath; run as root")?;
        datapath.install(&tables)?;
        let runner = datapath.test_run()?;
        Ok(Self {
            datapath,
            runner,
            has_recorder,
        })
    }

    /// Waits until closed flows have expired, and removes these flows. `left` flows must remain.
    pub(crate) fn sweep_closed(&self, closed_timeout: Duration, left: usize) -> Result<()> {
        // The sweeper compares ages in ticks, which are a little longer than seconds.
        const TICKS: Duration = Duration::from_millis(2 * 1074);
        sleep(closed_timeout + TICKS);
        let mut sweeper = self.datapath.sweeper()?;
        sweeper.sweep(sweeper.buckets());
        let used = self.datapath.flows()?.census().used_slots;
        ensure!(
            used == left as u64,
            "{used} flows are in the table, expected {left}"
        );
        Ok(())
    }
}

impl ProgramUnderTest for Bailey {
    fn name(&self) -> &'static str {
        match self.has_recorder {
            true => "bailey",
            false => WITHOUT_RECORDER,
        }
    }

    fn callee(&self) -> Callee<'_> {
        Callee {
            program: self.runner.program(Hook::Xdp),
            frags: true,
        }
    }

    fn outcome_counts(&self) -> Result<Option<BTreeMap<PacketOutcome, u64>>> {
        let mut outcome_counts = BTreeMap::new();
        for ((_, reason), count) in self.datapath.counters()?.reasons() {
            let name = bailey_bpf::reason::Reason::of(reason).map_or("", |reason| reason.name);
            let outcome = match name {
                "flow" => PacketOutcome::Flow,
                "new" => PacketOutcome::New,
                "policy" => PacketOutcome::Denied,
                _ => PacketOutcome::Other,
            };
            *outcome_counts.entry(outcome).or_default() += count.packets;
        }
        Ok(Some(outcome_counts))
    }
}

/// The LRU-hash/LPM baseline: reference.bpf.c. Results name it [`BASELINE`].
pub(crate) struct LruLpmBaseline {
    object: BpfObject,
    program: OwnedFd,
}

/// Identity of the pod in the baseline's policies.
const POD_IDENTITY: u32 = 1;
/// Identity of all denied prefixes.
const DENIED_IDENTITY: u32 = 1;

impl LruLpmBaseline {
    pub(crate) fn new(policy: &PolicySet, flows: u32) -> Result<Self> {
        let identities = policy.identities();
        let prefixes = (identities.len() as u32).max(1);
        let slots = flows.max(512) * 2;
        let object = BpfObject::load_embedded(
            image!("reference"),
            &[
                ("flows4", slots),
                ("flows6", slots),
                ("prefixes4", prefixes),
                ("prefixes6", prefixes),
                ("policies", prefixes),
            ],
        )?;
        let [pod4, pod6] = POD;
        put_address(&object, "endpoints4", pod4, &POD_IDENTITY.to_ne_bytes())?;
        put_address(&object, "endpoints6", pod6, &POD_IDENTITY.to_ne_bytes())?;
        let (mut tries, mut rules) = ([Table::default(), Table::default()], Table::default());
        for (n, (prefix, allowed)) in identities.iter().enumerate() {
            let identity = if *allowed {
                DENIED_IDENTITY + 1 + n as u32
            } else {
                DENIED_IDENTITY
            };
            let trie = &mut tries[usize::from(matches!(prefix, IpNet::V6(_)))];
            trie.keys
                .extend(u32::from(prefix.prefix_len()).to_ne_bytes());
            trie.keys.extend(octets(prefix.network()));
            trie.values.extend(identity.to_ne_bytes());
            trie.count += 1;
            if *allowed {
                rules.keys.extend(POD_IDENTITY.to_ne_bytes());
                rules.keys.extend(identity.to_ne_bytes());
                rules.keys.extend(PORT.to_be_bytes());
                rules.keys.extend([policy.protocol().0, 0]);
                rules.values.push(1);
                rules.count += 1;
            }
        }
        let [four, six] = &tries;
        for (map, table) in [
            ("prefixes4", four),
            ("prefixes6", six),
            ("policies", &rules),
        ] {
            object.fill(map, &table.keys, &table.values, table.count)?;
        }
        let program = object.program_fd("reference")?;
        Ok(Self { object, program })
    }
}

/// Keys and values of a map, one after the other.
#[derive(Default)]
struct Table {
    keys: Vec<u8>,
    values: Vec<u8>,
    count: usize,
}

fn put_address(object: &BpfObject, map: &str, address: IpAddr, value: &[u8]) -> Result<()> {
    let map = object.map(map)?;
    map.update(&octets(address), value, MapFlags::ANY)?;
    Ok(())
}

impl ProgramUnderTest for LruLpmBaseline {
    fn name(&self) -> &'static str {
        BASELINE
    }

    fn callee(&self) -> Callee<'_> {
        Callee {
            program: self.program.as_fd(),
            frags: false,
        }
    }

    fn outcome_counts(&self) -> Result<Option<BTreeMap<PacketOutcome, u64>>> {
        let verdicts = PacketOutcome::COUNTED;
        let sums = self.object.percpu_sums("verdicts", verdicts.len() as u32)?;
        Ok(Some(verdicts.into_iter().zip(sums).collect()))
    }
}

/// The lower bound: a program that only returns XDP_DROP.
pub(crate) struct XdpDrop {
    program: OwnedFd,
    frags: bool,
}

impl XdpDrop {
    pub(crate) fn new(frags: bool) -> Result<Self> {
        let name = if frags { "drop_frags" } else { "drop_plain" };
        let program = BpfObject::load_embedded(image!("verdicts"), &[])?.program_fd(name)?;
        Ok(Self { program, frags })
    }
}

impl ProgramUnderTest for XdpDrop {
    fn name(&self) -> &'static str {
        super::XDP_DROP
    }

    fn callee(&self) -> Callee<'_> {
        Callee {
            program: self.program.as_fd(),
            frags: self.frags,
        }
    }

    fn outcome_counts(&self) -> Result<Option<BTreeMap<PacketOutcome, u64>>> {
        Ok(None)
    }
}

impl ProgramUnderTest for XdpFilter {
    fn name(&self) -> &'static str {
        "xdp-filter"
    }

    fn callee(&self) -> Callee<'_> {
        Callee {
            program: self.program(),
            frags: false,
        }
    }

    fn outcome_counts(&self) -> Result<Option<BTreeMap<PacketOutcome, u64>>> {
        let [dropped, passed] = self.dropped_and_passed()?;
        Ok(Some(
            [
                (PacketOutcome::Denied, dropped),
                (PacketOutcome::Other, passed),
            ]
            .into(),
        ))
    }
}
