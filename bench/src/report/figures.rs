use anyhow::Result;

use super::plot::{self, Figure, Series};
use crate::results::Report;

/// Scenarios that differ in one number, which is their place on an axis.
struct Sweep {
    title: &'static str,
    caption: &'static str,
    x: &'static str,
    scenarios: &'static [(&'static str, f64)],
}

const SWEEPS: [Sweep; 4] = [
    Sweep {
        title: "Established TCP, by flows",
        caption: "A packet of an established connection, connections in random order. Net of XDP_DROP.",
        x: "flows",
        scenarios: &[
            ("established-tcp-1", 1.0),
            ("established-tcp-64k", 65_536.0),
            ("established-tcp-1m", 1_048_576.0),
        ],
    },
    Sweep {
        title: "New connections, by rules",
        caption: "A SYN that one of the rules lets in, from any of their prefixes. Net of XDP_DROP.",
        x: "rules",
        scenarios: &[
            ("new-1-rules", 1.0),
            ("new-10-rules", 10.0),
            ("new-100-rules", 100.0),
            ("new-10k-rules", 10_000.0),
            ("new-100k-rules", 100_000.0),
        ],
    },
    Sweep {
        title: "Denied, by CIDRs",
        caption: "A SYN from an address in one of the prefixes that a rule leaves out. Net of XDP_DROP.",
        x: "CIDRs",
        scenarios: &[
            ("denied", 1.0),
            ("denied-10k-cidrs", 10_000.0),
            ("denied-1m-cidrs", 1_000_000.0),
        ],
    },
    Sweep {
        title: "Blocked sources, by addresses",
        caption: "A packet from a source in the block table (Bailey) or in the table of denied sources \
                  (xdp-filter, which has no state). Net of XDP_DROP.",
        x: "addresses",
        scenarios: &[("blocked-1", 1.0), ("blocked-10k", 10_000.0)],
    },
];

/// All that these results have points for.
pub(crate) fn figures(report: &Report) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = hot(report)?.into_iter().collect();
    for sweep in &SWEEPS {
        for (suffix, family) in [("", "IPv4"), ("-ipv6", "IPv6")] {
            let series: Vec<Series> = ["bailey", "reference", "xdp-filter"]
                .into_iter()
                .map(|system| Series {
                    system: system.to_owned(),
                    points: points(report, sweep, suffix, system),
                })
                .filter(|series| !series.points.is_empty())
                .collect();
            if series.is_empty() {
                continue;
            }
            figures.push(Figure {
                title: format!("{} ({family})", sweep.title),
                caption: sweep.caption.to_owned(),
                svg: plot::lines([sweep.x, "ns per packet"], &series)?,
            });
        }
    }
    Ok(figures)
}

/// The packet that nearly all packets are, and the cheapest that a filter without state does.
fn hot(report: &Report) -> Result<Option<Figure>> {
    let mut bars = Vec::new();
    for (system, scenario) in [
        ("bailey", "established-tcp-1"),
        ("reference", "established-tcp-1"),
        ("xdp-filter", "blocked-1"),
    ] {
        let found = report.results.iter().find(|result| {
            result.metric == "ns_per_packet"
                && (result.system.as_str(), result.scenario.as_str()) == (system, scenario)
        });
        if let Some((value, range)) = found.and_then(|found| found.value.zip(found.range())) {
            bars.push((system.to_owned(), value, range));
        }
    }
    if bars.is_empty() {
        return Ok(None);
    }
    Ok(Some(Figure {
        title: "One packet, again and again".into(),
        caption: "An established TCP connection, with state; xdp-filter: a denied address, without. Net                   of XDP_DROP; the thin line is from the least to the greatest run."
            .into(),
        svg: plot::bars("ns per packet", &bars)?,
    }))
}

fn points(report: &Report, sweep: &Sweep, suffix: &str, system: &str) -> Vec<(f64, f64)> {
    let scenarios = sweep.scenarios.iter();
    let point = |(name, x): &(&str, f64)| {
        let scenario = format!("{name}{suffix}");
        let value = report.value(["program", &scenario, system, "ns_per_packet"]);
        value.map(|y| (*x, y))
    };
    scenarios.filter_map(point).collect()
}
