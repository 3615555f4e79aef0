//! What a packet costs a program, by BPF_PROG_TEST_RUN.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::pace::Pace;
use crate::results::Measured;
pub(crate) use scenario::Kind;

mod mutator;
mod scenario;
mod subject;

/// Runs per scenario: systems take turns within one, so that what else the machine does hits all alike.
const RUNS: usize = 7;
/// That are done, at most, until the CPU was undisturbed in so many.
const MOST_RUNS: usize = 16;
/// With others on the CPU, per scenario.
const PATIENCE: Duration = Duration::from_secs(8);
const XDP_DROP: &str = "xdp-drop";
const GROUP: &str = "program";
pub(crate) const METRIC: &str = "ns_per_packet";
const SEED: u64 = 0x6261_696c_6579;

/// What CI compares with the record.
pub(crate) fn short() -> Vec<Kind> {
    vec![
        Kind::Established(1),
        Kind::Established(1 << 16),
        Kind::New(10),
        Kind::Denied,
        Kind::DeniedCidrs(10_000),
    ]
}

fn all() -> Vec<Kind> {
    let mut kinds = short();
    kinds.extend([
        Kind::Established(1 << 20),
        Kind::New(1),
        Kind::New(100),
        Kind::New(10_000),
        Kind::New(100_000),
        Kind::DeniedCidrs(1_000_000),
        Kind::Failsafe,
        Kind::Blocked(1),
        Kind::Blocked(10_000),
        Kind::Fragments,
    ]);
    kinds
}

/// Of the CPU that programs are measured on; this thread stays there.
pub(crate) fn pace(patience: Duration) -> Result<Pace> {
    let cpu = crate::machine::cpus() - 1;
    bailey_nic::cpu::pin(cpu)?;
    Pace::new(&[cpu], patience)
}

/// Scenarios with a text in their names, in both families.
pub(crate) fn run(only: &str) -> Result<Vec<Measured>> {
    let (mut results, mut pace) = (Vec::new(), pace(PATIENCE)?);
    for kind in all() {
        for ipv6 in [false, true] {
            if !kind.name(ipv6).contains(only) {
                continue;
            }
            let measured = measure(kind, ipv6, &mut pace)?;
            measured.iter().for_each(Measured::print);
            results.extend(measured);
        }
    }
    Ok(results)
}

/// Net of XDP_DROP in the same round, called in the same way.
pub(crate) fn measure(kind: Kind, ipv6: bool, pace: &mut Pace) -> Result<Vec<Measured>> {
    let mut scenario = kind.prepare(ipv6, SEED)?;
    let all = 0..scenario.subjects.len();
    let rounds = pace.rounds(RUNS, MOST_RUNS, |round| {
        let gross = all.clone().map(|at| scenario.run(at, round));
        gross.collect::<Result<Vec<f64>>>()
    })?;
    let of = |at: usize| rounds.iter().map(move |(gross, _)| gross[at]);
    let bare = |frags: bool| {
        let found = all.clone().find(|&at| {
            let subject = &scenario.subjects[at];
            subject.name() == XDP_DROP && subject.callee().frags == frags
        });
        found.context("XDP_DROP was not measured")
    };
    let mut results = Vec::new();
    if let Some((system, why)) = kind.cannot() {
        let names = [GROUP, &scenario.name, system, METRIC];
        results.push(Measured::missing(names, why));
    }
    for (at, subject) in scenario.subjects.iter().enumerate() {
        let names = |metric| [GROUP, &scenario.name, subject.name(), metric];
        let frags = subject.callee().frags;
        if subject.name() == XDP_DROP {
            // The harness and the mutator: what is subtracted.
            let metric = if frags {
                "harness_frags_ns"
            } else {
                "harness_ns"
            };
            results.push(Measured::of(names(metric), of(at)));
        } else {
            let net = of(at).zip(of(bare(frags)?)).map(|(all, bare)| all - bare);
            results.push(Measured::of(names(METRIC), net));
        }
    }
    let shares = rounds.iter().map(|&(_, share)| share);
    results.push(Pace::measured([GROUP, &scenario.name], shares));
    Ok(results)
}
