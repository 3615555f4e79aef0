use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailey_compile::{RuleIds, RuleKey};
use bailey_policy::{Direction, PolicyRef, RuleRef};
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

impl RuleName {
    /// As one text: `ns/policy ingress[0]`, or `default-deny ingress (ns/policy)`.
    pub fn label(&self) -> String {
        match self.key.clone().map(RuleKey::from) {
            None => format!("removed rule {}", self.id),
            Some(RuleKey::Rule(rule)) => rule.to_string(),
            Some(RuleKey::DefaultDeny {
                direction,
                policies,
            }) => {
                let policies: Vec<String> = policies.iter().map(ToString::to_string).collect();
                format!("default-deny {direction} ({})", policies.join(", "))
            }
        }
    }
}

const FILE: &str = "rules.json";

impl RuleNames {
    /// The names of a numbering.
    pub fn of(ids: &RuleIds) -> Self {
        let name = |id: u32, key: Option<&RuleKey>| RuleName {
            id,
            key: key.map(Key::from),
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
        let bytes = fs::read(Self::path(state))?;
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

    /// What a rule id means in words, the fixed ones included.
    pub fn label(&self, id: u32) -> String {
        use bailey_bpf::abi;
        match id {
            abi::RULE_NONE => "-".to_owned(),
            abi::RULE_NOT_ISOLATED => "not-isolated".to_owned(),
            abi::RULE_UNKNOWN_ADDRESS => "unknown-address".to_owned(),
            abi::RULE_OWN_NODE => "own-node".to_owned(),
            abi::RULE_SELF => "self".to_owned(),
            _ => {
                let removed = || {
                    let resting = find(&self.resting, id)?;
                    resting.key.as_ref()?;
                    Some(format!("{} (removed)", resting.label()))
                };
                find(&self.rules, id)
                    .map(RuleName::label)
                    .or_else(removed)
                    .unwrap_or_else(|| format!("removed rule {id}"))
            }
        }
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
        RuleNames::of(&ids).write(directory.path()).unwrap();
        let names = RuleNames::read(directory.path()).unwrap();
        assert_eq!(names.label(16), "ns/a ingress[2]");
        assert_eq!(names.label(17), "default-deny egress (ns/a, ns/b)");
        assert_eq!(names.label(18), "ns/c ingress[2] (removed)");
        assert_eq!(names.label(19), "removed rule 19");
        assert_eq!(names.label(99), "removed rule 99");
        assert_eq!(names.ids(), ids);
        fs::write(RuleNames::path(directory.path()), "{\"schema_version\":1}").unwrap();
        let error = RuleNames::read(directory.path()).unwrap_err();
        assert!(error.to_string().contains("format 1"), "{error}");
    }
}
