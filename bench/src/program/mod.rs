//! CPU time per packet of BPF programs, measured with BPF_PROG_TEST_RUN.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::cpu_contention::ContentionGauge;
use crate::results::Measurement;
pub(crate) use scenario::ScenarioKind;

mod floor;
mod flows;
mod mutator;
mod packets;
mod rule_reader;
mod scenario;
mod under_test;

/// Runs per scenario. Systems take turns within a run, so that background load affects all alike.
const RUNS: usize = 7;
/// Maximum runs until [`RUNS`] of them were uncontended.
const MAX_RUNS: usize = 16;
/// Maximum time to wait for an uncontended CPU, per scenario.
const MAX_WAIT: Duration = Duration::from_secs(8);
const XDP_DROP: &str = "xdp-drop";
const GROUP: &str = "program";
pub(crate) const METRIC: &str = "ns_per_packet";
const SEED: u64 = 0x6261_696c_6579;

/// Scenarios of the regression check.
pub(crate) fn checked_kinds() -> Vec<ScenarioKind> {
    vec![
        ScenarioKind::Established(1),
        ScenarioKind::Established(1 << 16),
        ScenarioKind::New(10),
        ScenarioKind::Denied,
        ScenarioKind::DeniedCidrs(10_000),
    ]
}

fn all_kinds() -> Vec<ScenarioKind> {
    let mut kinds = checked_kinds();
    kinds.extend([
        ScenarioKind::Established(1 << 20),
        ScenarioKind::Churned(1 << 16),
        ScenarioKind::ReadRules(1 << 16),
        ScenarioKind::OneWayUdp(1 << 16),
        ScenarioKind::New(1),
        ScenarioKind::New(100),
        ScenarioKind::New(10_000),
        ScenarioKind::New(100_000),
        ScenarioKind::DeniedCidrs(1_000_000),
        ScenarioKind::RecordedNew(10),
        ScenarioKind::RecordedCidrs(10_000),
        ScenarioKind::Failsafe,
        ScenarioKind::Blocked(1),
        ScenarioKind::Blocked(10_000),
        ScenarioKind::Fragments,
    ]);
    kinds
}

/// Pins this thread to the CPU that runs the programs, and returns the gauge of that CPU.
pub(crate) fn contention_gauge(max_wait: Duration) -> Result<ContentionGauge> {
    let cpu = crate::machine::cpus() - 1;
    bailey_nic::cpu::pin(cpu)?;
    ContentionGauge::new(&[cpu], max_wait)
}

/// Runs all scenarios whose names contain `only`, for both families.
pub(crate) fn run(only: &str) -> Result<Vec<Measurement>> {
    let (mut results, mut gauge) = (Vec::new(), contention_gauge(MAX_WAIT)?);
    for kind in all_kinds() {
        for ipv6 in [false, true] {
            if !kind.name(ipv6).contains(only) {
                continue;
            }
            let measured = measure(kind, ipv6, &mut gauge)?;
            measured.iter().for_each(Measurement::print);
            results.extend(measured);
        }
    }
    Ok(results)
}

/// Measures one scenario. Times are net of XDP_DROP, which the same mutator calls in the same
/// round.
pub(crate) fn measure(
    kind: ScenarioKind,
    ipv6: bool,
    gauge: &mut ContentionGauge,
) -> Result<Vec<Measurement>> {
    let mut scenario = kind.prepare(ipv6, SEED)?;
    let all = 0..scenario.programs.len();
    let rounds = gauge.run_rounds(RUNS, MAX_RUNS, |round| {
        let gross = all.clone().map(|at| scenario.run(at, round));
        gross.collect::<Result<Vec<f64>>>()
    })?;
    // Times of one program over all rounds, and the position of the XDP_DROP program.
    let of = |at: usize| rounds.iter().map(move |(gross, _)| gross[at]);
    let bare = |frags: bool| {
        let found = all.clone().find(|&at| {
            let program = &scenario.programs[at];
            program.name() == XDP_DROP && program.callee().frags == frags
        });
        found.context("no XDP_DROP program in the scenario")
    };
    // Subtract the harness, round by round.
    let mut results = Vec::new();
    if let Some((system, why)) = kind.unsupported_by() {
        let names = [GROUP, &scenario.name, system, METRIC];
        results.push(Measurement::unavailable(names, why));
    }
    for (at, program) in scenario.programs.iter().enumerate() {
        let names = |metric| [GROUP, &scenario.name, program.name(), metric];
        let frags = program.callee().frags;
        if program.name() == XDP_DROP {
            // Time of the harness and the mutator, which is subtracted.
            let metric = if frags {
                "harness_frags_ns"
            } else {
                "harness_ns"
            };
            results.push(Measurement::from_runs(names(metric), of(at)));
        } else {
            let net = of(at).zip(of(bare(frags)?)).map(|(all, bare)| all - bare);
            results.push(Measurement::from_runs(names(METRIC), net));
        }
    }
    if let Some(reader) = &scenario.reader {
        let names = [GROUP, &scenario.name, "bailey", "rule_pass_ms"];
        results.push(Measurement::from_runs(names, reader.pass_ms()));
    }
    let shares = rounds.iter().map(|&(_, share)| share);
    results.push(ContentionGauge::share_measurement(
        [GROUP, &scenario.name],
        shares,
    ));
    Ok(results)
}
