//! Figures of the report page, by scenario.

use std::collections::BTreeSet;

use anyhow::Result;

use super::plot::{self, Figure, Scale, Series};
use crate::results::{BASELINE, FLOOR, Measurement, Report};

/// Scenarios that differ in one number, the x axis.
struct Sweep {
    title: &'static str,
    caption: &'static str,
    x: &'static str,
    scenarios: &'static [(&'static str, f64)],
}

const SWEEPS: [Sweep; 4] = [
    Sweep {
        title: "Established TCP, by flows",
        caption: "A packet of an established connection; connections in random order. The floor is the lower bound. Net \
                  of XDP_DROP.",
        x: "flows",
        scenarios: &[
            ("established-tcp-1", 1.0),
            ("established-tcp-64k", 65_536.0),
            ("established-tcp-1m", 1_048_576.0),
        ],
    },
    Sweep {
        title: "New connections, by rules",
        caption: "A SYN that one of the rules allows, from a random prefix. Net of XDP_DROP.",
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
        caption: "A SYN from an address in one of the prefixes that a rule excludes. Net of XDP_DROP.",
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

/// Cost of denied packets over the wire, by system.
const WIRE: Sweep = Sweep {
    title: "Over a wire: denied, by CIDRs",
    caption: "Time per denied SYN at full speed of the generator; both axes are logarithmic. xdp-drop and, for \
              programs that read the headers, read-drop are lower bounds; kernel forwards the frames.",
    x: "CIDRs",
    scenarios: &[
        ("deny-1-cidr", 1.0),
        ("deny-1k-cidr", 1000.0),
        ("deny-10k-cidr", 10_000.0),
        ("deny-100k-cidr", 100_000.0),
        ("deny-1m-cidr", 1_000_000.0),
    ],
};

/// One scenario, with a bar per system.
struct Bars {
    title: &'static str,
    caption: &'static str,
    y: &'static str,
    scenario: &'static str,
    metric: &'static str,
}

const BARS: [Bars; 6] = [
    Bars {
        title: "Over a wire: 64 k established flows",
        caption: "Segments of established connections, forwarded to the peer port.",
        y: "million packets per second",
        scenario: "established-bridge",
        metric: "mpps",
    },
    Bars {
        title: "Over a wire: nine of ten allowed",
        caption: "Segments of established connections, with one denied SYN in ten frames.",
        y: "million packets per second",
        scenario: "mixed-90-10",
        metric: "mpps",
    },
    Bars {
        title: "New connections",
        caption: "Handshakes of four real clients. The clients and their server share a CPU and use most of the \
                  time. The next figure shows the device under test.",
        y: "connections per second",
        scenario: "connect-rate",
        metric: "connections_per_s",
    },
    Bars {
        title: "Cost of a connection",
        caption: "Time of the threads that poll the interfaces of the device under test.",
        y: "µs per connection",
        scenario: "connect-rate",
        metric: "test_device_us_per_connection",
    },
    Bars {
        title: "One TCP stream",
        caption: "From one host to the other, without segmentation offload. XDP systems forward every segment \
                  separately; the kernel merges segments (GRO).",
        y: "Gbit/s",
        scenario: "tcp-stream",
        metric: "gbit_per_s",
    },
    Bars {
        title: "One TCP stream under a flood",
        caption: "Remaining share of the rate during a flood of 50 000 SYNs and datagrams per second from random \
                  sources. Sending the flood uses the CPU of the hosts, so no system reaches 100 %.",
        y: "percent of the rate before the flood",
        scenario: "syn-flood",
        metric: "goodput_kept_percent",
    },
];

/// Latency scenarios, with their share of the system's capacity.
const LATENCIES: [(&str, &str); 3] = [
    ("latency-10", "10 %"),
    ("latency-50", "50 %"),
    ("latency-90", "90 %"),
];
/// Latency quantiles; of `n` frames, one takes longer than the quantile.
const TAIL: [(&str, f64); 5] = [
    ("p10_ns", 1.0 / 0.9),
    ("p50_ns", 2.0),
    ("p90_ns", 10.0),
    ("p99_ns", 100.0),
    ("p999_ns", 1000.0),
];

/// All figures for which the report has results.
pub(crate) fn figures(report: &Report) -> Result<Vec<Figure>> {
    let mut figures: Vec<Figure> = repeated_packet(report)?.into_iter().collect();
    figures.extend(wire(report)?);
    figures.extend(nic(report)?);
    for sweep in &SWEEPS {
        for (suffix, family) in [("", "IPv4"), ("-ipv6", "IPv6")] {
            let systems = ["bailey", BASELINE, FLOOR, "xdp-filter"].into_iter();
            let series = series(systems, |system| {
                points(report, sweep, ["program", suffix, system])
            });
            if series.is_empty() {
                continue;
            }
            figures.push(Figure {
                title: format!("{} ({family})", sweep.title),
                caption: sweep.caption.to_owned(),
                svg: plot::lines([sweep.x, "ns per packet"], &series, Scale::Linear)?,
            });
        }
    }
    Ok(figures)
}

/// The most frequent packet, compared with the cheapest packet of a stateless filter.
fn repeated_packet(report: &Report) -> Result<Option<Figure>> {
    let mut bars = Vec::new();
    for (system, scenario) in [
        ("bailey", "established-tcp-1"),
        (BASELINE, "established-tcp-1"),
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
        title: "One repeated packet".into(),
        caption:
            "An established TCP connection; for xdp-filter, which has no state, a denied address. Net \
                  of XDP_DROP. The thin line spans the least to the greatest run."
                .into(),
        svg: plot::bars("ns per packet", &bars)?,
    }))
}

