//! The rules of one generation, for readers that ask often.

use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::observe::rule_counts::RuleCounts;
use bailey_state::rule_ids::RuleNames;

use crate::live_state::{LiveState, NamesVersion};
use crate::rules::{IMPLICIT, rule_to_api};

/// Names of all rules of a generation.
#[derive(Debug)]
pub struct RuleBook {
    names: RuleNames,
    version: NamesVersion,
}

impl LiveState {
    /// The rules of the active generation.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn rule_book(&self) -> Result<RuleBook, DatapathError> {
        // Before the names: a change in between makes them newer than their version.
        let version = self.names_version()?;
        let names = match version.0 {
            0 => RuleNames::default(),
            _ => self.names(),
        };
        Ok(RuleBook { names, version })
    }
}

impl RuleBook {
    /// The version of the names.
    pub fn version(&self) -> NamesVersion {
        self.version
    }

    /// Ids of all rules, the implicit ones included.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        let rules = self.names.rules.iter();
        rules.map(|rule| rule.id).chain(IMPLICIT)
    }

    /// A rule with its counters.
    pub fn row(&self, counts: &RuleCounts, id: u32) -> api::Rule {
        rule_to_api(&self.names, counts, id, true)
    }

    /// Name of a rule.
    pub fn name(&self, id: u32) -> String {
        self.names.label(id)
    }
}
