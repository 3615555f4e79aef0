use std::collections::BTreeMap;

use bailey_config::Config;
use bailey_policy::{Connection, Decider, Direction, Snapshot, Verdict};
use bailey_source::strictness;
use bailey_source::{Collector, Diagnostics, FileSet};

use crate::engine::{Engine, EngineError, Engines, Prepared};
use crate::format::{Case, Expect, Family, PolicyTest, Port, RuleName};
use crate::endpoint::connections;

/// What became of one case.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The test's name.
    pub test: String,
    /// The case's name.
    pub name: String,
    /// As it was expected.
    pub expect: Expect,
    /// What each engine said of all address pairs.
    pub got: BTreeMap<&'static str, Got>,
    /// The deciding rules of the pair that failed, or of the first.
    pub egress_rule: String,
    /// Likewise.
    pub ingress_rule: String,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// The verdicts on all address pairs of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// All allowed.
    Allow,
    /// All denied.
    Deny,
    /// Some of both.
    Mixed,
}

/// Why a test could not be run.
#[derive(Debug)]
pub enum TestError {
    /// The file, its objects or its cases are invalid.
    Invalid(Vec<String>),
    /// An engine failed on something valid.
    Engine(EngineError),
}

impl From<EngineError> for TestError {
    fn from(error: EngineError) -> Self {
        match error {
            // A policy set that does not fit is a property of the file.
            EngineError::Compile(error) => Self::Invalid(vec![error.to_string()]),
            error => Self::Engine(error),
        }
    }
}

/// Runs all cases of a test.
///
/// # Errors
/// If the test is invalid, or an engine fails.
pub fn execute(
    test: &PolicyTest,
    config: &Config,
    engines: &mut Engines,
) -> Result<Vec<CaseResult>, TestError> {
    let snapshot = snapshot(test, config).map_err(|diagnostics| {
        TestError::Invalid(diagnostics.errors().map(ToString::to_string).collect())
    })?;
    let mut asked = Vec::with_capacity(test.cases.len());
    let mut invalid = Vec::new();
    for (index, case) in test.cases.iter().enumerate() {
        match connections_of(&snapshot, case) {
            Ok(connections) => asked.push((case, connections)),
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
    asked
        .into_iter()
        .map(|(case, connections)| {
            judge(test, case, &connections, engines, &prepared).map_err(TestError::from)
        })
        .collect()
}

fn snapshot(test: &PolicyTest, config: &Config) -> Result<Snapshot, Diagnostics> {
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
    let own_nodes = config.knows_own_nodes();
    snapshot
        .map(|snapshot| match own_nodes {
            true => snapshot,
            false => snapshot.without_own_nodes(),
        })
        .filter(|_| !diagnostics.has_errors())
        .ok_or(diagnostics)
}

fn connections_of(snapshot: &Snapshot, case: &Case) -> Result<Vec<Connection>, String> {
    let port = match &case.port {
        Port::None => 0,
        Port::Number(number) => *number,
        Port::Named(name) => case.to.named_port(snapshot, name, case.protocol)?,
    };
    let wanted = |address| {
        case.family
            .is_none_or(|family: Family| family.holds(address))
    };
    connections(snapshot, &case.from, &case.to, case.protocol, port, wanted)
}

fn judge(
    test: &PolicyTest,
    case: &Case,
    connections: &[Connection],
    engines: &mut Engines,
    prepared: &Prepared<'_>,
) -> Result<CaseResult, EngineError> {
    let wanted: Vec<Engine> = engines.wanted().to_vec();
    let mut got: BTreeMap<&'static str, Got> = BTreeMap::new();
    let mut failure = None;
    let mut shown: Option<Verdict> = None;
    for connection in connections {
        let mut first: Option<(Engine, Verdict)> = None;
        for &engine in &wanted {
            let verdict = engines.judge(engine, prepared, connection)?;
            let word = if verdict.is_allowed() {
                Got::Allow
            } else {
                Got::Deny
            };
            got.entry(engine.name())
                .and_modify(|so_far| {
                    if *so_far != word {
                        *so_far = Got::Mixed;
                    }
                })
                .or_insert(word);
            let problem = objection(case, &verdict).or_else(|| {
                let (other, answer) = first.as_ref()?;
                (*answer != verdict).then(|| {
                    format!(
                        "{} says {answer}, {} says {verdict}",
                        other.name(),
                        engine.name()
                    )
                })
            });
            if let Some(problem) = problem
                && failure.is_none()
            {
                let family = if connection.source.is_ipv4() {
                    "IPv4"
                } else {
                    "IPv6"
                };
                failure = Some(format!(
                    "{family} {connection} ({}): {problem}",
                    engine.name()
                ));
                shown = Some(verdict.clone());
            }
            first.get_or_insert((engine, verdict));
        }
        shown = shown.or_else(|| first.map(|(_, verdict)| verdict));
    }
    let rule = |direction| {
        shown
            .as_ref()
            .map(|verdict| rule_name(verdict.decider(direction)))
            .unwrap_or_default()
    };
    Ok(CaseResult {
        test: test.name.clone(),
        name: case.name.clone(),
        expect: case.expect,
        got,
        egress_rule: rule(Direction::Egress),
        ingress_rule: rule(Direction::Ingress),
        failure,
    })
}

fn rule_name(decider: &Decider) -> String {
    match decider {
        Decider::Rule(rule) => rule.policy.to_string(),
        other => other.to_string(),
    }
}

/// What is wrong with a verdict, if anything is.
fn objection(case: &Case, verdict: &Verdict) -> Option<String> {
    let word = |allows: bool| if allows { "allow" } else { "deny" };
    let sides = match case.expect {
        Expect::Verdict(expected) => {
            if verdict.is_allowed() != expected {
                return Some(format!("expected {}, got {verdict}", word(expected)));
            }
            Vec::new()
        }
        Expect::Sides { egress, ingress } => {
            vec![(Direction::Egress, egress), (Direction::Ingress, ingress)]
        }
    };
    for (direction, expected) in sides {
        if let Some(expected) = expected
            && verdict.decider(direction).is_allowed() != expected
        {
            return Some(format!(
                "expected {direction} {}, got {verdict}",
                word(expected)
            ));
        }
    }
    let rule = case.rule.as_ref()?;
    // Of a denied connection only the sides that deny have decided, unless the case speaks of
    // both sides.
    let speaks_of_sides = matches!(case.expect, Expect::Sides { .. });
    let decided = Direction::BOTH
        .into_iter()
        .map(|direction| verdict.decider(direction))
        .filter(|decider| speaks_of_sides || verdict.is_allowed() || !decider.is_allowed());
    let named = match rule {
        RuleName::Policy(name) => name.as_str(),
        RuleName::Fixed(name) => name,
    };
    if decided
        .into_iter()
        .any(|decider| rule_name(decider) == named)
    {
        return None;
    }
    Some(format!("expected {named} to decide, got {verdict}"))
}
