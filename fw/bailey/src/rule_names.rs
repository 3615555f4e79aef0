use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bailey_compile::{RuleIds, RuleKey};
use serde::{Deserialize, Serialize};

/// The rule ids of the generation in force and what they mean: `rules.json` in the state
/// directory, replaced as a whole at every commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RuleNames {
    /// Version of this file's format.
    pub schema_version: u32,
    /// The generation that the ids belong to.
    pub generation: u32,
    /// All rules.
    pub rules: Vec<RuleName>,
}

/// One rule id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleName {
    /// The id in cells, flows and counters.
    pub id: u32,
    /// `egress` or `ingress`.
    pub direction: String,
    /// `namespace/name`, or `default-deny`.
    pub policy: String,
    /// Which rule of the list; absent for default-deny.
    pub index: Option<usize>,
    /// Of default-deny: the policies that isolate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub isolated_by: Vec<String>,
}

impl RuleName {
    /// As one text: `ns/policy ingress[0]`, or `default-deny ingress (ns/policy)`.
    pub fn label(&self) -> String {
        match self.index {
            Some(index) => format!("{} {}[{index}]", self.policy, self.direction),
            None => format!(
                "{} {} ({})",
                self.policy,
                self.direction,
                self.isolated_by.join(", ")
            ),
        }
    }
}

const FILE: &str = "rules.json";

impl RuleNames {
    /// The names of a generation.
    pub fn of(generation: u32, ids: &RuleIds) -> Self {
        let rules = ids.iter().map(|(id, key)| match key {
            RuleKey::Rule(rule) => RuleName {
                id,
                direction: rule.direction.to_string(),
                policy: rule.policy.to_string(),
                index: Some(rule.index),
                isolated_by: Vec::new(),
            },
            RuleKey::DefaultDeny {
                direction,
                policies,
            } => RuleName {
                id,
                direction: direction.to_string(),
                policy: "default-deny".to_owned(),
                index: None,
                isolated_by: policies.iter().map(ToString::to_string).collect(),
            },
        });
        Self {
            schema_version: 1,
            generation,
            rules: rules.collect(),
        }
    }

    /// Replaces the file in a state directory.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, state: &Path) -> io::Result<()> {
        let (new, file) = (state.join(".rules.json.new"), Self::path(state));
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, file)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it is not there, or not of this version.
    pub fn read(state: &Path) -> io::Result<Self> {
        let names: Self = serde_json::from_slice(&fs::read(Self::path(state))?)?;
        if names.schema_version == 1 {
            return Ok(names);
        }
        Err(io::Error::other(format!(
            "format {} of another version",
            names.schema_version
        )))
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
            abi::RULE_OWN_NODE => "own-node".to_owned(),
            abi::RULE_SELF => "self".to_owned(),
            _ => self
                .rules
                .iter()
                .find(|rule| rule.id == id)
                .map_or_else(|| format!("removed rule {id}"), RuleName::label),
        }
    }
}
