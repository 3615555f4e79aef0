use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use bailey_config::Failsafe;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::odd::{Fragment, fragment};
use bailey_policy::Protocol;
use ipnet::IpNet;

use super::MAX_RUNS;
use super::mutator::{Mutator, RunOptions};
use super::under_test::{Bailey, LruLpmBaseline, PacketOutcome, ProgramUnderTest, XdpDrop};
use crate::policies::{PolicySet, address_in, rule_prefix, scattered};
use crate::tuples::{POD, PORT, Tuple, tuples_to_pod};
use crate::xdp_filter::XdpFilter;

/// Packets of one kind, and who is to judge them.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) mutator: Mutator,
    pub(crate) frame: Vec<u8>,
    pub(crate) no_ports: bool,
    /// What every packet must come to, at everybody who tells.
    pub(crate) expected: PacketOutcome,
    /// Packets per run.
    pub(crate) count: u32,
    pub(crate) programs: Vec<Box<dyn ProgramUnderTest>>,
}

/// Which scenario; the family is the other half of its name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScenarioKind {
    /// Packets of so many established TCP connections, in random order.
    Established(usize),
    /// SYNs that so many rules let in.
    New(usize),
    /// SYNs that none of ten rules lets in.
    Denied,
    /// SYNs from sources in so many prefixes that one rule leaves out.
    DeniedCidrs(usize),
    /// What passes whatever policy says.
    Failsafe,
    /// Sources in the emergency block table, or in the table of a filter without state.
    Blocked(usize),
    /// Fragments after the first.
    Fragments,
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
/// Rules of scenarios that are not about rules.
const DEFAULT_RULES: usize = 10;
/// Packets per run, where no run needs fresh ones: a run is over before the machine changes.
const REUSED_PACKETS: u32 = 1 << 18;
/// Packets per run, where all do.
const NEW_PACKETS: u32 = 1 << 16;
/// New packets of all runs.
const TOTAL_NEW_PACKETS: usize = NEW_PACKETS as usize * MAX_RUNS;

impl ScenarioKind {
    pub(crate) fn name(self, ipv6: bool) -> String {
        let suffix = if ipv6 { "-ipv6" } else { "" };
        let name = match self {
            Self::Established(flows) => format!("established-tcp-{}", short_count(flows)),
            Self::New(rules) => format!("new-{}-rules", short_count(rules)),
            Self::Denied => "denied".into(),
            Self::DeniedCidrs(cidrs) => format!("denied-{}-cidrs", short_count(cidrs)),
            Self::Failsafe => "failsafe".into(),
            Self::Blocked(hosts) => format!("blocked-{}", short_count(hosts)),
            Self::Fragments => "fragments".into(),
        };
        name + suffix
    }

