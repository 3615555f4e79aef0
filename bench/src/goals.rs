use crate::results::Report;

/// What the numbers are to show: ratios of results of one run.
pub(crate) struct Goal {
    /// As it reads in a table.
    pub(crate) what: &'static str,
    /// What is divided, and by what.
    over: [[&'static str; 4]; 2],
    /// What the ratio has to be.
    pub(crate) wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// A goal and what came of it.
pub(crate) struct Outcome {
    /// Nothing, if one of the two results does not exist.
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
        over: [ns(scenario, "reference"), ns(scenario, "bailey")],
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
        over: [ns(dear, "bailey"), ns(cheap, "bailey")],
        wanted: Wanted::AtMost(times),
    }
}

/// All of them.
pub(crate) const GOALS: [Goal; 11] = [
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
        over: [
            ns("blocked-1", "xdp-filter"),
            ns("established-tcp-1", "bailey"),
        ],
        wanted: Wanted::AtLeast(1.0),
    },
];

impl Goal {
    /// As these results have it.
    pub(crate) fn outcome(&self, report: &Report) -> Outcome {
        let [first, second] = self.over.map(|names| report.value(names));
        let both = first.zip(second);
        let ratio = both.map(|(first, second)| first / second);
        Outcome {
            ratio,
            difference: both.map(|(first, second)| second - first),
            met: ratio.is_some_and(|ratio| match self.wanted {
                Wanted::AtLeast(least) => ratio >= least,
                Wanted::AtMost(most) => ratio <= most,
            }),
        }
    }
}
