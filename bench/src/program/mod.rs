//! What a packet costs a program, by BPF_PROG_TEST_RUN.

use anyhow::Result;

use crate::results::Measured;
pub(crate) use scenario::Kind;

mod mutator;
mod scenario;
mod subject;

/// Runs per scenario: systems take turns within one, so that what else the machine does hits all alike.
const RUNS: u32 = 7;
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

/// Scenarios with a text in their names, in both families.
pub(crate) fn run(only: &str) -> Result<Vec<Measured>> {
    let mut results = Vec::new();
    for kind in all() {
        for ipv6 in [false, true] {
            if !kind.name(ipv6).contains(only) {
                continue;
            }
            let measured = measure(kind, ipv6)?;
            measured.iter().for_each(Measured::print);
            results.extend(measured);
        }
    }
    Ok(results)
}

/// Net of XDP_DROP in the same round, called in the same way.
pub(crate) fn measure(kind: Kind, ipv6: bool) -> Result<Vec<Measured>> {
    bailey_nic::cpu::pin(crate::machine::cpus() - 1)?;
    let mut scenario = kind.prepare(ipv6, SEED)?;
    let mut net: Vec<Vec<f64>> = vec![Vec::new(); scenario.subjects.len()];
    let mut gross = net.clone();
    for round in 0..RUNS {
        let mut bare = [0.0; 2];
        for at in 0..scenario.subjects.len() {
            let nanoseconds = scenario.run(at, round)?;
            let subject = &scenario.subjects[at];
            let frags = usize::from(subject.callee().frags);
            gross[at].push(nanoseconds);
            if subject.name() == "xdp-drop" {
                bare[frags] = nanoseconds;
            }
            net[at].push(nanoseconds - bare[frags]);
        }
    }
    let mut results = Vec::new();
    if let Some((system, why)) = kind.cannot() {
        let names = [GROUP, &scenario.name, system, METRIC];
        results.push(Measured::missing(names, why));
    }
    for ((subject, net), gross) in scenario.subjects.iter().zip(net).zip(gross) {
        let names = |metric| [GROUP, &scenario.name, subject.name(), metric];
        if subject.name() == "xdp-drop" {
            // The harness and the mutator: what was subtracted.
            let metric = if subject.callee().frags {
                "harness_frags_ns"
            } else {
                "harness_ns"
            };
            results.push(Measured::of(names(metric), gross));
        } else {
            results.push(Measured::of(names(METRIC), net));
        }
    }
    Ok(results)
}
