use anyhow::Result;
use bailey_nic::limit::limit;
use bailey_nic::rfc2544::{back_to_back, frame_loss, latency, throughput};
use bailey_nic::tester::Tester;
use bailey_nic::trial::Outcome;

use super::{Arguments, GROUP, Procedure};
use crate::results::Measured;

/// One number of one run.
#[derive(Debug, Clone)]
pub(super) struct Number {
    procedure: &'static str,
    metric: String,
    value: f64,
    remark: Option<String>,
}

/// The same numbers of several runs.
#[derive(Debug, Default)]
pub(super) struct Series {
    known: Vec<(Number, Vec<f64>)>,
}

impl Series {
    pub(super) fn add(&mut self, numbers: Vec<Number>) {
        for number in numbers {
            let same = |(known, _): &&mut (Number, Vec<f64>)| {
                (known.procedure, &known.metric) == (number.procedure, &number.metric)
            };
            match self.known.iter_mut().find(same) {
                Some((_, values)) => values.push(number.value),
                None => self.known.push((number.clone(), vec![number.value])),
            }
        }
    }

    pub(super) fn measured(self, mix: &str, system: &str) -> Vec<Measured> {
        let known = self.known.into_iter();
        known
            .map(|(number, values)| {
                let scenario = format!("{}-{mix}", number.procedure);
                Measured {
                    reason: number.remark,
                    ..Measured::of([GROUP, &scenario, system, &number.metric], values)
                }
            })
            .collect()
    }
}

/// What is told of latencies.
const QUANTILES: [(&str, f64); 4] = [
    ("p50_ns", 0.5),
    ("p99_ns", 0.99),
    ("p999_ns", 0.999),
    ("max_ns", 1.0),
];

/// All procedures once.
pub(super) fn measure(tester: &mut Tester, arguments: &Arguments) -> Result<Vec<Number>> {
    let plan = arguments.plan(tester);
    let mut numbers = Vec::new();
    let mut tell = |procedure, metric: &str, value| {
        numbers.push(Number {
            procedure,
            metric: metric.to_owned(),
            value,
            remark: None,
        });
    };
    tester.introduce()?;
    let found = throughput(tester, &plan)?;
    let wants = |procedure| arguments.only.contains(&procedure);
    if wants(Procedure::Throughput) {
        let bits = tester.mix().mean_size() * 8.0;
        tell("throughput", "mpps", found.rate / 1e6);
        tell("throughput", "gbit_per_s", found.rate * bits / 1e9);
        tell("throughput", "offered_mpps", found.fastest.offered() / 1e6);
        if plan.line.is_finite() {
            tell("throughput", "line_percent", found.rate / plan.line * 100.0);
        }
        let count = |of: fn(&Outcome) -> u64| (of(&found.best) + of(&found.fastest)) as f64;
        tell(
            "throughput",
            "reordered",
            count(|outcome| outcome.reordered),
        );
        tell(
            "throughput",
            "duplicated",
            count(|outcome| outcome.duplicated),
        );
        tell(
            "throughput",
            "corrupted",
            count(|outcome| outcome.corrupted),
        );
    }
    if wants(Procedure::Loss) {
        for point in frame_loss(tester, &plan, &found.fastest)? {
            let metric = format!("lost_percent_at_{}", point.load_percent);
            tell("loss", &metric, point.outcome.lost_percent());
        }
    }
    if wants(Procedure::Bursts) {
        let bursts = back_to_back(tester, &plan, &found, arguments.bursts)?;
        tell("back-to-back", "frames", bursts.frames);
        tell(
            "back-to-back",
            "buffer_us",
            bursts.buffer.as_secs_f64() * 1e6,
        );
    }
    if wants(Procedure::Latency) {
        let outcome = latency(tester, &plan, &found, 1.0)?;
        for (metric, quantile) in QUANTILES {
            let value = outcome.latency.value_at_quantile(quantile);
            tell("latency", metric, value as f64);
        }
        tell("latency", "lost_percent", outcome.lost_percent());
    }
    let [sending, receiving] = &tester.ports;
    let what = limit(&found.fastest, tester.mix(), [sending, receiving]);
    if let Some(first) = numbers.first_mut() {
        first.remark = Some(what.to_string());
    }
    Ok(numbers)
}