    /// Who cannot do this at all, and why.
    pub(crate) fn unsupported_by(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Failsafe => Some(("reference", "it has no failsafe")),
            Self::Fragments => Some(("reference", "it drops fragments")),
            Self::Blocked(_) => Some(("reference", "it has no block table")),
            Self::DeniedCidrs(_) => Some(("xdp-filter", "it knows addresses, no prefixes")),
            Self::Established(_) | Self::New(_) => Some(("xdp-filter", "it has no state")),
            Self::Denied => Some(("xdp-filter", "it has no policies")),
        }
    }

    /// Loads everybody and brings them to where the first packet can be measured.
    pub(crate) fn prepare(self, ipv6: bool, seed: u64) -> Result<Scenario> {
        let mut random = fastrand::Rng::with_seed(seed);
        let from_rules = |rules: usize| {
            move |random: &mut fastrand::Rng, _: usize| {
                address_in(&rule_prefix(random.usize(..rules), ipv6), random)
            }
        };
        let (flows, ten) = (TOTAL_NEW_PACKETS as u32, PolicySet::Rules(DEFAULT_RULES));
        let drops = || -> Result<[Box<dyn ProgramUnderTest>; 2]> {
            Ok([
                Box::new(XdpDrop::new(true)?),
                Box::new(XdpDrop::new(false)?),
            ])
        };
        let mut scenario = Scenario {
            name: self.name(ipv6),
            mutator: Mutator::new(&[tuples_to_pod(1, PORT, &mut random, from_rules(1))[0]])?,
            frame: segment(ipv6, SYN),
            no_ports: false,
            expected: PacketOutcome::Other,
            count: REUSED_PACKETS,
            programs: drops()?.into(),
        };
        match self {
            Self::Established(flows) => {
                let mut tuples = connections(flows, DEFAULT_RULES, ipv6, &mut random);
                scenario.mutator = Mutator::new(&tuples)?;
                scenario.frame = segment(ipv6, ACK);
                scenario.expected = PacketOutcome::Flow;
                let size = (flows as u32).max(1024);
                scenario.add(Bailey::new(&ten, size, |settings| {
                    settings.flows_per_source = 0
                })?);
                scenario.add(LruLpmBaseline::new(&ten, size)?);
                scenario.establish(ipv6, flows as u32)?;
                // A hash table hands out its elements in the order of their insertion, so that order
                // would be a walk through memory.
                random.shuffle(&mut tuples);
                scenario.mutator.set(&tuples)?;
            }
            Self::New(rules) => {
                let policy = PolicySet::Rules(rules);
                let tuples = connections(TOTAL_NEW_PACKETS, rules, ipv6, &mut random);
                scenario.mutator = Mutator::new(&tuples)?;
                scenario.expected = PacketOutcome::New;
                scenario.count = NEW_PACKETS;
                scenario.add(Bailey::new(&policy, flows, |_| {})?);
                scenario.add(LruLpmBaseline::new(&policy, flows)?);
            }
            Self::Denied | Self::DeniedCidrs(_) => {
                let policy = match self {
                    Self::DeniedCidrs(cidrs) => {
                        PolicySet::AllBut(scattered(cidrs, ipv6, &mut random))
                    }
                    _ => ten,
                };
                let stranger = rule_prefix(DEFAULT_RULES + 1, ipv6);
                let tuples =
                    tuples_to_pod(
                        TOTAL_NEW_PACKETS,
                        PORT,
                        &mut random,
                        |random, _| match &policy {
                            PolicySet::AllBut(prefixes) => {
                                let prefix = prefixes[random.usize(..prefixes.len())];
                                address_in(&prefix, random)
                            }
                            PolicySet::Rules(_) => address_in(&stranger, random),
                        },
                    );
                scenario.mutator = Mutator::new(&tuples)?;
                scenario.expected = PacketOutcome::Denied;
                scenario.add(Bailey::new(&policy, 1024, |_| {})?);
                scenario.add(LruLpmBaseline::new(&policy, 1024)?);
            }
            Self::Failsafe => {
                let everybody: IpNet = if ipv6 { "::/0" } else { "0.0.0.0/0" }.parse()?;
                let tuples = tuples_to_pod(
                    TOTAL_NEW_PACKETS,
                    22,
                    &mut random,
                    from_rules(DEFAULT_RULES),
                );
                scenario.mutator = Mutator::new(&tuples)?;
                scenario.frame = segment(ipv6, ACK);
                scenario.add(Bailey::new(&ten, 1024, |settings| {
                    settings.failsafe = vec![Failsafe {
                        cidr: everybody,
                        protocol: Protocol::TCP,
                        port: 22,
                    }];
                })?);
            }
            Self::Blocked(hosts) => {
                let sources: Vec<IpAddr> = (0..hosts)
                    .map(|n| address_in(&rule_prefix(n, ipv6), &mut random))
                    .collect();
                let count = hosts.next_power_of_two();
                let tuples = tuples_to_pod(count, PORT, &mut random, |_, n| sources[n % hosts]);
                scenario.mutator = Mutator::new(&tuples)?;
                let bailey = Bailey::new(&ten, 1024, |_| {})?;
                let nets: Vec<IpNet> = sources.iter().map(|&source| source.into()).collect();
                bailey.datapath.blocks()?.add(&nets, 3600, "", 0)?;
                scenario.add(bailey);
                scenario.add(XdpFilter::new(&sources)?);
            }
            Self::Fragments => {
                let tuple = tuples_to_pod(1, PORT, &mut random, from_rules(1))[0];
                scenario.frame = later_fragment(&tuple);
                scenario.no_ports = true;
                scenario.expected = PacketOutcome::Flow;
                let bailey = Bailey::new(&ten, 1024, |_| {})?;
                scenario.mutator = Mutator::new(&[tuple])?;
                open_in_fragments(&mut scenario.mutator, &bailey, &tuple)?;
                scenario.add(bailey);
            }
        }
        Ok(scenario)
    }
}

