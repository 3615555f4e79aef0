//! The comparison of a run with the record.

use std::collections::BTreeMap;

use crate::record::{Record, Suite};
use crate::scope::{RELOADING, Scope};

/// The number of instructions after which the verifier refuses a program.
const VERIFIER_LIMIT: u64 = 1_000_000;
/// The most that a program may take on any kernel: 30 % of the limit stay free.
const VERIFIER_MOST: u64 = VERIFIER_LIMIT / 10 * 7;
/// Growth that is allowed, in percent.
const VERIFIER_GROWTH: u64 = 20;
const PACKET_GROWTH: u64 = 5;

/// The part of the record that a scope leaves to the full run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Recorded checks that the scope does not run.
    pub(crate) checks: usize,
    /// All recorded checks.
    pub(crate) recorded: usize,
    /// Tests that the scope skips within its checks, on all kernels.
    pub(crate) tests: usize,
}

/// Counts the checks and tests that a scope leaves to the full run.
pub(crate) fn left_out(known: &Record, scope: &Scope) -> LeftOut {
    let of_suites = known.suites.iter();
    let checks = of_suites.flat_map(|(suite, known)| known.checks.keys().map(move |c| (suite, c)));
    let (included, excluded): (Vec<_>, Vec<_>) =
        checks.partition(|(suite, check)| scope.includes(check, suite));
    let skipped = RELOADING.map(|(program, _)| scope.skipped_tests(program).len());
    LeftOut {
        checks: excluded.len(),
        recorded: included.len() + excluded.len(),
        tests: skipped.iter().sum::<usize>() * known.suites.len(),
    }
}

/// Lists regressions against another record, among the checks of a scope: a check that passed and
/// now fails or did not run, a program that costs the verifier over 20 % more, a packet that costs
/// over 5 % more instructions, a count that is missing.
pub(crate) fn find(now: &Record, known: &Record, scope: &Scope) -> Vec<String> {
    let mut worse = Vec::new();
    for name in known.suites.keys() {
        if !now.suites.contains_key(name) {
            worse.push(format!("{name}: was not run"));
        }
    }
    let nothing = Suite::default();
    for (name, suite) in &now.suites {
        let before = known.suites.get(name).unwrap_or(&nothing);
        worse.extend(failed_checks(name, suite, before, scope));
        for (program, &count) in &suite.verified {
            if count > VERIFIER_MOST {
                worse.push(format!(
                    "{}: {program}: the verifier processes {count} instructions, more than {VERIFIER_MOST}",
                    suite.kernel
                ));
            }
        }
        for counts in [
            Counts {
                check: "kernel: programs verified",
                unit: "instructions for the verifier",
                now: &suite.verified,
                before: &before.verified,
                growth: VERIFIER_GROWTH,
            },
            Counts {
                check: "kernel: instructions per packet",
                unit: "instructions per packet",
                now: &suite.packets,
                before: &before.packets,
                growth: PACKET_GROWTH,
            },
        ] {
            let lines = counts.regressions(scope.includes(counts.check, name));
            worse.extend(lines.map(|line| format!("{}: {line}", suite.kernel)));
        }
    }
    worse
}

/// Checks of the scope that passed before and do not now.
fn failed_checks(name: &str, now: &Suite, before: &Suite, scope: &Scope) -> Vec<String> {
    let passed = before.checks.iter().filter(|(_, passed)| **passed);
    passed
        .map(|(check, _)| check)
        .filter(|check| scope.includes(check, name))
        .filter(|check| now.checks.get(*check) != Some(&true))
        .map(|check| format!("{}: {check} passed before", now.kernel))
        .collect()
}

/// Counts of one check on one kernel, and those of the record.
struct Counts<'a> {
    check: &'static str,
    unit: &'static str,
    now: &'a BTreeMap<String, u64>,
    before: &'a BTreeMap<String, u64>,
    /// In percent.
    growth: u64,
}

impl Counts<'_> {
    /// Counts that have grown too much and, if the check was to run, those that are missing.
    fn regressions(&self, expected: bool) -> impl Iterator<Item = String> {
        let unit = self.unit;
        let grown = self.now.iter().filter_map(move |(name, &count)| {
            let known = self.before.get(name).copied().unwrap_or(count);
            let most = known.saturating_mul(100 + self.growth);
            (count.saturating_mul(100) > most).then(|| {
                format!(
                    "{name}: {count} {unit}, {known} before; {} % more are allowed",
                    self.growth
                )
            })
        });
        let names = self.before.keys();
        let missing = names.filter(move |name| expected && !self.now.contains_key(*name));
        grown.chain(missing.map(move |name| format!("{name}: the count of {unit} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(verified: u64, packet: u64, passed: bool) -> Record {
        let one = |name: &str, value| BTreeMap::from([(name.to_owned(), value)]);
        let suite = Suite {
            kernel: "7.2".into(),
            checks: BTreeMap::from([("veth: bridge: native XDP".to_owned(), passed)]),
            verified: one("host.entry_xdp", verified),
            packets: one("ipv4.established", packet),
            facts: BTreeMap::new(),
        };
        Record {
            suites: BTreeMap::from([("sid".to_owned(), suite)]),
        }
    }

    fn full(now: &Record, known: &Record) -> Vec<String> {
        find(now, known, &Scope::Full)
    }

    #[test]
    fn only_regressions_are_reported() {
        let known = record(10_000, 200, true);
        assert!(full(&record(11_999, 210, true), &known).is_empty());
        assert!(full(&record(100, 1, true), &known).is_empty());
        for (now, expected) in [
            (record(12_001, 200, true), "20 % more"),
            (record(10_000, 211, true), "5 % more"),
            (record(10_000, 200, false), "passed before"),
        ] {
            let worse = full(&now, &known);
            assert_eq!(worse.len(), 1, "{worse:?}");
            assert!(worse[0].contains(expected), "{worse:?}");
        }
        let large = record(700_001, 200, true);
        assert_eq!(full(&large, &record(700_000, 200, true)).len(), 1);
        assert_eq!(full(&record(1, 1, true), &Record::default()).len(), 0);
        assert!(!record(1, 1, false).all_passed());
        assert_eq!(full(&Record::default(), &known), ["sid: was not run"]);
    }

    #[test]
    fn quick_run_ignores_checks_outside_its_scope() {
        let mut known = record(10_000, 200, true);
        let suite = known.suites.get_mut("sid").unwrap();
        suite.checks.insert("veth: fragments".to_owned(), true);
        let now = record(10_000, 200, true);
        assert!(find(&now, &known, &Scope::Quick).is_empty());
        assert_eq!(full(&now, &known).len(), 1);
        let left = left_out(&known, &Scope::Quick);
        assert_eq!((left.checks, left.recorded), (1, 2));
        assert_eq!(left_out(&known, &Scope::Full).checks, 0);
    }

    #[test]
    fn quick_run_fails_without_its_own_check() {
        let known = record(10_000, 200, true);
        let mut now = record(10_000, 200, true);
        let suite = now.suites.get_mut("sid").unwrap();
        suite.checks.clear();
        suite.packets.clear();
        assert_eq!(find(&now, &known, &Scope::Quick).len(), 2);
    }
}
