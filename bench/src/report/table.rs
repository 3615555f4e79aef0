//! Tables of results, for the report page and for docs/performance.md.

use std::collections::BTreeSet;

use crate::goals::{GOALS, Goal, Target};
use crate::results::{BASELINE, Measurement, Report};

/// Rows of text under a header.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The goals with their measured values.
pub(crate) fn goals(report: &Report) -> Table {
    let row = |goal: &Goal| {
        let result = goal.evaluate(report);
        let target = match goal.target {
            Target::AtLeast(least) => format!("≥ {least}"),
            Target::AtMost(most) | Target::MoreByAtMost(most) => format!("≤ {most}"),
        };
        let number =
            |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |n| format!("{n:.2}"));
        let verdict = match (result.value, result.is_met) {
            (None, _) => "not recorded".into(),
            (_, true) => "met".into(),
            (Some(value), false) => {
                let (Target::AtLeast(limit) | Target::AtMost(limit) | Target::MoreByAtMost(limit)) =
                    goal.target;
                let off = (value / limit - 1.0).abs() * 100.0;
                format!("missed by {off:.0} %")
            }
        };
        vec![
            goal.workload.to_owned(),
            goal.quantity.to_owned(),
            target,
            number(result.value),
            number(result.difference),
            verdict,
        ]
    };
    let header = [
        "workload",
        "quantity",
        "target",
        "measured",
        "difference [ns]",
        "result",
    ];
    Table {
        title: "Goals".into(),
        header: header.map(str::to_owned).into(),
        rows: GOALS.iter().map(row).collect(),
    }
}

/// Name of a system in reports.
pub(crate) fn system_label(system: &str) -> &str {
    match system {
        BASELINE => "LRU-hash/LPM baseline",
        other => other,
    }
}

/// Differences between each system and a kernel without a firewall, for results that contain much
/// host time; none without such results.
pub(crate) fn to_kernel(report: &Report) -> Option<Table> {
    const KERNEL: &str = "kernel";
    const COLUMNS: [(&str, &str, &str, f64); 8] = [
        ("latency-10", "p50_ns", "µs", 1e3),
        ("latency-10", "p99_ns", "µs", 1e3),
        ("latency-50", "p50_ns", "µs", 1e3),
        ("latency-50", "p99_ns", "µs", 1e3),
        ("latency-90", "p50_ns", "µs", 1e3),
        ("latency-90", "p99_ns", "µs", 1e3),
        ("connect-rate", "connections_per_s", "1/s", 1.0),
        ("connect-rate", "test_device_us_per_connection", "µs", 1.0),
    ];
    let value = |system: &str, column: &(&str, &str, &str, f64)| {
        let value = report.value(["wire", column.0, system, column.1]);
        value.map(|value| value / column.3)
    };
    let mut systems = BTreeSet::new();
    let measured = report.results.iter().filter(|result| {
        let has_value = result.value.is_some() && result.system != KERNEL;
        has_value && COLUMNS.iter().any(|column| column.0 == result.scenario)
    });
    systems.extend(measured.map(|result| result.system.as_str()));
    let cell = |system: &str, column| {
        let difference = value(system, column).zip(value(KERNEL, column));
        difference.map_or_else(
            || "–".to_owned(),
            |(own, kernel)| format!("{:+.1}", own - kernel),
        )
    };
    let rows: Vec<Vec<String>> = systems
        .into_iter()
        .map(|system| {
            let cells = COLUMNS.iter().map(|column| cell(system, column));
            [system.to_owned()].into_iter().chain(cells).collect()
        })
        .collect();
    let header = COLUMNS.iter().map(|(scenario, metric, unit, _)| {
        let metric = metric.trim_end_matches("_ns").replace('_', " ");
        format!("{scenario}: {metric} [{unit}]")
    });
    (!rows.is_empty()).then(|| Table {
        title: "wire: difference from a kernel without a firewall".into(),
        header: [String::new()].into_iter().chain(header).collect(),
        rows,
    })
}

/// One table per metric of a group: a row per scenario, a column per system.
pub(crate) fn of_group(report: &Report, group: &str) -> Vec<Table> {
    let results: Vec<&Measurement> = report
        .results
        .iter()
        .filter(|result| result.group == group)
        .collect();
    let metrics: BTreeSet<&str> = results
        .iter()
        .map(|result| result.metric.as_str())
        .collect();
    metrics
        .into_iter()
        .map(|metric| of_metric(&results, group, metric))
        .collect()
}

/// Three significant digits, or all integer digits.
fn digits(number: f64) -> String {
    let decimals = match number.abs() {
        1000.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{number:.decimals$}")
}

fn of_metric(results: &[&Measurement], group: &str, metric: &str) -> Table {
    let of_metric: Vec<&&Measurement> = results
        .iter()
        .filter(|result| result.metric == metric)
        .collect();
    let (mut systems, mut scenarios) = (Vec::new(), Vec::new());
    for result in &of_metric {
        if !systems.contains(&result.system) {
            systems.push(result.system.clone());
        }
        if !scenarios.contains(&result.scenario) {
            scenarios.push(result.scenario.clone());
        }
    }
    // A cell: the median with the least and the greatest run, or the reason for no value.
    let cell = |scenario: &str, system: &str| {
        let found = of_metric
            .iter()
            .find(|result| result.scenario == scenario && result.system == system);
        match found {
            None => "–".to_owned(),
            Some(result) => match (result.value, result.range()) {
                (Some(value), Some((least, most))) => {
                    let [value, least, most] = [value, least, most].map(digits);
                    format!("{value} ({least}–{most})")
                }
                _ => result.reason.clone().unwrap_or_default(),
            },
        }
    };
    let labels = systems.iter().map(|system| system_label(system).to_owned());
    let rows = scenarios.iter().map(|scenario| {
        let cells = systems.iter().map(|system| cell(scenario, system));
        [scenario.clone()].into_iter().chain(cells).collect()
    });
    Table {
        title: format!("{group}: {}", metric.replace('_', " ")),
        rows: rows.collect(),
        header: [String::new()].into_iter().chain(labels).collect(),
    }
}
