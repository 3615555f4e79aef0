//! Names of rules in output: short (at most 64 characters) and long.

use bailey_compile::RuleKey;
use bailey_policy::Direction;

use crate::rule_name::{RuleName, texts};

/// The longest short name, in characters.
pub const SHORT_MAX: usize = 64;

impl RuleName {
    /// At most [`SHORT_MAX`] characters: `ns/policy in[0] :8080/TCP`, or
    /// `ns default-deny in (2 policies)`. A name that is too long loses its middle.
    pub fn short(&self) -> String {
        let (name, rest) = match self.key.clone().map(RuleKey::from) {
            None => return format!("removed rule {}", self.id),
            Some(RuleKey::Rule(rule)) => {
                let (way, index) = (short_direction(rule.direction), rule.index);
                let ports = short_ports(&self.text.ports);
                (rule.policy.to_string(), format!(" {way}[{index}]{ports}"))
            }
            Some(RuleKey::DefaultDeny {
                direction,
                policies,
            }) => {
                let namespace = policies.first().map(|policy| policy.namespace.clone());
                let noun = if policies.len() == 1 {
                    "policy"
                } else {
                    "policies"
                };
                let rest = format!(
                    " default-deny {} ({} {noun})",
                    short_direction(direction),
                    policies.len()
                );
                (namespace.unwrap_or_default(), rest)
            }
        };
        clip_middle(&name, SHORT_MAX.saturating_sub(rest.chars().count())) + &rest
    }

    /// The whole name: `ns/policy ingress[0]`, or `default-deny ingress (ns/policy)`.
    pub fn long(&self) -> String {
        match self.key.clone().map(RuleKey::from) {
            None => format!("removed rule {}", self.id),
            Some(RuleKey::Rule(rule)) => rule.to_string(),
            Some(RuleKey::DefaultDeny {
                direction,
                policies,
            }) => format!("default-deny {direction} ({})", texts(&policies).join(", ")),
        }
    }
}

/// The direction in a short name.
fn short_direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "in",
        Direction::Egress => "out",
    }
}

/// Replaces the middle of a text by an ellipsis if it has more than `most` characters.
pub(crate) fn clip_middle(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (front, back) = (kept - kept / 3, kept / 3);
    let front: String = letters[..front].iter().collect();
    let back: String = letters[letters.len() - back..].iter().collect();
    format!("{front}\u{2026}{back}")
}

/// As ` :80,443/TCP`, or ` :80/TCP+7` where that would be long; empty for every port.
fn short_ports(ports: &[String]) -> String {
    const LONG: usize = 20;
    let Some(first) = ports.first() else {
        return String::new();
    };
    let mut joined = String::new();
    let mut rest = ports.iter().peekable();
    while let Some(port) = rest.next() {
        let (number, protocol) = port.split_once('/').unwrap_or((port, ""));
        let same = rest.peek().is_some_and(|next| {
            let next = next.split_once('/').map(|(_, protocol)| protocol);
            !protocol.is_empty() && next == Some(protocol)
        });
        joined.push_str(if same { number } else { port });
        if rest.peek().is_some() {
            joined.push(',');
        }
    }
    if joined.chars().count() > LONG && ports.len() > 1 {
        joined = format!("{first}+{}", ports.len() - 1);
    }
    format!(" :{joined}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_name::{RuleText, StoredDirection, StoredKey};

    #[test]
    fn short_name_keeps_its_ends_within_64_characters() {
        let name = |namespace: &str, policy: &str, ports: &[&str]| RuleName {
            id: 16,
            key: Some(StoredKey::Rule {
                direction: StoredDirection::Ingress,
                namespace: namespace.into(),
                name: policy.into(),
                index: 0,
            }),
            text: RuleText {
                ports: ports.iter().map(|&port| port.to_owned()).collect(),
                ..RuleText::default()
            },
        };
        let cases: [(&[&str], &str); 5] = [
            (&[], "shop/web in[0]"),
            (&["8080/TCP"], "shop/web in[0] :8080/TCP"),
            (&["80/TCP", "443/TCP"], "shop/web in[0] :80,443/TCP"),
            (&["53/TCP", "53/UDP"], "shop/web in[0] :53/TCP,53/UDP"),
            (
                &["30000-30100/TCP", "1/UDP", "2/UDP"],
                "shop/web in[0] :30000-30100/TCP+2",
            ),
        ];
        for (ports, short) in cases {
            assert_eq!(name("shop", "web", ports).short(), short);
        }
        let long = name(&"n".repeat(63), &"p".repeat(253), &["8080/TCP"]).short();
        assert_eq!(long.chars().count(), SHORT_MAX);
        assert!(
            long.starts_with("nnn") && long.ends_with("ppp in[0] :8080/TCP"),
            "{long}"
        );
    }
}
