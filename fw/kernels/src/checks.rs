//! The checks of the matrix, and the plan of each machine.

use std::collections::BTreeMap;

use anyhow::Result;
use bailey_kernels::plan::{Check, check_name};

use crate::build::Programs;
use crate::nic::{DRIVERS, Driver};
use crate::purpose::Purpose;
use crate::scope::Scope;

/// A test program, or a part of it, that needs no NIC.
struct KernelTest {
    feature: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    timeout_seconds: u64,
}

const KERNEL_TESTS: [KernelTest; 6] = [
    KernelTest {
        feature: "fixtures",
        program: "fixtures",
        arguments: &[],
        timeout_seconds: 360,
    },
    KernelTest {
        feature: "packets",
        program: "packets",
        arguments: &[],
        timeout_seconds: 600,
    },
    KernelTest {
        feature: "safety",
        program: "safety",
        // Filling this table takes an emulated machine a minute and depends on no kernel.
        arguments: &["--skip", "hundred_thousand_blocks_fit_and_apply"],
        timeout_seconds: 480,
    },
    // Of floods and rate limits, the tests that use every helper: an emulated machine takes a
    // minute for all of them.
    KernelTest {
        feature: "floods",
        program: "flood",
        arguments: &[
            "--exact",
            "client_that_answers_the_challenge_is_admitted",
            "retransmitted_syn_is_admitted",
        ],
        timeout_seconds: 360,
    },
    KernelTest {
        feature: "rate limits",
        program: "rate_limit",
        arguments: &["--exact", "rule_admits_no_more_than_its_limit"],
        timeout_seconds: 360,
    },
    KernelTest {
        feature: "parsers agree",
        program: "parse_fuzz",
        arguments: &[],
        timeout_seconds: 120,
    },
];

/// A test of a driver. Each runs in a separate process, because its programs stay attached to the
/// NIC as long as the process lives.
struct DriverTest {
    feature: &'static str,
    program: &'static str,
    test: &'static str,
}

const fn driver_test(
    feature: &'static str,
    program: &'static str,
    test: &'static str,
) -> DriverTest {
    DriverTest {
        feature,
        program,
        test,
    }
}

/// The tests of every driver.
const ALL_DRIVERS: [DriverTest; 8] = [
    driver_test(
        "host: native XDP and tc",
        "real_packets",
        "allowed_traffic_passes_denied_is_dropped_all_counted",
    ),
    driver_test(
        "bridge: native XDP",
        "bridge",
        "bridge_forwards_only_frames_that_policy_allows",
    ),
    driver_test(
        "router: native XDP",
        "router",
        "packets_between_nics_are_forwarded_in_xdp",
    ),
    driver_test("fragments", "path", "large_datagrams_arrive_in_fragments"),
    driver_test(
        "path MTU, internal sender",
        "path",
        "path_mtu_discovery_works_from_internal_side",
    ),
    driver_test(
        "path MTU, external sender",
        "path",
        "path_mtu_discovery_works_from_external_side",
    ),
    driver_test(
        "AF_XDP tester: frames intact, in order",
        "links",
        "cable_returns_all_frames_intact_and_ordered",
    ),
    driver_test(
        "AF_XDP tester: RFC 2544",
        "links",
        "all_procedures_run_over_a_cable",
    ),
];

/// Tests of emulated NICs only: a veth passes the replies of XDP (`XDP_TX`) on only if its peer has
/// an XDP program, too, which the guest has no compiler for.
const NICS_ONLY: [DriverTest; 1] = [driver_test(
    "challenges and SYN cookies",
    "under_flood",
    "clients_pass_challenges_to_workload_and_node",
)];

/// Tests of veth only. MTU limits differ by NIC. A bond needs two links to one switch that lose
/// their carrier together, which qemu's hubs do not.
const VETH_ONLY: [DriverTest; 6] = [
    driver_test(
        "clsact: outlives the daemon",
        "clsact",
        "clsact_filter_outlives_daemon_and_is_detached",
    ),
    driver_test(
        "jumbo frames",
        "path",
        "jumbo_frames_are_read_in_many_buffers",
    ),
    driver_test(
        "active-backup bond, VLAN",
        "stacked",
        "policy_holds_on_active_backup_bond",
    ),
    driver_test("LACP bond, VLAN", "stacked", "policy_holds_on_lacp_bond"),
    driver_test(
        "members of an LACP bond, VLAN",
        "stacked",
        "policy_holds_on_lacp_bond_members",
    ),
    driver_test(
        "a member that joins a bond",
        "stacked",
        "joining_bond_member_is_attached",
    ),
];

/// The timeout of a [`DriverTest`].
const DRIVER_TEST_SECONDS: u64 = 180;

/// The checks that a machine of this purpose runs on the kernel of a suite.
///
/// # Errors
/// If cargo has not built a program that a check needs.
pub(crate) fn of(
    purpose: Purpose,
    suite: &str,
    scope: &Scope,
    programs: &Programs,
) -> Result<Vec<Check>> {
    if purpose == Purpose::InstructionCount {
        let mut checks = vec![measure(
            "kernel",
            "instructions per packet",
            &["packets"],
            900,
        )];
        checks.retain(|check| scope.includes(&check.name(), suite));
        return Ok(checks);
    }
    let plan = Planner {
        purpose,
        suite,
        scope,
        programs,
    };
    let mut checks = plan.kernel_checks()?;
    checks.extend(plan.driver_checks("veth", None)?);
    for driver in &DRIVERS {
        checks.extend(plan.driver_checks(driver.name, Some(driver))?);
    }
    Ok(checks)
}

