//! Scenarios: the packets, the policies, and the programs that receive them.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use bailey_config::Failsafe;
use bailey_datapath::program::frame;
use bailey_datapath::program::frame::malformed::{Fragment, fragment};
use bailey_policy::Protocol;
use ipnet::IpNet;

use super::MAX_RUNS;
use super::mutator::{Mutator, RunOptions};
use super::packets::{ACK, SYN, connections, segment};
use super::rule_reader::RuleReader;
use super::under_test::{Bailey, LruLpmBaseline, PacketOutcome, ProgramUnderTest, XdpDrop};
use crate::policies::{PolicySet, address_in, rule_prefix, scattered};
use crate::results::{BASELINE, FLOOR};
use crate::tuples::{PORT, Tuple, tuples_to_pod};
use crate::xdp_filter::XdpFilter;

/// Packets of one kind, and the programs that receive them.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) mutator: Mutator,
    pub(crate) frame: Vec<u8>,
    pub(crate) no_ports: bool,
    /// Outcome that every packet must have, in every program with counters.
    pub(crate) expected: PacketOutcome,
    /// One packet in this number may have another outcome; none if 0.
    pub(crate) tolerated_one_in: u32,
    /// Packets per run.
    pub(crate) count: u32,
    /// A reader of Bailey's rule counters that runs beside the programs.
    pub(crate) reader: Option<RuleReader>,
    pub(crate) programs: Vec<Box<dyn ProgramUnderTest>>,
}

/// Kind of a scenario; the name also contains the family.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScenarioKind {
    /// Packets of this number of established TCP connections, in random order.
    Established(usize),
    /// As `Established`, after half of the connections were closed and others created.
    Churned(usize),
    /// As `Established`, while a thread sums the counters of all rules once per second.
    ReadRules(usize),
    /// Datagrams of this number of UDP flows that no endpoint answers, in random order.
    OneWayUdp(usize),
    /// SYNs that one of this number of rules allows.
    New(usize),
    /// As `New`, with and without records of the packets.
    RecordedNew(usize),
    /// SYNs that none of ten rules allows.
    Denied,
    /// SYNs from this number of prefixes that a rule excludes.
    DeniedCidrs(usize),
    /// As `DeniedCidrs`, with and without records of the packets.
    RecordedCidrs(usize),
    /// Packets of a failsafe, which pass regardless of policy.
    Failsafe,
    /// Sources in the emergency block table, or in the table of a stateless filter.
    Blocked(usize),
    /// Fragments after the first.
    Fragments,
}

/// Rules of scenarios in which their number does not matter.
pub(super) const DEFAULT_RULES: usize = 10;
/// Size of a flow table in which nothing creates flows.
const DENIED_FLOWS: u32 = 1024;
/// Packets per run if runs may repeat packets; few enough for a short run.
const REUSED_PACKETS: u32 = 1 << 18;
/// Packets per run if every packet must be new.
const NEW_PACKETS: u32 = 1 << 16;
/// New packets of all runs.
const TOTAL_NEW_PACKETS: usize = NEW_PACKETS as usize * MAX_RUNS;

impl ScenarioKind {
    pub(crate) fn name(self, ipv6: bool) -> String {
        let suffix = if ipv6 { "-ipv6" } else { "" };
        let name = match self {
            Self::Established(flows) => format!("established-tcp-{}", short_count(flows)),
            Self::Churned(flows) => format!("churned-tcp-{}", short_count(flows)),
            Self::ReadRules(flows) => format!("read-rules-tcp-{}", short_count(flows)),
            Self::OneWayUdp(flows) => format!("one-way-udp-{}", short_count(flows)),
            Self::New(rules) => format!("new-{}-rules", short_count(rules)),
            Self::RecordedNew(rules) => format!("recorded-new-{}-rules", short_count(rules)),
            Self::Denied => "denied".into(),
            Self::DeniedCidrs(cidrs) => format!("denied-{}-cidrs", short_count(cidrs)),
            Self::RecordedCidrs(cidrs) => format!("recorded-denied-{}-cidrs", short_count(cidrs)),
            Self::Failsafe => "failsafe".into(),
            Self::Blocked(hosts) => format!("blocked-{}", short_count(hosts)),
            Self::Fragments => "fragments".into(),
        };
        name + suffix
    }

