//! Rate limits of rules, from the annotations `bailey.dev/rate-limit` and
//! `bailey.dev/rate-limit-per-source`.

use std::collections::BTreeMap;

use bailey_policy::{Direction, NetworkPolicy, RateLimit, RateLimits};

use crate::kinds::validate::{FieldErrors, quoted};
use crate::parse::node::FieldPath;

const PREFIX: &str = "bailey.dev/";
const ALL: &str = "bailey.dev/rate-limit";
const PER_SOURCE: &str = "bailey.dev/rate-limit-per-source";

const SYNTAX: &str = "must be connections per second, minute or hour, for example \"100/s\" or \
                      \"600/m burst 20\"; to limit only some rules, for example \"egress=9/s, \
                      ingress[0]=5/s\"";

/// The rules to which an entry applies, from general to specific. Specific entries override general
/// ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    All,
    Direction(Direction),
    Rule(Direction, usize),
}

/// Reads the rate limits in a policy's annotations and sets them on its rules.
pub(crate) fn apply_annotations(
    annotations: &BTreeMap<String, String>,
    policy: &mut NetworkPolicy,
    errors: &mut FieldErrors,
) {
    for (key, value) in annotations
        .iter()
        .filter(|(key, _)| key.starts_with(PREFIX))
    {
        let path = FieldPath::of(&["metadata", "annotations"]).key(key);
        let field: fn(&mut RateLimits) -> &mut Option<RateLimit> = match key.as_str() {
            ALL => |limits| &mut limits.all,
            PER_SOURCE => |limits| &mut limits.per_source,
            _ => {
                errors.add_unsupported(&path, key, &[ALL, PER_SOURCE]);
                continue;
            }
        };
        match parse_entries(value, policy) {
            Ok(entries) => {
                for (target, limit) in entries {
                    set_limit(policy, target, limit, field);
                }
            }
            Err(detail) => errors.add_invalid(&path, quoted(value), &detail),
        }
    }
}

/// Parses the entries of an annotation; the most specific is last.
fn parse_entries(
    text: &str,
    policy: &NetworkPolicy,
) -> Result<BTreeMap<Target, RateLimit>, String> {
    let mut entries = BTreeMap::new();
    for entry in text.split(',') {
        let (target, limit) = match entry.split_once('=') {
            Some((rules, limit)) => (parse_target(rules.trim(), policy)?, limit),
            None => (Target::All, entry),
        };
        let limit = parse_rate(limit).ok_or(SYNTAX)?;
        if entries.insert(target, limit).is_some() {
            return Err(format!("{} has two limits", entry.trim()));
        }
    }
    Ok(entries)
}

fn parse_target(text: &str, policy: &NetworkPolicy) -> Result<Target, String> {
    let (name, index) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        Some((name, index)) => (name, Some(index.parse::<usize>().map_err(|_| SYNTAX)?)),
        None => (text, None),
    };
    let named = |direction: &Direction| direction.to_string() == name;
    let direction = Direction::BOTH.into_iter().find(named).ok_or(SYNTAX)?;
    let rules = policy.rules(direction).unwrap_or_default().len();
    match index {
        Some(index) if index < rules => Ok(Target::Rule(direction, index)),
        None if rules > 0 => Ok(Target::Direction(direction)),
        _ => Err(format!("{text}: the policy has {rules} {direction} rules")),
    }
}

/// Parses `<n>/<s|m|h>`, optionally followed by `burst <n>`. The default burst is `<n>`.
fn parse_rate(text: &str) -> Option<RateLimit> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|&number| number > 0);
    let mut words = text.split_whitespace();
    let (connections, unit) = words.next()?.split_once('/')?;
    let connections = number(connections)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let burst = match (words.next(), words.next(), words.next()) {
        (None, ..) => connections,
        (Some("burst"), Some(burst), None) => number(burst)?,
        _ => return None,
    };
    Some(RateLimit {
        connections,
        seconds,
        burst,
    })
}

fn set_limit(
    policy: &mut NetworkPolicy,
    target: Target,
    limit: RateLimit,
    field: fn(&mut RateLimits) -> &mut Option<RateLimit>,
) {
    for direction in Direction::BOTH {
        let rules = policy.rules_mut(direction).unwrap_or_default();
        for (index, rule) in rules.iter_mut().enumerate() {
            let meant = match target {
                Target::All => true,
                Target::Direction(named) => named == direction,
                Target::Rule(named, number) => named == direction && number == index,
            };
            if meant {
                *field(&mut rule.limits) = Some(limit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bailey_policy::{PolicyRef, Rule, Selector};

    use super::*;

    fn policy() -> NetworkPolicy {
        NetworkPolicy {
            id: PolicyRef {
                namespace: "ns".into(),
                name: "p".into(),
            },
            pod_selector: Selector::default(),
            ingress: Some(vec![Rule::default(), Rule::default()]),
            egress: None,
            location: bailey_policy::SourceLocation::default(),
        }
    }

    fn read(key: &str, value: &str) -> Result<Vec<RateLimits>, String> {
        let mut policy = policy();
        let mut errors = FieldErrors::default();
        let annotations = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        apply_annotations(&annotations, &mut policy, &mut errors);
        match errors.0.first() {
            Some((path, message)) => Err(format!("{path}: {message}")),
            None => Ok(policy
                .ingress
                .unwrap()
                .iter()
                .map(|rule| rule.limits)
                .collect()),
        }
    }

    fn limit(connections: u32, seconds: u32, burst: u32) -> Option<RateLimit> {
        Some(RateLimit {
            connections,
            seconds,
            burst,
        })
    }

    #[test]
    fn most_specific_entry_wins() {
        let limits = read(ALL, "ingress[1]=5/m burst 2, 100/s, ingress=7/h").unwrap();
        assert_eq!(limits[0].all, limit(7, 3600, 7));
        assert_eq!(limits[1].all, limit(5, 60, 2));
        assert_eq!(limits[1].per_source, None);
        let limits = read(PER_SOURCE, "100/s").unwrap();
        assert_eq!(
            (limits[0].per_source, limits[0].all),
            (limit(100, 1, 100), None)
        );
        assert!(read("example.com/rate-limit", "x").unwrap()[0].is_unlimited());
    }

    #[test]
    fn invalid_limit_is_an_error_with_an_example() {
        for wrong in [
            "",
            "100",
            "100/d",
            "0/s",
            "-1/s",
            "1/s burst",
            "1/s burst 0",
            "1/s burst 2 3",
            "1/s 2",
            "x=1/s",
            "ingress[=1/s",
            "ingress[x]=1/s",
            "1/s,,",
            "99999999999/s",
            "1.5/s",
        ] {
            let error = read(ALL, wrong).unwrap_err();
            assert!(error.contains("for example \"100/s\""), "{wrong}: {error}");
            assert!(error.starts_with("metadata.annotations."), "{error}");
        }
        let error = read(ALL, "ingress[2]=1/s").unwrap_err();
        assert!(
            error.ends_with("ingress[2]: the policy has 2 ingress rules"),
            "{error}"
        );
        let error = read(ALL, "egress=1/s").unwrap_err();
        assert!(
            error.ends_with("egress: the policy has 0 egress rules"),
            "{error}"
        );
        assert!(
            read(ALL, "1/s, 2/s")
                .unwrap_err()
                .ends_with("2/s has two limits")
        );
        let error = read("bailey.dev/rate-limits", "1/s").unwrap_err();
        assert!(
            error.contains("supported values: \"bailey.dev/rate-limit\""),
            "{error}"
        );
    }
}
