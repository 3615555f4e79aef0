//! Performance goals: limits of ratios between results of one run, or of single results.
//! docs/performance.md has the reasons of the limits, and the goals that these replaced.

use crate::results::{BASELINE, FLOOR, Report, WITHOUT_RECORDER};

/// A result, or a ratio of two results, and its target.
pub(crate) struct Goal {
    /// Workload, for the report.
    pub(crate) workload: &'static str,
    /// The compared quantity with its unit or its ratio, for the report.
    pub(crate) quantity: &'static str,
    numerator: [&'static str; 4],
    /// None if the goal is about a single result.
    denominator: Option<[&'static str; 4]>,
    pub(crate) target: Target,
}

/// Limit of the ratio or of the single result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Limit of the first result less the second one.
    MoreByAtMost(f64),
}

/// Measured value of a goal.
pub(crate) struct GoalResult {
    /// The ratio, the difference, or the single result; none if a result is missing.
    pub(crate) value: Option<f64>,
    /// Denominator minus numerator, in their unit.
    pub(crate) difference: Option<f64>,
    pub(crate) is_met: bool,
}

const fn program_ns(scenario: &'static str, system: &'static str) -> [&'static str; 4] {
    ["program", scenario, system, "ns_per_packet"]
}

const fn wire_ns(scenario: &'static str, system: &'static str) -> [&'static str; 4] {
    ["wire", scenario, system, "ns_per_packet"]
}

/// Time of the LRU-hash/LPM baseline divided by Bailey's time.
const fn speedup(workload: &'static str, scenario: &'static str, least: f64) -> Goal {
    Goal {
        workload,
        quantity: "time, LRU-hash/LPM baseline / Bailey",
        numerator: program_ns(scenario, BASELINE),
        denominator: Some(program_ns(scenario, "bailey")),
        target: Target::AtLeast(least),
    }
}

/// Bailey's time divided by the time of the floor.
const fn over_floor(workload: &'static str, scenario: &'static str, most: f64) -> Goal {
    Goal {
        workload,
        quantity: "time, Bailey / floor",
        numerator: program_ns(scenario, "bailey"),
        denominator: Some(program_ns(scenario, FLOOR)),
        target: Target::AtMost(most),
    }
}

/// Bailey's time in the first scenario divided by its time in the second.
const fn time_ratio(
    [workload, quantity]: [&'static str; 2],
    [numerator, denominator]: [&'static str; 2],
    most: f64,
) -> Goal {
    Goal {
        workload,
        quantity,
        numerator: program_ns(numerator, "bailey"),
        denominator: Some(program_ns(denominator, "bailey")),
        target: Target::AtMost(most),
    }
}

/// Bailey's packet rate divided by the rate of another system: the inverse ratio of their times.
const fn wire_rate(
    [workload, quantity]: [&'static str; 2],
    scenario: &'static str,
    system: &'static str,
    least: f64,
) -> Goal {
    Goal {
        workload,
        quantity,
        numerator: wire_ns(scenario, system),
        denominator: Some(wire_ns(scenario, "bailey")),
        target: Target::AtLeast(least),
    }
}

/// Bailey's time with its recorder, less its time without.
const fn recorder_cost(workload: &'static str, scenario: &'static str) -> Goal {
    Goal {
        workload,
        quantity: "time, with recorder − without [ns]",
        numerator: program_ns(scenario, "bailey"),
        denominator: Some(program_ns(scenario, WITHOUT_RECORDER)),
        target: Target::MoreByAtMost(5.0),
    }
}

/// All goals, in the order of the report.
pub(crate) const GOALS: [Goal; 36] = [
    speedup("1 established flow", "established-tcp-1", 2.0),
    speedup("64 k established flows", "established-tcp-64k", 2.0),
    speedup("1 M established flows", "established-tcp-1m", 1.9),
    speedup(
        "64 k established IPv6 flows",
        "established-tcp-64k-ipv6",
        1.6,
    ),
    speedup("1 M established IPv6 flows", "established-tcp-1m-ipv6", 1.6),
    speedup("denied by 10 k prefixes", "denied-10k-cidrs", 4.0),
    speedup("denied by 1 M prefixes", "denied-1m-cidrs", 5.0),
    speedup("new flows, 10 rules", "new-10-rules", 1.5),
    over_floor("1 established flow", "established-tcp-1", 2.5),
    over_floor("64 k established flows", "established-tcp-64k", 1.6),
    over_floor("1 M established flows", "established-tcp-1m", 1.7),
    time_ratio(
        ["64 k established flows", "time, IPv6 / IPv4"],
        ["established-tcp-64k-ipv6", "established-tcp-64k"],
        1.3,
    ),
    time_ratio(
        ["1 M established flows", "time, IPv6 / IPv4"],
        ["established-tcp-1m-ipv6", "established-tcp-1m"],
        1.3,
    ),
    time_ratio(
        ["new flows", "time, IPv6 / IPv4"],
        ["new-10-rules-ipv6", "new-10-rules"],
        2.0,
    ),
    time_ratio(
        ["denied by 10 k prefixes", "time, IPv6 / IPv4"],
        ["denied-10k-cidrs-ipv6", "denied-10k-cidrs"],
        2.0,
    ),
    time_ratio(
        ["new flows", "time, 100 k rules / 10 rules"],
        ["new-100k-rules", "new-10-rules"],
        1.5,
    ),
    time_ratio(
        ["new IPv6 flows", "time, 100 k rules / 10 rules"],
        ["new-100k-rules-ipv6", "new-10-rules-ipv6"],
        1.5,
    ),
    Goal {
        workload: "denied address (xdp-filter), 1 established flow (Bailey)",
        quantity: "time, xdp-filter / Bailey",
        numerator: program_ns("blocked-1", "xdp-filter"),
        denominator: Some(program_ns("established-tcp-1", "bailey")),
        target: Target::AtLeast(1.0),
    },
    wire_rate(
        ["wire, denied by 10 k prefixes", "rate, Bailey / read-drop"],
        "deny-10k-cidr",
        "read-drop",
        0.6,
    ),
    wire_rate(
        [
            "wire, denied by 10 k prefixes",
            "rate, Bailey / nftables at ingress",
        ],
        "deny-10k-cidr",
        "nftables",
        2.5,
    ),
    wire_rate(
        [
            "wire, denied by 10 k prefixes",
            "rate, Bailey / nftables in raw",
        ],
        "deny-10k-cidr",
        "nftables-raw",
        2.5,
    ),
    wire_rate(
        [
            "wire, 64 k established flows",
            "rate, Bailey / read-redirect",
        ],
        "established-bridge",
        "read-redirect",
        0.5,
    ),
    recorder_cost("denied by 10 k prefixes", "recorded-denied-10k-cidrs"),
    recorder_cost("new flows, 10 rules", "recorded-new-10-rules"),
    wire_rate(
        [
            "wire, denied by 10 k prefixes",
            "rate, with recorder / without",
        ],
        "deny-10k-cidr",
        WITHOUT_RECORDER,
        0.97,
    ),
    Goal {
        workload: "one edit, 10 k policies, 100 k workloads",
        quantity: "time to the first packet [ms]",
        numerator: ["control", "policies-10k", "bailey", "edit_to_packet_ms"],
        denominator: None,
        target: Target::AtMost(250.0),
    },
    Goal {
        workload: "10 k policies, readers of /v1/watch",
        quantity: "CPU time of the daemon, 100 readers / 1 reader",
        numerator: [
            "control",
            "policies-10k",
            "bailey",
            "cpu_100_readers_ms_per_s",
        ],
        denominator: Some(["control", "policies-10k", "bailey", "cpu_1_reader_ms_per_s"]),
        target: Target::AtMost(1.2),
    },
    Goal {
        workload: "10 k policies, 100 k workloads",
        quantity: "memory of the daemon [MiB]",
        numerator: ["control", "policies-10k", "bailey", "daemon_mib"],
        denominator: None,
        target: Target::AtMost(256.0),
    },
    console_goal(
        "time to the first screen [ms]",
        "console_first_screen_ms",
        150.0,
    ),
    console_goal("CPU time at rest [%]", "console_cpu_percent", 1.0),
    console_goal("memory [MiB]", "console_mib", 40.0),
    console_goal(
        "bytes to the terminal per second",
        "console_bytes_per_s",
        20_000.0,
    ),
    Goal {
        workload: "10 k policies, one console",
        quantity: "CPU time of the daemon, with − without [ms/s]",
        numerator: [
            "control",
            "policies-10k",
            "bailey",
            "cpu_1_console_ms_per_s",
        ],
        denominator: Some([
            "control",
            "policies-10k",
            "bailey",
            "cpu_no_reader_ms_per_s",
        ]),
        target: Target::MoreByAtMost(5.0),
    },
    list_goal("time through the socket [ms]", "list_ms", 3000.0),
    list_goal("memory of the reader [MiB]", "reader_mib", 64.0),
    list_goal("more memory of the daemon [MiB]", "daemon_more_mib", 64.0),
];

/// A console of 120 columns and 40 lines, beside a daemon with 10 000 policies.
const fn console_goal(quantity: &'static str, metric: &'static str, most: f64) -> Goal {
    Goal {
        workload: "10 k policies, console",
        quantity,
        numerator: ["control", "policies-10k", "bailey", metric],
        denominator: None,
        target: Target::AtMost(most),
    }
}

/// A list of a million flows as NDJSON.
const fn list_goal(quantity: &'static str, metric: &'static str, most: f64) -> Goal {
    Goal {
        workload: "list of 1 M flows",
        quantity,
        numerator: ["control", "conntrack-list-1m", "bailey", metric],
        denominator: None,
        target: Target::AtMost(most),
    }
}

impl Goal {
    /// Evaluates the goal with the results of a report.
    pub(crate) fn evaluate(&self, report: &Report) -> GoalResult {
        let first = report.value(self.numerator);
        let second = self.denominator.map(|names| report.value(names));
        let value = match second {
            None => first,
            Some(second) => first.zip(second).map(|(first, second)| match self.target {
                Target::MoreByAtMost(_) => first - second,
                Target::AtLeast(_) | Target::AtMost(_) => first / second,
            }),
        };
        GoalResult {
            value,
            difference: first
                .zip(second.flatten())
                .map(|(first, second)| second - first),
            is_met: value.is_some_and(|value| match self.target {
                Target::AtLeast(least) => value >= least,
                Target::AtMost(most) | Target::MoreByAtMost(most) => value <= most,
            }),
        }
    }
}
