//! `rules.json`: which rule has which id, and names for output. Assigns no ids.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailey_compile::{RuleIds, RuleKey};
use bailey_policy::NetworkPolicy;
use serde::{Deserialize, Serialize};

use crate::rule_name::{RuleName, RuleText, StoredKey};
use crate::short_name::{SHORT_MAX, clip_middle};

/// `rules.json` in the state directory: rule ids and the names of their rules. The daemon replaces
/// the file before every commit. If the process is killed at any moment, the file has the ids of
/// the active generation, as ids in use or as retired ids.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RuleNames {
    /// Version of this file's format.
    pub schema_version: u32,
    /// All rules, by id.
    pub rules: Vec<RuleName>,
    /// Removed rules whose ids flows may still carry; by id.
    pub retired: Vec<RuleName>,
}

const FORMAT: u32 = 3;

const FILE: &str = "rules.json";

impl RuleNames {
    /// The rules with these ids, with ports, peers and location from `policies`, which must be
    /// sorted.
    pub fn of(ids: &RuleIds, policies: &[Arc<NetworkPolicy>]) -> Self {
        let name = |id: u32, key: Option<&RuleKey>| RuleName {
            id,
            key: key.map(StoredKey::from),
            text: key.map_or_else(RuleText::default, |key| RuleText::of(key, policies)),
        };
        Self {
            schema_version: FORMAT,
            rules: ids.iter().map(|(id, key)| name(id, Some(key))).collect(),
            retired: ids.retired().map(|(id, key)| name(id, key)).collect(),
        }
    }

    /// The rule ids in the file.
    pub fn ids(self) -> RuleIds {
        let used = self.rules.into_iter();
        RuleIds::restore(
            used.filter_map(|rule| Some((rule.id, rule.key?.into()))),
            self.retired
                .into_iter()
                .map(|rule| (rule.id, rule.key.map(RuleKey::from))),
        )
    }

    /// Replaces the file in a state directory atomically: after a crash it has the old or the new
    /// content.
    ///
    /// # Errors
    /// If the file cannot be written.
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
    /// If the file does not exist, or has another format.
    pub fn read(state: &Path) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let path = Self::path(state);
        // Reading a pipe or a device may never end.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let bytes = fs::read(path)?;
        let Version { schema_version } = serde_json::from_slice(&bytes)?;
        if schema_version != FORMAT {
            return Err(io::Error::other(format!(
                "format {schema_version} is not supported, expected {FORMAT}"
            )));
        }
        let mut names: Self = serde_json::from_slice(&bytes)?;
        names.rules.sort_by_key(|rule| rule.id);
        names.retired.sort_by_key(|rule| rule.id);
        Ok(names)
    }

    /// The path of the file in a state directory.
    pub fn path(state: &Path) -> PathBuf {
        state.join(FILE)
    }

    /// The short name of a rule id, or of an implicit rule.
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
                    clip_middle(&rule.short(), SHORT_MAX - REMOVED.len()) + REMOVED
                }
                Some(rule) => rule.short(),
                None => format!("removed rule {id}"),
            },
        }
    }

    /// The rule of an id, active or retired.
    pub fn find(&self, id: u32) -> Option<&RuleName> {
        find(&self.rules, id).or_else(|| find(&self.retired, id))
    }

    /// True for a rule of the active generation.
    pub fn is_in_use(&self, id: u32) -> bool {
        find(&self.rules, id).is_some()
    }
}

/// Searches a list that is sorted by id.
fn find(rules: &[RuleName], id: u32) -> Option<&RuleName> {
    let found = rules.binary_search_by_key(&id, |rule| rule.id);
    found.ok().map(|at| &rules[at])
}

#[cfg(test)]
mod tests {
    use bailey_policy::{Direction, PolicyRef, RuleRef};

    use super::*;

    #[test]
    fn rule_ids_are_restored_from_file() {
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
}
