//! How much of the matrix one run covers.

use crate::purpose::Purpose;

/// The Debian suites whose kernels `.ci/kernels/fetch` downloads, from the oldest kernel to the
/// newest.
pub(crate) const SUITES: [&str; 3] = ["bookworm", "trixie", NEWEST];
/// The suite with the newest kernel.
const NEWEST: &str = "sid";

/// The checks of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All checks on all kernels; instructions counted on each.
    Full,
    /// The part for CI: on each kernel the programs, fixtures, packets and safety, and per driver
    /// host, bridge and router. Instructions counted on the newest kernel.
    Quick,
    /// The checks whose name, `driver: feature`, contains this text.
    Only(String),
}

impl Scope {
    /// Whether the check with this name, `driver: feature`, runs on the kernel of this suite.
    ///
    /// The quick scope counts instructions on the newest kernel only. A growth of our programs shows
    /// on every kernel alike, and of the three only the newest one still changes much itself.
    pub(crate) fn includes(&self, name: &str, suite: &str) -> bool {
        match self {
            Self::Full => true,
            Self::Quick if name == COUNTS => suite == NEWEST,
            Self::Quick => QUICK.iter().any(|check| name.ends_with(check)),
            Self::Only(text) => name.contains(text.as_str()),
        }
    }

    /// The machines to boot per kernel, those with the longest run first.
    pub(crate) fn machines(&self) -> &'static [Purpose] {
        match self {
            Self::Quick => &[Purpose::AllTests],
            Self::Full | Self::Only(_) => &[Purpose::KernelTests, Purpose::NicTests],
        }
    }

    /// The number of test machines that run at the same time. Tests wait for a third of their time,
    /// so that three machines keep two cores busy. The full scope has tests with tight timeouts, so
    /// it runs two.
    pub(crate) fn lanes(&self) -> usize {
        match self {
            Self::Quick => 3,
            Self::Full | Self::Only(_) => 2,
        }
    }

    /// Whether checks of this test program are in the scope, so that it must be built.
    pub(crate) fn needs_program(&self, program: &str) -> bool {
        *self != Self::Quick || QUICK_PROGRAMS.contains(&program)
    }

    /// Tests of `program` that this scope leaves to the full run.
    pub(crate) fn skipped_tests(&self, program: &str) -> &'static [&'static str] {
        if *self != Self::Quick {
            return &[];
        }
        let entry = RELOADING.iter().find(|(name, _)| *name == program);
        entry.map_or(&[], |(_, tests)| tests)
    }
}

/// The check that counts instructions.
const COUNTS: &str = "kernel: instructions per packet";

/// The checks of the quick scope beside [`COUNTS`], by the end of their names.
const QUICK: [&str; 7] = [
    "kernel: programs verified",
    "kernel: fixtures",
    "kernel: packets",
    "kernel: safety",
    ": host: native XDP and tc",
    ": bridge: native XDP",
    ": router: native XDP",
];

/// The test programs of the quick scope.
const QUICK_PROGRAMS: [&str; 6] = [
    "fixtures",
    "packets",
    "safety",
    "real_packets",
    "bridge",
    "router",
];

/// Tests that load the programs several times, to set the clock or an option. Each load costs an
/// emulated machine up to ten seconds of the verifier. The full run has them.
pub(crate) const RELOADING: [(&str, &[&str]); 3] = [
    ("fixtures", &["failsafe_works_without_a_policy"]),
    (
        "packets",
        &[
            "fragment_records_are_bounded_and_expire",
            "groups_accept_only_control_and_configured_groups",
            "link_local_accepts_only_control_and_configured_services",
            "udp_timeout_is_longer_after_a_reply",
            "icmp_error_revalidates_its_flow",
            "vlan_zones_separate_flows_on_both_hooks",
        ],
    ),
    (
        "safety",
        &[
            "blocks_expire_and_longer_prefixes_hide_none",
            "warm_up_drops_nothing_and_picks_up_midstream",
            "tunnel_endpoints_can_be_blocked",
        ],
    ),
];
