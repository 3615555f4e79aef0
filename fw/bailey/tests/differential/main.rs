//! Oracle, compiled tables and loaded BPF program agree on verdicts and deciding rules, for random
//! policy sets and packets. `BAILEY_SEED` repeats a run; `BAILEY_FUZZ_SECONDS` sets the minimum
//! duration.

mod coverage;
#[cfg(target_os = "linux")]
mod nic;
mod scenario;

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailey_compile::{CompileLimits, Compiler, RuleIds, compile};
use bailey_policy::{
    Connection, Labels, LinkScope, NetworkPolicy, PortMatch, PortSpec, Protocol, Rule, Snapshot,
};
use bailey_policytest::engine::{Engine, Engines};
use coverage::Coverage;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use scenario::{Scenario, scenario};

/// Random packets per snapshot.
const PACKETS: usize = 110;

fn seed() -> u64 {
    match std::env::var("BAILEY_SEED") {
        Ok(text) => text.parse().expect("BAILEY_SEED is a number"),
        Err(_) => std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_nanos() as u64,
    }
}

/// The initial state of the random generator. Prints the seed, to repeat the run.
fn random_from(seed: u64) -> TestRng {
    let _ = writeln!(std::io::stderr(), "seed: BAILEY_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// Compares engines on `cases` snapshots: two thirds by policies alone, one third on a bridge.
/// Continues with further seeds for `BAILEY_FUZZ_SECONDS`.
fn compare(engines: &[Engine], cases: u32) {
    let coverage = RefCell::new(Coverage::default());
    compare_in_scope(engines, cases - cases / 3, None, &coverage);
    compare_in_scope(engines, cases / 3, Some(bridge()), &coverage);
    coverage.borrow().check();
}

fn compare_in_scope(
    engines: &[Engine],
    cases: u32,
    bridge: Option<LinkScope>,
    coverage: &RefCell<Coverage>,
) {
    // Half of the time for each of the two scopes.
    let seconds = std::env::var("BAILEY_FUZZ_SECONDS").ok();
    let seconds = seconds.map_or(0, |text| {
        text.parse().expect("BAILEY_FUZZ_SECONDS is a number")
    });
    let deadline = Instant::now() + Duration::from_secs(seconds / 2);
    let engines = RefCell::new(Engines::new(engines, CompileLimits::default(), bridge).unwrap());
    let mut seed = seed();
    // One proptest run per seed, until the deadline.
    loop {
        let config = Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new_with_rng(config, random_from(seed));
        let result = runner.run(&scenario(PACKETS), |scenario| {
            compare_scenario(
                &scenario,
                &mut engines.borrow_mut(),
                &mut coverage.borrow_mut(),
            )
        });
        if let Err(failure) = result {
            panic!("BAILEY_SEED={seed}: {failure}");
        }
        if Instant::now() >= deadline {
            break;
        }
        seed = seed.wrapping_add(1);
    }
}

/// Whether a packet reaches policy: the parser drops addresses such as 0.0.0.0 or the last one of
/// ::/0 before.
#[cfg(target_os = "linux")]
fn reaches_policy(connection: &Connection) -> bool {
    let frame = bailey_datapath::program::frame::opening(connection);
    let parsed = bailey_reference::parse(&frame, &bailey_reference::Frames::default());
    matches!(parsed, bailey_reference::Parsed::Packet(_))
}

#[cfg(not(target_os = "linux"))]
fn reaches_policy(_: &Connection) -> bool {
    true
}

fn compare_scenario(
    scenario: &Scenario,
    engines: &mut Engines,
    coverage: &mut Coverage,
) -> Result<(), TestCaseError> {
    let snapshot = scenario.snapshot(false);
    let fail = |message: String| TestCaseError::fail(message);
    let prepared = engines
        .prepare(&snapshot)
        .map_err(|error| fail(error.to_string()))?;
    coverage.snapshots += 1;
    // Every engine answers for every packet; the first is the reference.
    let connections = scenario.connections(&snapshot);
    for connection in connections.into_iter().filter(reaches_policy) {
        let wanted: Vec<Engine> = engines.requested().to_vec();
        let mut answers = Vec::new();
        for engine in wanted {
            let verdict = engines
                .evaluate(engine, &prepared, &connection)
                .map_err(|error| fail(error.to_string()))?;
            answers.push((engine, verdict));
        }
        let (first, rest) = answers.split_first().unwrap();
        for (engine, verdict) in rest {
            if *verdict != first.1 {
                return Err(fail(format!(
                    "{connection}: {} says {:?}, {} says {verdict:?}\n{snapshot:#?}",
                    first.0.name(),
                    first.1,
                    engine.name()
                )));
            }
        }
        coverage.note(&snapshot, &connection, &first.1);
    }
    Ok(())
}

/// A bridge that allows some groups and some link-local services.
fn bridge() -> LinkScope {
    LinkScope {
        bridge: true,
        groups: vec![
            "224.0.0.251/32".parse().unwrap(),
            "ff02::fb/128".parse().unwrap(),
            "ff05::/16".parse().unwrap(),
        ],
        services: vec![(Protocol::TCP, Some(179)), (Protocol::SCTP, None)],
        ..LinkScope::default()
    }
}

#[test]
fn oracle_and_tables_agree() {
    compare(&[Engine::Oracle, Engine::Tables], 450);
}

#[test]
#[ignore = "needs root and BPF"]
fn oracle_tables_and_kernel_agree() {
    compare(&[Engine::Oracle, Engine::Tables, Engine::Kernel], 1000);
}

/// One edit of a snapshot, as an operator or a cluster makes it: most objects stay shared.
fn edited(from: &Snapshot, other: &Snapshot, edit: u8, at: usize) -> Snapshot {
    let mut namespaces = from.namespaces().clone();
    let mut endpoints = from.endpoints().to_vec();
    let mut policies = from.policies().to_vec();
    // Changes all rules of one policy.
    let change = |policies: &mut Vec<Arc<NetworkPolicy>>, how: fn(&mut Rule)| {
        if !policies.is_empty() {
            let index = at % policies.len();
            let policy = Arc::make_mut(&mut policies[index]);
            let rules = [&mut policy.ingress, &mut policy.egress];
            rules.into_iter().flatten().flatten().for_each(how);
        }
    };
    let drop_one = |length: usize| (length > 0).then(|| at % length);
    // 7 removes a declared prefix, below.
    match edit % 8 {
        0 => change(&mut policies, |rule| rule.ports.clear()),
        1 => change(&mut policies, |rule| rule.peers.clear()),
        2 => change(&mut policies, |rule| {
            rule.ports.push(PortMatch {
                protocol: Protocol::TCP,
                port: PortSpec::Named("http".into()),
            });
        }),
        3 => {
            drop_one(policies.len()).map(|index| policies.remove(index));
        }
        4 => {
            drop_one(endpoints.len()).map(|index| endpoints.remove(index));
        }
        5 => {
            let new = other.policies().get(at % other.policies().len().max(1));
            let known = |new: &Arc<NetworkPolicy>| policies.iter().any(|p| p.id == new.id);
            policies.extend(new.filter(|new| !known(new)).cloned());
        }
        6 => {
            let name = namespaces.keys().nth(at % namespaces.len()).cloned();
            namespaces.insert(name.unwrap_or_default(), Labels::from_iter([("k0", "v9")]));
        }
        _ => {}
    }
    let host_pods = from.host_pods().to_vec();
    Snapshot::new(namespaces, endpoints, host_pods, policies).with_declared_prefixes(
        from.declared_prefixes()
            .iter()
            .copied()
            .skip(usize::from(edit % 8 == 7)),
    )
}

#[test]
fn incremental_compile_equals_full_compile() {
    let mut runner = TestRunner::new(Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    });
    let edits = proptest::collection::vec((0..8_u8, 0..64_usize), 12);
    let result = runner.run(&(scenario(0), scenario(0), edits), |(one, two, edits)| {
        let (mut now, other) = (one.snapshot(false), two.snapshot(false));
        let mut compiler = Compiler::default();
        let mut ids = RuleIds::default();
        for (edit, at) in edits {
            let kept = compiler
                .compile(&now, &ids, &CompileLimits::default())
                .unwrap();
            let anew = compile(&now, &ids, &CompileLimits::default()).unwrap();
            if kept != anew {
                return Err(TestCaseError::fail("the tables differ"));
            }
            ids = anew.rules;
            now = edited(&now, &other, edit, at);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn tables_do_not_depend_on_object_order() {
    let mut runner = TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&scenario(0), |scenario| {
        let tables = [false, true].map(|reversed| {
            let snapshot = scenario.snapshot(reversed);
            compile(&snapshot, &RuleIds::default(), &CompileLimits::default()).unwrap()
        });
        if tables[0] == tables[1] {
            return Ok(());
        }
        Err(TestCaseError::fail("the tables differ"))
    });
    result.unwrap();
}