/// The inputs that decide which checks a machine runs.
struct Planner<'a> {
    purpose: Purpose,
    suite: &'a str,
    scope: &'a Scope,
    programs: &'a Programs,
}

impl Planner<'_> {
    fn includes(&self, driver: &str, feature: &str) -> bool {
        self.purpose.has_tests_of(driver)
            && self
                .scope
                .includes(&check_name(driver, feature), self.suite)
    }

    /// The checks that no driver takes part in.
    fn kernel_checks(&self) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        if self.includes("kernel", "programs verified") {
            checks.push(measure("kernel", "programs verified", &["programs"], 120));
        }
        for test in &KERNEL_TESTS {
            if self.includes("kernel", test.feature) {
                checks.push(Check {
                    driver: "kernel".into(),
                    feature: test.feature.into(),
                    command: self.test_command(test.program, test.arguments)?,
                    environment: environment(None),
                    seconds: test.timeout_seconds,
                });
            }
        }
        Ok(checks)
    }

    /// The checks of a driver; of veth without an emulated one.
    fn driver_checks(&self, name: &str, driver: Option<&Driver>) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        // First: after a lab, a NIC takes a while to return to the first namespace.
        if let Some(driver) = driver
            && self.includes(name, "AF_XDP zero-copy capability")
        {
            let arguments = ["nic", &driver.mac(0)];
            checks.push(measure(name, "AF_XDP zero-copy capability", &arguments, 20));
        }
        let own: &[DriverTest] = match driver {
            Some(_) => &NICS_ONLY,
            None => &VETH_ONLY,
        };
        for test in ALL_DRIVERS.iter().chain(own) {
            if self.includes(name, test.feature) {
                checks.push(Check {
                    driver: name.into(),
                    feature: test.feature.into(),
                    command: self.test_command(test.program, &["--exact", test.test])?,
                    environment: environment(driver),
                    seconds: DRIVER_TEST_SECONDS,
                });
            }
        }
        Ok(checks)
    }

    /// The command of a test program, without the tests that the scope leaves to the full run.
    fn test_command(&self, program: &str, arguments: &[&str]) -> Result<Vec<String>> {
        let path = self.programs.path(program)?.to_string_lossy().into_owned();
        let mut command = vec![path, "--include-ignored".into(), "--test-threads=1".into()];
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        for test in self.scope.skipped_tests(program) {
            command.extend(["--skip".into(), (*test).to_owned()]);
        }
        Ok(command)
    }
}

/// A check that the guest runs itself, as `measure …`.
fn measure(driver: &str, feature: &str, arguments: &[&str], seconds: u64) -> Check {
    let command = ["/init", "measure"].iter().chain(arguments);
    Check {
        driver: driver.into(),
        feature: feature.into(),
        command: command.map(|&argument| argument.to_owned()).collect(),
        environment: environment(None),
        seconds,
    }
}

/// The environment of a check whose lab uses the NICs of a driver, or veth pairs.
fn environment(driver: Option<&Driver>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    environment.insert("BAILEY_FUZZ_FRAMES".to_owned(), "2000".to_owned());
    if let Some(driver) = driver {
        environment.insert("BAILEY_LAB_PAIRS".to_owned(), driver.pairs());
    }
    environment
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::scope::RELOADING;

    /// The source files of a test program: one file, or a folder of modules.
    fn sources(program: &str) -> Vec<PathBuf> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folders = ["fw/datapath/tests", "fw/bailey/tests", "bench/nic/tests"];
        let mut found = Vec::new();
        for folder in folders.map(|folder| workspace.join(folder).join(program)) {
            found.push(folder.with_extension("rs"));
            let modules = fs::read_dir(folder).into_iter().flatten();
            found.extend(modules.map(|entry| entry.unwrap().path()));
        }
        found
    }

    /// Whether a test program defines this test. With `--exact`, a test in a module needs the name
    /// `module::test`.
    fn defines(program: &str, test: &str, exact: bool) -> bool {
        let (module, function) = test.rsplit_once("::").unwrap_or(("", test));
        let mut sources = sources(program);
        if exact {
            let stems = match module {
                "" => [program, "main"],
                module => [module; 2],
            };
            let fits = |file: &PathBuf| {
                stems
                    .iter()
                    .any(|stem| file.ends_with(format!("{stem}.rs")))
            };
            sources.retain(fits);
        }
        let texts = sources
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok());
        let signature = format!("fn {function}(");
        texts.into_iter().any(|text| text.contains(&signature))
    }

    #[test]
    fn every_named_test_exists() {
        let of_drivers = ALL_DRIVERS.iter().chain(&NICS_ONLY).chain(&VETH_ONLY);
        let of_drivers = of_drivers.map(|test| (test.program, test.test, true));
        let of_kernels = KERNEL_TESTS.iter().flat_map(|test| {
            let exact = test.arguments.contains(&"--exact");
            let names = test.arguments.iter().filter(|name| !name.starts_with('-'));
            names.map(move |&name| (test.program, name, exact))
        });
        let skipped = RELOADING
            .iter()
            .flat_map(|(program, tests)| tests.iter().map(|&test| (*program, test, false)));
        let missing: Vec<_> = of_drivers
            .chain(of_kernels)
            .chain(skipped)
            .filter(|(program, test, exact)| !defines(program, test, *exact))
            .collect();
        assert!(missing.is_empty(), "no such tests: {missing:?}");
    }
}