/// Figures of the wire group.
fn wire(report: &Report) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let series = series(systems(report), |system| {
        points(report, &WIRE, ["wire", "", system])
    });
    if !series.is_empty() {
        figures.push(Figure {
            title: WIRE.title.to_owned(),
            caption: WIRE.caption.to_owned(),
            svg: plot::lines([WIRE.x, "ns per packet"], &series, Scale::Logarithmic)?,
        });
    }
    for bars in &BARS {
        let of_this = |result: &&Measurement| {
            (result.group.as_str(), result.scenario.as_str()) == ("wire", bars.scenario)
                && result.metric == bars.metric
        };
        let found = report.results.iter().filter(of_this);
        let systems: Vec<_> = found
            .filter_map(|result| Some((result.system.clone(), result.value?, result.range()?)))
            .collect();
        if !systems.is_empty() {
            figures.push(Figure {
                title: bars.title.to_owned(),
                caption: bars.caption.to_owned(),
                svg: plot::bars(bars.y, &systems)?,
            });
        }
    }
    for (scenario, share) in LATENCIES {
        figures.extend(latency(report, scenario, share)?);
    }
    Ok(figures)
}

fn latency(report: &Report, scenario: &str, share: &str) -> Result<Option<Figure>> {
    let of_system = |system: &str| {
        let point = |(metric, one_in): &(&str, f64)| {
            let value = report.value(["wire", scenario, system, metric]);
            value.map(|nanoseconds| (*one_in, nanoseconds / 1000.0))
        };
        TAIL.iter().filter_map(point).collect::<Vec<_>>()
    };
    let series = series(systems(report), of_system);
    if series.is_empty() {
        return Ok(None);
    }
    Ok(Some(Figure {
        title: format!("Latency at {share} of each system's capacity"),
        caption: "Time from the due time of a burst of 64 frames to each frame's arrival; most of it is the burst \
                  itself. The x axis is n: one frame in n takes longer."
            .into(),
        svg: plot::lines(["one frame in", "µs"], &series, Scale::Logarithmic)?,
    }))
}

/// Frame sizes of RFC 2544, section 9.1, in bytes.
const FRAMES: [u32; 7] = [64, 128, 256, 512, 1024, 1280, 1518];

/// Throughput by frame size, in the form that RFC 2544 requires.
fn nic(report: &Report) -> Result<Option<Figure>> {
    let of_system = |system: &str| {
        let point = |size: &u32| {
            let scenario = format!("throughput-{size}");
            let value = report.value(["nic", &scenario, system, "mpps"]);
            value.map(|mpps| (f64::from(*size), mpps))
        };
        FRAMES.iter().filter_map(point).collect::<Vec<_>>()
    };
    let series = series(systems(report), of_system);
    if series.is_empty() {
        return Ok(None);
    }
    Ok(Some(Figure {
        title: "RFC 2544: throughput".into(),
        caption: "The highest rate without loss, by frame size. On veth the tester is the limit, so the difference \
                  from a cable is the cost of the device."
            .into(),
        svg: plot::lines(
            ["bytes per frame", "million frames per second"],
            &series,
            Scale::Linear,
        )?,
    }))
}

/// The series of all systems that have points.
fn series<'a>(
    systems: impl Iterator<Item = &'a str>,
    points: impl Fn(&str) -> Vec<(f64, f64)>,
) -> Vec<Series> {
    let all = systems.map(|system| Series {
        system: system.to_owned(),
        points: points(system),
    });
    all.filter(|series| !series.points.is_empty()).collect()
}

/// All systems, in the order of the results.
fn systems(report: &Report) -> impl Iterator<Item = &str> {
    let mut known = BTreeSet::new();
    let names = report.results.iter().map(|result| result.system.as_str());
    names.filter(move |name| known.insert(*name))
}

fn points(report: &Report, sweep: &Sweep, [group, suffix, system]: [&str; 3]) -> Vec<(f64, f64)> {
    let scenarios = sweep.scenarios.iter();
    let point = |(name, x): &(&str, f64)| {
        let scenario = format!("{name}{suffix}");
        let value = report.value([group, &scenario, system, "ns_per_packet"]);
        value.map(|y| (*x, y))
    };
    scenarios.filter_map(point).collect()
}
