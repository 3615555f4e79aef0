//! A series of runs, and its measurements.

use anyhow::Result;
use bailey_nic::limit::find_limit;
use bailey_nic::rfc2544::{
    measure_bursts, measure_frame_loss, measure_latency, measure_throughput,
};
use bailey_nic::tester::Tester;
use bailey_nic::trial::TrialOutcome;

use super::{Arguments, GROUP, Procedure};
use crate::results::Measurement;

/// One metric of one run.
#[derive(Debug, Clone)]
pub(super) struct RunValue {
    procedure: &'static str,
    metric: String,
    value: f64,
    remark: Option<String>,
}

/// All metrics of several runs.
#[derive(Debug, Default)]
pub(super) struct Series {
    known: Vec<(RunValue, Vec<f64>)>,
}

impl Series {
    pub(super) fn add(&mut self, values: Vec<RunValue>) {
        for value in values {
            let same = |(known, _): &&mut (RunValue, Vec<f64>)| {
                (known.procedure, &known.metric) == (value.procedure, &value.metric)
            };
            match self.known.iter_mut().find(same) {
                Some((_, values)) => values.push(value.value),
                None => self.known.push((value.clone(), vec![value.value])),
            }
        }
    }

    pub(super) fn measured(self, mix: &str, system: &str) -> Vec<Measurement> {
        let known = self.known.into_iter();
        known
            .map(|(value, values)| {
                let scenario = format!("{}-{mix}", value.procedure);
                Measurement {
                    reason: value.remark,
                    ..Measurement::from_runs([GROUP, &scenario, system, &value.metric], values)
                }
            })
            .collect()
    }
}

/// Reported quantiles of latencies.
const QUANTILES: [(&str, f64); 4] = [
    ("p50_ns", 0.5),
    ("p99_ns", 0.99),
    ("p999_ns", 0.999),
    ("max_ns", 1.0),
];

/// Runs all selected procedures once.
pub(super) fn measure(tester: &mut Tester, arguments: &Arguments) -> Result<Vec<RunValue>> {
    let plan = arguments.plan(tester);
    let mut values = Vec::new();
    let mut record = |procedure, metric: &str, value| {
        values.push(RunValue {
            procedure,
            metric: metric.to_owned(),
            value,
            remark: None,
        });
    };
    tester.establish_flows()?;
    let found = measure_throughput(tester, &plan)?;
    let wants = |procedure| arguments.only.contains(&procedure);
    if wants(Procedure::Throughput) {
        let bits = tester.mix().mean_size() * 8.0;
        record("throughput", "mpps", found.rate / 1e6);
        record("throughput", "gbit_per_s", found.rate * bits / 1e9);
        record("throughput", "offered_mpps", found.fastest.offered() / 1e6);
        if plan.line_rate.is_finite() {
            record(
                "throughput",
                "line_percent",
                found.rate / plan.line_rate * 100.0,
            );
        }
        let count = |of: fn(&TrialOutcome) -> u64| (of(&found.best) + of(&found.fastest)) as f64;
        record(
            "throughput",
            "reordered",
            count(|outcome| outcome.reordered),
        );
        record(
            "throughput",
            "duplicated",
            count(|outcome| outcome.duplicated),
        );
        record(
            "throughput",
            "corrupted",
            count(|outcome| outcome.corrupted),
        );
    }
    if wants(Procedure::Loss) {
        for point in measure_frame_loss(tester, &plan, &found.fastest)? {
            let metric = format!("lost_percent_at_{}", point.load_percent);
            record("loss", &metric, point.outcome.lost_percent());
        }
    }
    if wants(Procedure::Bursts) {
        let bursts = measure_bursts(tester, &plan, &found, arguments.bursts)?;
        record("back-to-back", "frames", bursts.frames);
        record(
            "back-to-back",
            "buffer_us",
            bursts.buffer.as_secs_f64() * 1e6,
        );
    }
    if wants(Procedure::Latency) {
        let outcome = measure_latency(tester, &plan, &found, 1.0)?;
        for (metric, quantile) in QUANTILES {
            let value = outcome.latency.value_at_quantile(quantile);
            record("latency", metric, value as f64);
        }
        record("latency", "lost_percent", outcome.lost_percent());
    }
    let [sending, receiving] = &tester.ports;
    let what = find_limit(&found.fastest, tester.mix(), [sending, receiving]);
    if let Some(first) = values.first_mut() {
        first.remark = Some(what.to_string());
    }
    Ok(values)
}
