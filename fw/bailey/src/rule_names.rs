use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailey_compile::{RuleIds, RuleKey};
use bailey_policy::{Direction, NetworkPolicy, PolicyRef, RuleRef};
use serde::{Deserialize, Serialize};

/// Rule ids and what they mean: `rules.json` in the state directory. It is replaced as a whole
/// before every commit, so that whatever moment a process is killed in, the file knows the ids of
/// the generation in force: they are in use, or rest.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RuleNames {
    /// Version of this file's format.
    pub schema_version: u32,
    /// All rules, by id.
    pub rules: Vec<RuleName>,
    /// Rules that went away, and whose ids flows may still carry; by id.
    pub resting: Vec<RuleName>,
}

const FORMAT: u32 = 2;

/// One rule id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleName {
    /// The id in cells, flows and counters.
    pub id: u32,
    /// What it stands for; absent of a resting id that nobody remembers.
    #[serde(flatten)]
    pub key: Option<Key>,
    /// What the rule says, as far as that is known.
    #[serde(flatten)]
    pub text: RuleText,
}

/// What a rule of a policy says, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText {
    /// As `8080/TCP`; empty is every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// As `10.0.0.0/8`; empty is everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// The file that it was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl RuleText {
    fn of(key: &RuleKey, policies: &[Arc<NetworkPolicy>]) -> Self {
        let RuleKey::Rule(rule) = key else {
            return Self::default();
        };
        let found = policies.binary_search_by(|policy| policy.id.cmp(&rule.policy));
        let Ok(policy) = found.map(|at| &policies[at]) else {
            return Self::default();
        };
        let said = policy.rules(rule.direction).and_then(|r| r.get(rule.index));
        let place = &policy.place;
        Self {
            ports: said.map_or_else(Vec::new, |said| texts(&said.ports)),
            peers: said.map_or_else(Vec::new, |said| texts(&said.peers)),
            file: place.file.as_ref().map(|file| file.display().to_string()),
            line: place.rule(rule.direction, rule.index),
        }
    }
}

fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// What a rule id stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Key {
    /// A rule of a policy.
    Rule {
        /// `egress` or `ingress`.
        direction: Way,
        /// Of the policy.
        namespace: String,
        /// Of the policy.
        name: String,
        /// Which rule of the list.
        index: usize,
    },
    /// The implicit rule of endpoints that these policies isolate.
    DefaultDeny {
        /// `egress` or `ingress`.
        direction: Way,
        /// Namespace and name.
        policies: Vec<(String, String)>,
    },
}

/// A direction in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Way {
    Egress,
    Ingress,
}

impl Way {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Egress => Self::Egress,
            Direction::Ingress => Self::Ingress,
        }
    }
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Egress => Self::Egress,
            Way::Ingress => Self::Ingress,
        }
    }
}

impl From<&RuleKey> for Key {
    fn from(key: &RuleKey) -> Self {
        match key {
            RuleKey::Rule(rule) => Self::Rule {
                direction: rule.direction.into(),
                namespace: rule.policy.namespace.clone(),
                name: rule.policy.name.clone(),
                index: rule.index,
            },
            RuleKey::DefaultDeny {
                direction,
                policies,
            } => Self::DefaultDeny {
                direction: (*direction).into(),
                policies: policies
                    .iter()
                    .map(|policy| (policy.namespace.clone(), policy.name.clone()))
                    .collect(),
            },
        }
    }
}

impl From<Key> for RuleKey {
    fn from(key: Key) -> Self {
        match key {
            Key::Rule {
                direction,
                namespace,
                name,
                index,
            } => Self::Rule(RuleRef {
                policy: PolicyRef { namespace, name },
                direction: direction.into(),
                index,
            }),
            Key::DefaultDeny {
                direction,
                policies,
            } => Self::DefaultDeny {
                direction: direction.into(),
                policies: policies
                    .into_iter()
                    .map(|(namespace, name)| PolicyRef { namespace, name })
                    .collect(),
            },
        }
    }
}

/// The longest short name, in characters.
pub const SHORT_MAX: usize = 64;

impl RuleName {
    /// At most [`SHORT_MAX`] characters: `ns/policy in[0] :8080/TCP`, or
    /// `ns default-deny in (2 policies)`. A name that is too long loses its middle.
    pub fn short(&self) -> String {
        let (name, rest) = match self.key.clone().map(RuleKey::from) {
            None => return format!("removed rule {}", self.id),
            Some(RuleKey::Rule(rule)) => {
                let (way, index) = (way(rule.direction), rule.index);
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
                    way(direction),
                    policies.len()
                );
                (namespace.unwrap_or_default(), rest)
            }
        };
        clipped(&name, SHORT_MAX.saturating_sub(rest.chars().count())) + &rest
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

fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "in",
        Direction::Egress => "out",
    }
}

