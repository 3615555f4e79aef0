//! Runs the cases of a PolicyTest on all engines and compares their verdicts with the expected one.

use std::collections::BTreeMap;

use bailey_config::Config;
use bailey_policy::{Connection, Decider, Direction, Snapshot, Verdict};
use bailey_source::strictness;
use bailey_source::{Collector, Diagnostics, FileSet};

use crate::endpoint::list_connections;
use crate::engine::{Engine, EngineError, Engines, PreparedSnapshot};
use crate::format::{Case, Expectation, ExpectedRule, PolicyTest, Port};

/// The result of one case.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// Name of the test.
    pub test: String,
    /// Name of the case.
    pub name: String,
    /// The expected verdict.
    pub expect: Expectation,
    /// The verdict of each engine on all address pairs, by name of the engine.
    pub verdicts: BTreeMap<&'static str, CaseVerdict>,
    /// The egress decider of the pair that failed, or of the first pair.
    pub egress_rule: String,
    /// The ingress decider of the same pair.
    pub ingress_rule: String,
    /// Why the case failed, if it did.
    pub failure: Option<String>,
}

/// The verdict of one engine on all address pairs of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseVerdict {
    /// All pairs are allowed.
    Allow,
    /// All pairs are denied.
    Deny,
    /// Some pairs are allowed, some denied.
    Mixed,
}

/// Why a test could not be run.
#[derive(Debug)]
pub enum TestError {
    /// The file, its objects or its cases are invalid.
    Invalid(Vec<String>),
    /// An engine failed on valid input.
    Engine(EngineError),
}

impl From<EngineError> for TestError {
    fn from(error: EngineError) -> Self {
        match error {
            // A policy set that exceeds a limit is a property of the file.
            EngineError::Compile(error) => Self::Invalid(vec![error.to_string()]),
            error => Self::Engine(error),
        }
    }
}

/// Runs all cases of a test.
///
/// # Errors
/// If the test is invalid, or an engine fails.
pub fn run_test(
    test: &PolicyTest,
    config: &Config,
    engines: &mut Engines,
) -> Result<Vec<CaseResult>, TestError> {
    let snapshot = load_objects(test, config).map_err(|diagnostics| {
        TestError::Invalid(diagnostics.errors().map(ToString::to_string).collect())
    })?;

    // Resolve the endpoints of all cases first, so that one run reports every invalid case.
    let mut resolved = Vec::with_capacity(test.cases.len());
    let mut invalid = Vec::new();
    for (index, case) in test.cases.iter().enumerate() {
        match resolve_connections(&snapshot, case) {
            Ok(connections) => resolved.push((case, connections)),
            Err(message) => invalid.push(format!(
                "{}: PolicyTest {}: spec.cases[{index}] ({}): {message}",
                test.file.display(),
                test.name,
                case.name
            )),
        }
    }
    if !invalid.is_empty() {
        return Err(TestError::Invalid(invalid));
    }

    let prepared = engines.prepare(&snapshot)?;
    resolved
        .into_iter()
        .map(|(case, connections)| {
            run_case(test, case, &connections, engines, &prepared).map_err(TestError::from)
        })
        .collect()
}

fn load_objects(test: &PolicyTest, config: &Config) -> Result<Snapshot, Diagnostics> {
    let mut collector = Collector::new(strictness(config.lenient), config.read);
    let mut missing = Diagnostics::default();
    match FileSet::list(&test.objects, config.recursive) {
        Ok(files) => files.iter().for_each(|file| collector.add_file(file)),
        Err(errors) => errors.iter().for_each(|(path, error)| {
            missing.add_file_error(
                path,
                format!("spec.objects of {}: {error}", test.file.display()),
            );
        }),
    }
    for object in &test.inline {
        collector.add_object(&test.file, object);
    }
    let (snapshot, mut diagnostics, _) = collector.build_snapshot(&config.inventory.clone());
    diagnostics.extend(missing);
    let knows_own_nodes = config.knows_own_nodes();
    snapshot
        .map(|snapshot| match knows_own_nodes {
            true => snapshot,
            false => snapshot.without_own_nodes(),
        })
        .filter(|_| !diagnostics.has_errors())
        .ok_or(diagnostics)
}