    /// The system that cannot run this scenario, and the reason.
    pub(crate) fn unsupported_by(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Failsafe => Some((BASELINE, "has no failsafe")),
            Self::Fragments => Some((BASELINE, "drops fragments")),
            Self::Blocked(_) => Some((BASELINE, "has no block table")),
            Self::DeniedCidrs(_) => Some(("xdp-filter", "supports addresses, not prefixes")),
            Self::Established(_) | Self::New(_) => Some(("xdp-filter", "has no state")),
            Self::Churned(_) => Some((FLOOR, "removes no flow")),
            Self::ReadRules(_) => Some((BASELINE, "has no rule counters")),
            Self::RecordedNew(_) | Self::RecordedCidrs(_) => Some((BASELINE, "has no recorder")),
            Self::OneWayUdp(_) => Some((FLOOR, "handles TCP only")),
            Self::Denied => Some(("xdp-filter", "has no policies")),
        }
    }

    /// Loads all programs, policies and flows of the scenario.
    pub(crate) fn prepare(self, ipv6: bool, seed: u64) -> Result<Scenario> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut scenario = Scenario {
            name: self.name(ipv6),
            mutator: Mutator::new(&[allowed_tuple(ipv6, &mut random)])?,
            frame: segment(ipv6, SYN),
            no_ports: false,
            expected: PacketOutcome::Other,
            tolerated_one_in: 0,
            count: REUSED_PACKETS,
            reader: None,
            programs: vec![
                Box::new(XdpDrop::new(true)?),
                Box::new(XdpDrop::new(false)?),
            ],
        };
        match self {
            Self::Established(flows) => scenario.add_established(flows, ipv6, &mut random)?,
            Self::Churned(flows) => scenario.add_churned(flows, ipv6, &mut random)?,
            Self::ReadRules(flows) => scenario.add_read_rules(flows, ipv6, &mut random)?,
            Self::OneWayUdp(flows) => scenario.add_one_way_udp(flows, ipv6, &mut random)?,
            Self::New(rules) => scenario.add_new(rules, ipv6, &mut random)?,
            Self::RecordedNew(rules) => scenario.add_recorded_new(rules, ipv6, &mut random)?,
            Self::Denied => {
                let policy = PolicySet::Rules(DEFAULT_RULES);
                scenario.add_denied(&policy, ipv6, &mut random)?;
            }
            Self::DeniedCidrs(cidrs) => {
                let policy = PolicySet::AllExcept(scattered(cidrs, ipv6, &mut random));
                scenario.add_denied(&policy, ipv6, &mut random)?;
            }
            Self::RecordedCidrs(cidrs) => {
                let policy = PolicySet::AllExcept(scattered(cidrs, ipv6, &mut random));
                scenario.add_recorded_denied(&policy, ipv6, &mut random)?;
            }
            Self::Failsafe => scenario.add_failsafe(ipv6, &mut random)?,
            Self::Blocked(hosts) => scenario.add_blocked(hosts, ipv6, &mut random)?,
            Self::Fragments => scenario.add_fragments(ipv6, &mut random)?,
        }
        Ok(scenario)
    }
}

/// One method per kind of scenario: sets the packets, and loads the programs.
impl Scenario {
    fn add_new(&mut self, rules: usize, ipv6: bool, random: &mut fastrand::Rng) -> Result<()> {
        let policy = PolicySet::Rules(rules);
        let flows = self.set_new(rules, ipv6, random)?;
        self.add(Bailey::new(&policy, flows, |_| {})?);
        self.add(LruLpmBaseline::new(&policy, flows)?);
        Ok(())
    }

    fn add_recorded_new(
        &mut self,
        rules: usize,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let policy = PolicySet::Rules(rules);
        let flows = self.set_new(rules, ipv6, random)?;
        self.add_with_and_without_recorder(&policy, flows)
    }

    /// Sets packets that create flows, and returns the number of flows.
    fn set_new(&mut self, rules: usize, ipv6: bool, random: &mut fastrand::Rng) -> Result<u32> {
        let tuples = connections(TOTAL_NEW_PACKETS, rules, ipv6, random);
        self.mutator = Mutator::new(&tuples)?;
        self.expected = PacketOutcome::New;
        self.count = NEW_PACKETS;
        Ok(TOTAL_NEW_PACKETS as u32)
    }

    fn add_with_and_without_recorder(&mut self, policy: &PolicySet, flows: u32) -> Result<()> {
        self.add(Bailey::new(policy, flows, |_| {})?);
        self.add(Bailey::new(policy, flows, |settings| settings.records = 0)?);
        Ok(())
    }

    fn add_denied(
        &mut self,
        policy: &PolicySet,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        self.set_denied(policy, ipv6, random)?;
        self.add(Bailey::new(policy, DENIED_FLOWS, |_| {})?);
        self.add(LruLpmBaseline::new(policy, DENIED_FLOWS)?);
        Ok(())
    }

