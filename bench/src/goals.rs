use crate::results::Report;

/// What the numbers are to show: ratios of results of one run, or limits.
pub(crate) struct Goal {
    /// As it reads in a table.
    pub(crate) label: &'static str,
    /// The result it is about.
    numerator: [&'static str; 4],
    /// What that is divided by, if the goal is a ratio.
    denominator: Option<[&'static str; 4]>,
    /// What the ratio, or the value, has to be.
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// A goal and what came of it.
pub(crate) struct Outcome {
    /// Or the value itself. Nothing, if a result does not exist.
    pub(crate) ratio: Option<f64>,
    /// The second result less the first, in the unit of both.
    pub(crate) difference: Option<f64>,
    pub(crate) met: bool,
}

const fn program_ns(scenario: &'static str, system: &'static str) -> [&'static str; 4] {
    ["program", scenario, system, "ns_per_packet"]
}

const fn speedup(label: &'static str, scenario: &'static str, times: f64) -> Goal {
    Goal {
        label,
        numerator: program_ns(scenario, "reference"),
        denominator: Some(program_ns(scenario, "bailey")),
        target: Target::AtLeast(times),
    }
}

const fn ipv6_or_scale_ratio(
    label: &'static str,
    (dear, cheap): (&'static str, &'static str),
    times: f64,
) -> Goal {
    Goal {
        label,
        numerator: program_ns(dear, "bailey"),
        denominator: Some(program_ns(cheap, "bailey")),
        target: Target::AtMost(times),
    }
}

const fn wire_ns(scenario: &'static str, system: &'static str) -> [&'static str; 4] {
    ["wire", scenario, system, "ns_per_packet"]
}

/// The rate of Bailey over that of another system, which is the time of the other over its own.
const fn wire_rate(
    label: &'static str,
    scenario: &'static str,
    system: &'static str,
    times: f64,
) -> Goal {
    Goal {
        label,
        numerator: wire_ns(scenario, system),
        denominator: Some(wire_ns(scenario, "bailey")),
        target: Target::AtLeast(times),
    }
}

/// All of them.
pub(crate) const GOALS: [Goal; 18] = [
    speedup(
        "one established flow, reference over Bailey",
        "established-tcp-1",
        4.0,
    ),
    speedup(
        "64 k established flows, reference over Bailey",
        "established-tcp-64k",
        4.0,
    ),
    speedup(
        "1 M established flows, reference over Bailey",
        "established-tcp-1m",
        2.0,
    ),
    speedup(
        "denied, 10 k CIDRs, reference over Bailey",
        "denied-10k-cidrs",
        3.0,
    ),
    ipv6_or_scale_ratio(
        "64 k established flows, IPv6 over IPv4",
        ("established-tcp-64k-ipv6", "established-tcp-64k"),
        1.3,
    ),
    ipv6_or_scale_ratio(
        "1 M established flows, IPv6 over IPv4",
        ("established-tcp-1m-ipv6", "established-tcp-1m"),
        1.3,
    ),
    ipv6_or_scale_ratio(
        "new flows, IPv6 over IPv4",
        ("new-10-rules-ipv6", "new-10-rules"),
        2.0,
    ),
    ipv6_or_scale_ratio(
        "denied, 10 k CIDRs, IPv6 over IPv4",
        ("denied-10k-cidrs-ipv6", "denied-10k-cidrs"),
        2.0,
    ),
    ipv6_or_scale_ratio(
        "new flows, 100 k rules over 10",
        ("new-100k-rules", "new-10-rules"),
        1.5,
    ),
    ipv6_or_scale_ratio(
        "new IPv6 flows, 100 k rules over 10",
        ("new-100k-rules-ipv6", "new-10-rules-ipv6"),
        1.5,
    ),
    Goal {
        label: "xdp-filter's denied address over one established flow of Bailey",
        numerator: program_ns("blocked-1", "xdp-filter"),
        denominator: Some(program_ns("established-tcp-1", "bailey")),
        target: Target::AtLeast(1.0),
    },
    wire_rate(
        "wire, denied, 10 k CIDRs: rate over that of bare XDP_DROP",
        "deny-10k-cidr",
        "xdp-drop",
        0.7,
    ),
    wire_rate(
        "wire, denied, 10 k CIDRs: rate over that of nftables at ingress",
        "deny-10k-cidr",
        "nftables",
        5.0,
    ),
    wire_rate(
        "wire, denied, 10 k CIDRs: rate over that of nftables in raw",
        "deny-10k-cidr",
        "nftables-raw",
        5.0,
    ),
    wire_rate(
        "wire, denied, 1 M CIDRs: rate over that of bare XDP_DROP",
        "deny-1m-cidr",
        "xdp-drop",
        0.5,
    ),
    wire_rate(
        "wire, 64 k established flows: rate over that of a bare redirect",
        "established-bridge",
        "xdp-redirect",
        0.7,
    ),
    Goal {
        label: "one edit at 10 k policies and 100 k workloads, to the first packet [ms]",
        numerator: ["control", "policies-10k", "bailey", "edit_to_packet_ms"],
        denominator: None,
        target: Target::AtMost(250.0),
    },
    Goal {
        label: "the daemon's memory there [MiB]",
        numerator: ["control", "policies-10k", "bailey", "daemon_mib"],
        denominator: None,
        target: Target::AtMost(256.0),
    },
];

impl Goal {
    /// As these results have it.
    pub(crate) fn outcome(&self, report: &Report) -> Outcome {
        let first = report.value(self.numerator);
        let second = self.denominator.map(|names| report.value(names));
        let ratio = match second {
            None => first,
            Some(second) => first.zip(second).map(|(first, second)| first / second),
        };
        Outcome {
            ratio,
            difference: first
                .zip(second.flatten())
                .map(|(first, second)| second - first),
            met: ratio.is_some_and(|ratio| match self.target {
                Target::AtLeast(least) => ratio >= least,
                Target::AtMost(most) => ratio <= most,
            }),
        }
    }
}
