//! Scenarios with flows that exist before the measurement.

use std::time::Duration;

use anyhow::Result;
use bailey_datapath::program::frame;
use bailey_policy::Protocol;

use super::floor::Floor;
use super::mutator::{Mutator, RunOptions};
use super::packets::{ACK, SYN, connections, segment};
use super::rule_reader::RuleReader;
use super::scenario::{DEFAULT_RULES, Scenario};
use super::under_test::{Bailey, LruLpmBaseline, PacketOutcome, ProgramUnderTest};
use crate::policies::PolicySet;
use crate::tuples::{POD, PORT, Tuple};

/// TCP flags of a segment, and whether the segment is a reply.
type Step = (u8, bool);

const SYN_ACK: u8 = 0x12;
const FIN_ACK: u8 = 0x11;
const HANDSHAKE: [Step; 3] = [(SYN, false), (SYN_ACK, true), (ACK, false)];
const CLOSE: [Step; 2] = [(FIN_ACK, false), (FIN_ACK, true)];

/// Timeout of closed connections in [`Scenario::add_churned`], in seconds; short, because the
/// scenario waits for it.
const CLOSED_TIMEOUT: u32 = 1;
/// Timeout of one-way flows, in seconds. No flow may expire while a run waits for an uncontended
/// CPU.
const ONE_WAY_TIMEOUT: u32 = 3600;
/// Packets per run beside a reader: up to a second of Bailey's time, so most runs meet a pass.
const READ_PACKETS: u32 = 1 << 22;

impl Scenario {
    pub(super) fn add_established(
        &mut self,
        flows: usize,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let policy = PolicySet::Rules(DEFAULT_RULES);
        let mut tuples = connections(flows, DEFAULT_RULES, ipv6, random);
        self.expect_segments(&tuples, ipv6)?;
        let size = table_size(flows);
        self.add(Bailey::new(&policy, size, |settings| {
            settings.flows_per_source = 0
        })?);
        self.add(LruLpmBaseline::new(&policy, size)?);
        if !ipv6 {
            self.add(Floor::new(size)?);
        }
        for program in &self.programs {
            if program.outcome_counts()?.is_some() {
                send_steps(&mut self.mutator, &**program, flows, &HANDSHAKE, ipv6)?;
            }
        }
        self.shuffle(&mut tuples, random)
    }

    /// Closes half of the flows, and creates as many others while the closed ones are still in the
    /// table. Then Bailey's sweeper removes the closed ones. The baseline keeps them.
    pub(super) fn add_churned(
        &mut self,
        flows: usize,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let (policy, half) = (PolicySet::Rules(DEFAULT_RULES), flows / 2);
        let all = connections(flows + half, DEFAULT_RULES, ipv6, random);
        let (first, created) = all.split_at(flows);
        let mut tuples = [created, &first[half..]].concat();
        self.expect_segments(first, ipv6)?;
        let bailey = Bailey::new(&policy, table_size(flows), |settings| {
            settings.flows_per_source = 0;
            settings.timeouts.tcp_time_wait = CLOSED_TIMEOUT;
        })?;
        // The baseline keeps closed flows, and its lists per CPU halve the room on two CPUs.
        let baseline = LruLpmBaseline::new(&policy, table_size(flows * 2))?;
        let programs: [&dyn ProgramUnderTest; 2] = [&bailey, &baseline];
        for program in programs {
            send_steps(&mut self.mutator, program, flows, &HANDSHAKE, ipv6)?;
            send_steps(&mut self.mutator, program, half, &CLOSE, ipv6)?;
        }
        self.mutator.set(&tuples)?;
        for program in programs {
            send_steps(&mut self.mutator, program, half, &HANDSHAKE, ipv6)?;
        }
        bailey.sweep_closed(Duration::from_secs(CLOSED_TIMEOUT.into()), flows)?;
        self.add(bailey);
        self.add(baseline);
        self.shuffle(&mut tuples, random)
    }

    pub(super) fn add_read_rules(
        &mut self,
        flows: usize,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let policy = PolicySet::Rules(DEFAULT_RULES);
        let mut tuples = connections(flows, DEFAULT_RULES, ipv6, random);
        self.expect_segments(&tuples, ipv6)?;
        self.count = READ_PACKETS;
        let bailey = Bailey::new(&policy, table_size(flows), |settings| {
            settings.flows_per_source = 0
        })?;
        send_steps(&mut self.mutator, &bailey, flows, &HANDSHAKE, ipv6)?;
        self.reader = Some(RuleReader::start(bailey.datapath.counters()?));
        self.add(bailey);
        self.shuffle(&mut tuples, random)
    }

    pub(super) fn add_one_way_udp(
        &mut self,
        flows: usize,
        ipv6: bool,
        random: &mut fastrand::Rng,
    ) -> Result<()> {
        let policy = PolicySet::UdpRules(DEFAULT_RULES);
        let mut tuples = connections(flows, DEFAULT_RULES, ipv6, random);
        self.mutator = Mutator::new(&tuples)?;
        let pod = POD[usize::from(ipv6)];
        self.frame = frame::ip(pod, pod, Protocol::UDP, &frame::udp(1, PORT));
        self.expected = PacketOutcome::Flow;
        // One-way flows count as half-open, of which a bucket holds six. A table for twice the
        // flows has few full buckets. A packet of a flow that found no place creates it again.
        self.tolerated_one_in = 1000;
        let size = table_size(flows * 2);
        self.add(Bailey::new(&policy, size, |settings| {
            settings.flows_per_source = 0;
            settings.timeouts.udp_new = ONE_WAY_TIMEOUT;
        })?);
        self.add(LruLpmBaseline::new(&policy, size)?);
        let options = RunOptions {
            count: flows as u32,
            ..RunOptions::default()
        };
        for program in &self.programs {
            self.mutator.run(program.callee(), &self.frame, options)?;
        }
        self.shuffle(&mut tuples, random)
    }

    /// Expects segments of established connections with these tuples.
    fn expect_segments(&mut self, tuples: &[Tuple], ipv6: bool) -> Result<()> {
        self.mutator = Mutator::new(tuples)?;
        self.frame = segment(ipv6, ACK);
        self.expected = PacketOutcome::Flow;
        Ok(())
    }

    /// Shuffles the tuples after the flows were created: a hash table stores elements in insertion
    /// order, and packets in that order would walk through memory sequentially.
    fn shuffle(&self, tuples: &mut [Tuple], random: &mut fastrand::Rng) -> Result<()> {
        random.shuffle(tuples);
        self.mutator.set(tuples)
    }
}

/// Flows that a table is made for.
fn table_size(flows: usize) -> u32 {
    (flows as u32).max(1024)
}

/// Sends each step for the first `flows` tuples, in batches, because the table limits half-open
/// flows.
fn send_steps(
    mutator: &mut Mutator,
    program: &dyn ProgramUnderTest,
    flows: usize,
    steps: &[Step],
    ipv6: bool,
) -> Result<()> {
    let flows = flows as u32;
    // A test run waits for grace periods, so batches must not be too small.
    let at_once = (flows / 16).max(1024).min(flows);
    for first in (0..flows).step_by(at_once as usize) {
        for &(flags, swap) in steps {
            let options = RunOptions {
                first,
                count: at_once,
                swap,
                ..RunOptions::default()
            };
            mutator.run(program.callee(), &segment(ipv6, flags), options)?;
        }
    }
    Ok(())
}
