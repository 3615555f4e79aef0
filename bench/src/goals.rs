use crate::results::Report;

/// What the numbers are to show: ratios of results of one run, or limits.
pub(crate) struct Goal {
    /// As it reads in a table.
    pub(crate) what: &'static str,
    /// The result it is about.
    of: [&'static str; 4],
    /// What that is divided by, if the goal is a ratio.
    over: Option<[&'static str; 4]>,
    /// What the ratio, or the value, has to be.
    pub(crate) wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
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

const fn ns(scenario: &'static str, system: &'static str) -> [&'static str; 4] {
    ["program", scenario, system, "ns_per_packet"]
}

const fn faster(what: &'static str, scenario: &'static str, times: f64) -> Goal {
    Goal {
        what,
        of: ns(scenario, "reference"),
        over: Some(ns(scenario, "bailey")),
        wanted: Wanted::AtLeast(times),
    }
}

const fn at_most(
    what: &'static str,
    (dear, cheap): (&'static str, &'static str),
    times: f64,
) -> Goal {
    Goal {
        what,
        of: ns(dear, "bailey"),
        over: Some(ns(cheap, "bailey")),
        wanted: Wanted::AtMost(times),
    }
}

const fn wire(scenario: &'static str, system: &'static str) -> [&'static str; 4] {
    ["wire", scenario, system, "ns_per_packet"]
}

/// The rate of Bailey over that of another system, which is the time of the other over its own.
const fn rate(
    what: &'static str,
    scenario: &'static str,
    system: &'static str,
    times: f64,
) -> Goal {
    Goal {
        what,
        of: wire(scenario, system),
        over: Some(wire(scenario, "bailey")),
        wanted: Wanted::AtLeast(times),
    }
}

/// All of them.
pub(crate) const GOALS: [Goal; 18] = [
    faster(
        "one established flow, reference over Bailey",
        "established-tcp-1",
        4.0,
    ),
    faster(
        "64 k established flows, reference over Bailey",
        "established-tcp-64k",
        4.0,
    ),
    faster(
        "1 M established flows, reference over Bailey",
        "established-tcp-1m",
        2.0,
    ),
    faster(
        "denied, 10 k CIDRs, reference over Bailey",
        "denied-10k-cidrs",
        3.0,
    ),
    at_most(
        "64 k established flows, IPv6 over IPv4",
        ("established-tcp-64k-ipv6", "established-tcp-64k"),
        1.3,
    ),
    at_most(
        "1 M established flows, IPv6 over IPv4",
        ("established-tcp-1m-ipv6", "established-tcp-1m"),
        1.3,
    ),
    at_most(
        "new flows, IPv6 over IPv4",
        ("new-10-rules-ipv6", "new-10-rules"),
        2.0,
    ),
    at_most(
        "denied, 10 k CIDRs, IPv6 over IPv4",
        ("denied-10k-cidrs-ipv6", "denied-10k-cidrs"),
        2.0,
    ),
    at_most(
        "new flows, 100 k rules over 10",
        ("new-100k-rules", "new-10-rules"),
        1.5,
    ),
    at_most(
        "new IPv6 flows, 100 k rules over 10",
        ("new-100k-rules-ipv6", "new-10-rules-ipv6"),
        1.5,
    ),
    Goal {
        what: "xdp-filter's denied address over one established flow of Bailey",
        of: ns("blocked-1", "xdp-filter"),
        over: Some(ns("established-tcp-1", "bailey")),
        wanted: Wanted::AtLeast(1.0),
    },
    rate(
        "wire, denied, 10 k CIDRs: rate over that of bare XDP_DROP",
        "deny-10k-cidr",
        "xdp-drop",
        0.7,
    ),
    rate(
        "wire, denied, 10 k CIDRs: rate over that of nftables at ingress",
        "deny-10k-cidr",
        "nftables",
        5.0,
    ),
    rate(
        "wire, denied, 10 k CIDRs: rate over that of nftables in raw",
        "deny-10k-cidr",
        "nftables-raw",
        5.0,
    ),
    rate(
        "wire, denied, 1 M CIDRs: rate over that of bare XDP_DROP",
        "deny-1m-cidr",
        "xdp-drop",
        0.5,
    ),
    rate(
        "wire, 64 k established flows: rate over that of a bare redirect",
        "established-bridge",
        "xdp-redirect",
        0.7,
    ),
    Goal {
        what: "one edit at 10 k policies and 100 k workloads, to the first packet [ms]",
        of: ["control", "policies-10k", "bailey", "edit_to_packet_ms"],
        over: None,
        wanted: Wanted::AtMost(250.0),
    },
    Goal {
        what: "the daemon's memory there [MiB]",
        of: ["control", "policies-10k", "bailey", "daemon_mib"],
        over: None,
        wanted: Wanted::AtMost(256.0),
    },
];

impl Goal {
    /// As these results have it.
    pub(crate) fn outcome(&self, report: &Report) -> Outcome {
        let first = report.value(self.of);
        let second = self.over.map(|names| report.value(names));
        let ratio = match second {
            None => first,
            Some(second) => first.zip(second).map(|(first, second)| first / second),
        };
        Outcome {
            ratio,
            difference: first
                .zip(second.flatten())
                .map(|(first, second)| second - first),
            met: ratio.is_some_and(|ratio| match self.wanted {
                Wanted::AtLeast(least) => ratio >= least,
                Wanted::AtMost(most) => ratio <= most,
            }),
        }
    }
}