fn resolve_connections(snapshot: &Snapshot, case: &Case) -> Result<Vec<Connection>, String> {
    let port = match &case.port {
        Port::None => 0,
        Port::Number(number) => *number,
        Port::Named(name) => case.to.resolve_port(snapshot, name, case.protocol)?,
    };
    let is_wanted = |address| case.family.is_none_or(|family| family.contains(address));
    list_connections(
        snapshot,
        &case.from,
        &case.to,
        case.protocol,
        port,
        is_wanted,
    )
}

fn run_case(
    test: &PolicyTest,
    case: &Case,
    connections: &[Connection],
    engines: &mut Engines,
    prepared: &PreparedSnapshot<'_>,
) -> Result<CaseResult, EngineError> {
    let requested: Vec<Engine> = engines.requested().to_vec();
    let mut verdicts: BTreeMap<&'static str, CaseVerdict> = BTreeMap::new();
    let mut failure = None;
    let mut reported: Option<Verdict> = None;
    for connection in connections {
        let mut first: Option<(Engine, Verdict)> = None;
        for &engine in &requested {
            let verdict = engines.evaluate(engine, prepared, connection)?;

            // Merge the verdict into that of the engine on all address pairs.
            let case_verdict = match verdict.is_allowed() {
                true => CaseVerdict::Allow,
                false => CaseVerdict::Deny,
            };
            verdicts
                .entry(engine.name())
                .and_modify(|so_far| {
                    if *so_far != case_verdict {
                        *so_far = CaseVerdict::Mixed;
                    }
                })
                .or_insert(case_verdict);

            // The verdict must be the expected one, and equal to that of the first engine.
            let problem = find_mismatch(case, &verdict).or_else(|| {
                let (other, answer) = first.as_ref()?;
                (*answer != verdict).then(|| {
                    format!(
                        "{} returns {answer}, {} returns {verdict}",
                        other.name(),
                        engine.name()
                    )
                })
            });
            if let Some(problem) = problem
                && failure.is_none()
            {
                let family = match connection.source.is_ipv4() {
                    true => "IPv4",
                    false => "IPv6",
                };
                failure = Some(format!(
                    "{family} {connection} ({}): {problem}",
                    engine.name()
                ));
                reported = Some(verdict.clone());
            }
            first.get_or_insert((engine, verdict));
        }
        reported = reported.or_else(|| first.map(|(_, verdict)| verdict));
    }

    let decider = |direction| {
        reported
            .as_ref()
            .map(|verdict| name_decider(verdict.decider(direction)))
            .unwrap_or_default()
    };
    Ok(CaseResult {
        test: test.name.clone(),
        name: case.name.clone(),
        expect: case.expect,
        verdicts,
        egress_rule: decider(Direction::Egress),
        ingress_rule: decider(Direction::Ingress),
        failure,
    })
}

/// The policy of a rule; other deciders have a fixed name.
fn name_decider(decider: &Decider) -> String {
    match decider {
        Decider::Rule(rule) => rule.policy.to_string(),
        other => other.to_string(),
    }
}

/// Compares a verdict with the expectation of a case; `None` if they match.
fn find_mismatch(case: &Case, verdict: &Verdict) -> Option<String> {
    let name = |allows: bool| if allows { "allow" } else { "deny" };

    // The verdict on the connection, or of its sides.
    let sides = match case.expect {
        Expectation::Connection(expected) => {
            if verdict.is_allowed() != expected {
                return Some(format!("expected {}, got {verdict}", name(expected)));
            }
            Vec::new()
        }
        Expectation::Sides { egress, ingress } => {
            vec![(Direction::Egress, egress), (Direction::Ingress, ingress)]
        }
    };
    for (direction, expected) in sides {
        if let Some(expected) = expected
            && verdict.decider(direction).is_allowed() != expected
        {
            return Some(format!(
                "expected {direction} {}, got {verdict}",
                name(expected)
            ));
        }
    }

    // The decider. A denied connection is decided by the sides that deny, unless the case expects a
    // verdict of each side.
    let expected = match case.rule.as_ref()? {
        ExpectedRule::Policy(name) => name.as_str(),
        ExpectedRule::Fixed(name) => name,
    };
    let expects_sides = matches!(case.expect, Expectation::Sides { .. });
    let is_decided = Direction::BOTH
        .into_iter()
        .map(|direction| verdict.decider(direction))
        .filter(|decider| expects_sides || verdict.is_allowed() || !decider.is_allowed())
        .any(|decider| name_decider(decider) == expected);
    if is_decided {
        return None;
    }
    Some(format!("expected rule {expected} to decide, got {verdict}"))
}