    fn add_recorded_denied(
        &mut self,
        policy: &PolicySet,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        self.set_denied(policy, ipv6, random)?;
        self.add_with_and_without_recorder(policy, DENIED_FLOWS)
    }

    fn set_denied(
        &mut self,
        policy: &PolicySet,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let unmatched = rule_prefix(DEFAULT_RULES + 1, ipv6);
        let source = |random: &mut fastrand::Rng, _| match policy {
            PolicySet::AllExcept(prefixes) => {
                let prefix = prefixes[random.usize(..prefixes.len())];
                address_in(&prefix, random)
            }
            PolicySet::Rules(_) | PolicySet::UdpRules(_) => address_in(&unmatched, random),
        };
        let tuples = tuples_to_pod(TOTAL_NEW_PACKETS, PORT, random, source);
        self.mutator = Mutator::new(&tuples)?;
        self.expected = PacketOutcome::Denied;
        Ok(())
    }

    fn add_failsafe(&mut self, ipv6: bool, random: &mut fastrand::Rng) -> Result<()> {
        let any_source: IpNet = if ipv6 { "::/0" } else { "0.0.0.0/0" }.parse()?;
        let source = from_rules(DEFAULT_RULES, ipv6);
        let tuples = tuples_to_pod(TOTAL_NEW_PACKETS, 22, random, source);
        self.mutator = Mutator::new(&tuples)?;
        self.frame = segment(ipv6, ACK);
        let policy = PolicySet::Rules(DEFAULT_RULES);
        self.add(Bailey::new(&policy, 1024, |settings| {
            settings.failsafe = vec![Failsafe {
                cidr: any_source,
                protocol: Protocol::TCP,
                port: 22,
            }];
        })?);
        Ok(())
    }

    fn add_blocked(&mut self, hosts: usize, ipv6: bool, random: &mut fastrand::Rng) -> Result<()> {
        let sources: Vec<IpAddr> = (0..hosts)
            .map(|n| address_in(&rule_prefix(n, ipv6), random))
            .collect();
        let count = hosts.next_power_of_two();
        let tuples = tuples_to_pod(count, PORT, random, |_, n| sources[n % hosts]);
        self.mutator = Mutator::new(&tuples)?;
        let bailey = Bailey::new(&PolicySet::Rules(DEFAULT_RULES), 1024, |_| {})?;
        let nets: Vec<IpNet> = sources.iter().map(|&source| source.into()).collect();
        bailey.datapath.blocks()?.add(&nets, 3600, "", 0)?;
        self.add(bailey);
        self.add(XdpFilter::new(&sources)?);
        Ok(())
    }

    fn add_fragments(&mut self, ipv6: bool, random: &mut fastrand::Rng) -> Result<()> {
        let tuple = allowed_tuple(ipv6, random);
        self.frame = later_fragment(&tuple);
        self.no_ports = true;
        self.expected = PacketOutcome::Flow;
        let bailey = Bailey::new(&PolicySet::Rules(DEFAULT_RULES), 1024, |_| {})?;
        self.mutator = Mutator::new(&[tuple])?;
        send_first_fragment(&mut self.mutator, &bailey, &tuple)?;
        self.add(bailey);
        Ok(())
    }
}

/// Draws source addresses from the prefixes of `rules` rules.
fn from_rules(rules: usize, ipv6: bool) -> impl FnMut(&mut fastrand::Rng, usize) -> IpAddr {
    move |random, _| address_in(&rule_prefix(random.usize(..rules), ipv6), random)
}

/// One tuple that the first rule allows.
fn allowed_tuple(ipv6: bool, random: &mut fastrand::Rng) -> Tuple {
    tuples_to_pod(1, PORT, random, from_rules(1, ipv6))[0]
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

/// Sends the first fragment of a SYN, so that later fragments belong to its flow.
fn send_first_fragment(mutator: &mut Mutator, bailey: &Bailey, tuple: &Tuple) -> Result<()> {
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
    pub(super) fn add(&mut self, program: impl ProgramUnderTest + 'static) {
        self.programs.push(Box::new(program));
    }

    /// Measures one program in nanoseconds per packet, and checks the outcome of all packets.
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
                // A stateless filter counts every drop as denied.
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
            let tolerated = self.count.checked_div(self.tolerated_one_in).unwrap_or(0);
            ensure!(
                (self.count - tolerated..=self.count).contains(&(counted as u32)),
                "{}: {} of {} packets had the expected outcome in {}; counters before: {before:?}, after: {after:?}",
                self.name,
                counted,
                self.count,
                program.name()
            );
        }
        Ok(nanoseconds)
    }
}