/// So many, no two alike, from all addresses of the prefixes of so many rules.
fn connections(count: usize, rules: usize, ipv6: bool, random: &mut fastrand::Rng) -> Vec<Tuple> {
    const HOSTS: usize = 32;
    let mut tuples: Vec<Tuple> = (0..count)
        .map(|n| {
            let (prefix, host) = (rule_prefix(n % rules, ipv6), n / rules % HOSTS);
            let source = match prefix.network() {
                IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() + host as u32).into(),
                IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() + host as u128).into(),
            };
            Tuple {
                source,
                destination: POD[usize::from(ipv6)],
                source_port: 1024 + (n / rules / HOSTS) as u16,
                port: PORT,
            }
        })
        .collect();
    random.shuffle(&mut tuples);
    tuples
}

/// 65536 as 64k, 10000 as 10k.
fn short_count(count: usize) -> String {
    match count {
        1_000_000.. => format!("{}m", count / 1_000_000),
        1000.. if count.is_multiple_of(1024) => format!("{}k", count / 1024),
        1000.. => format!("{}k", count / 1000),
        _ => count.to_string(),
    }
}

/// A TCP segment to the pod, whose tuple is written over.
fn segment(ipv6: bool, flags: u8) -> Vec<u8> {
    let pod = POD[usize::from(ipv6)];
    frame::ip(pod, pod, Protocol::TCP, &frame::tcp(1, PORT, flags))
}

const FRAGMENT_BYTES: u16 = 64;

fn later_fragment(tuple: &Tuple) -> Vec<u8> {
    let which = Fragment {
        id: 7,
        offset: FRAGMENT_BYTES,
        more: false,
    };
    let bytes = [0; FRAGMENT_BYTES as usize];
    fragment(
        tuple.source,
        tuple.destination,
        Protocol::TCP,
        which,
        &bytes,
    )
}

/// A SYN in a first fragment, which later ones follow.
fn open_in_fragments(mutator: &mut Mutator, bailey: &Bailey, tuple: &Tuple) -> Result<()> {
    let which = Fragment {
        id: 7,
        offset: 0,
        more: true,
    };
    let mut bytes = frame::tcp(tuple.source_port, tuple.port, SYN);
    bytes.resize(FRAGMENT_BYTES.into(), 0);
    let first = fragment(
        tuple.source,
        tuple.destination,
        Protocol::TCP,
        which,
        &bytes,
    );
    let once = RunOptions {
        count: 1,
        no_ports: true,
        ..RunOptions::default()
    };
    mutator.run(bailey.callee(), &first, once).map(drop)
}

impl Scenario {
    fn add(&mut self, program: impl ProgramUnderTest + 'static) {
        self.programs.push(Box::new(program));
    }

    /// Handshakes for all tuples, some at a time: half-open ones have no more than their share of a
    /// table.
    fn establish(&mut self, ipv6: bool, flows: u32) -> Result<()> {
        // A test run waits for grace periods, so not too few at a time.
        let at_once = (flows / 16).max(1024).min(flows);
        for program in &self.programs {
            if program.outcome_counts()?.is_none() {
                continue;
            }
            for first in (0..flows).step_by(at_once as usize) {
                for (flags, swap) in [(SYN, false), (SYN_ACK, true), (ACK, false)] {
                    let options = RunOptions {
                        first,
                        count: at_once,
                        swap,
                        ..RunOptions::default()
                    };
                    let frame = segment(ipv6, flags);
                    self.mutator.run(program.callee(), &frame, options)?;
                }
            }
        }
        Ok(())
    }

    /// Nanoseconds per packet of one program, after making sure that the packets came to what they
    /// should.
    pub(crate) fn run(&mut self, program: usize, round: u32) -> Result<f64> {
        let program = &self.programs[program];
        let options = RunOptions {
            first: round * self.count,
            count: self.count,
            swap: false,
            no_ports: self.no_ports,
        };
        let before = program.outcome_counts()?;
        let nanoseconds = self.mutator.run(program.callee(), &self.frame, options)?;
        if let Some((before, after)) = before.zip(program.outcome_counts()?) {
            let count = |outcome_counts: &std::collections::BTreeMap<PacketOutcome, u64>| {
                // A filter without state knows no policies.
                let denied = outcome_counts
                    .get(&PacketOutcome::Denied)
                    .copied()
                    .unwrap_or_default();
                match outcome_counts.get(&self.expected).copied() {
                    Some(0) | None if self.expected == PacketOutcome::Other => denied,
                    count => count.unwrap_or_default(),
                }
            };
            let counted = count(&after) - count(&before);
            ensure!(
                counted == u64::from(self.count),
                "{}: {} of {} packets came to what they should at {}: {before:?}, then {after:?}",
                self.name,
                counted,
                self.count,
                program.name()
            );
        }
        Ok(nanoseconds)
    }
}