/// A text without its middle, if it has more characters than fit.
fn clipped(text: &str, most: usize) -> String {
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

const FILE: &str = "rules.json";

impl RuleNames {
    /// The names of a numbering, and what the rules say in these policies, which are sorted.
    pub fn of(ids: &RuleIds, policies: &[Arc<NetworkPolicy>]) -> Self {
        let name = |id: u32, key: Option<&RuleKey>| RuleName {
            id,
            key: key.map(Key::from),
            text: key.map_or_else(RuleText::default, |key| RuleText::of(key, policies)),
        };
        Self {
            schema_version: FORMAT,
            rules: ids.iter().map(|(id, key)| name(id, Some(key))).collect(),
            resting: ids.resting().map(|(id, key)| name(id, key)).collect(),
        }
    }

    /// The numbering that the names are of.
    pub fn ids(self) -> RuleIds {
        let used = self.rules.into_iter();
        RuleIds::restore(
            used.filter_map(|rule| Some((rule.id, rule.key?.into()))),
            self.resting
                .into_iter()
                .map(|rule| (rule.id, rule.key.map(RuleKey::from))),
        )
    }

    /// Replaces the file in a state directory; after a crash of the machine it is the old one or the
    /// new one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        let (new, file) = (state.join(".rules.json.new"), Self::path(state));
        let mut opened = fs::File::create(&new)?;
        io::Write::write_all(&mut opened, &serde_json::to_vec(self)?)?;
        opened.sync_data()?;
        fs::rename(new, file)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there, or not of this version.
    pub fn read(state: &Path) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let path = Self::path(state);
        // What is no file might never end, as a pipe.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("not a file"));
        }
        let bytes = fs::read(path)?;
        let Version { schema_version } = serde_json::from_slice(&bytes)?;
        if schema_version != FORMAT {
            return Err(io::Error::other(format!(
                "format {schema_version} of another version"
            )));
        }
        let mut names: Self = serde_json::from_slice(&bytes)?;
        names.rules.sort_by_key(|rule| rule.id);
        names.resting.sort_by_key(|rule| rule.id);
        Ok(names)
    }

    /// Where it is.
    pub fn path(state: &Path) -> PathBuf {
        state.join(FILE)
    }

    /// The short name of a rule id, the fixed ones included.
    pub fn label(&self, id: u32) -> String {
        use bailey_bpf::abi;
        match id {
            abi::RULE_NONE => "-".to_owned(),
            abi::RULE_NOT_ISOLATED => "not-isolated".to_owned(),
            abi::RULE_UNKNOWN_ADDRESS => "unknown-address".to_owned(),
            abi::RULE_OWN_NODE => "own-node".to_owned(),
            abi::RULE_SELF => "self".to_owned(),
            _ => match self.find(id) {
                Some(rule) if rule.key.is_some() && !self.is_in_use(id) => {
                    const REMOVED: &str = " (removed)";
                    clipped(&rule.short(), SHORT_MAX - REMOVED.len()) + REMOVED
                }
                Some(rule) => rule.short(),
                None => format!("removed rule {id}"),
            },
        }
    }

    /// What is known of a rule id of a policy, in use or not.
    pub fn find(&self, id: u32) -> Option<&RuleName> {
        find(&self.rules, id).or_else(|| find(&self.resting, id))
    }

    /// Is it a rule of the generation in force?
    pub fn is_in_use(&self, id: u32) -> bool {
        find(&self.rules, id).is_some()
    }
}

fn find(rules: &[RuleName], id: u32) -> Option<&RuleName> {
    let found = rules.binary_search_by_key(&id, |rule| rule.id);
    found.ok().map(|at| &rules[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbering_survives_the_file() {
        let policy = |name: &str| PolicyRef {
            namespace: "ns".into(),
            name: name.into(),
        };
        let rule = |name: &str| {
            RuleKey::Rule(RuleRef {
                policy: policy(name),
                direction: Direction::Ingress,
                index: 2,
            })
        };
        let deny = RuleKey::DefaultDeny {
            direction: Direction::Egress,
            policies: vec![policy("a"), policy("b")],
        };
        let ids = RuleIds::restore(
            [(16, rule("a")), (17, deny)],
            [(18, Some(rule("c"))), (19, None)],
        );
        let directory = tempfile::tempdir().unwrap();
        RuleNames::of(&ids, &[]).write(directory.path()).unwrap();
        let names = RuleNames::read(directory.path()).unwrap();
        assert_eq!(names.label(16), "ns/a in[2]");
        assert_eq!(names.label(17), "ns default-deny out (2 policies)");
        assert_eq!(names.label(18), "ns/c in[2] (removed)");
        assert_eq!(names.label(19), "removed rule 19");
        assert_eq!(names.label(99), "removed rule 99");
        assert_eq!(names.ids(), ids);
        fs::write(RuleNames::path(directory.path()), "{\"schema_version\":1}").unwrap();
        let error = RuleNames::read(directory.path()).unwrap_err();
        assert!(error.to_string().contains("format 1"), "{error}");
    }

    #[test]
    fn short_names_have_at_most_64_characters_and_keep_their_ends() {
        let name = |namespace: &str, policy: &str, ports: &[&str]| RuleName {
            id: 16,
            key: Some(Key::Rule {
                direction: Way::Ingress,
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
