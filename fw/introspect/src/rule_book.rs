//! All rules of the active generation.

use std::sync::OnceLock;

use bailey_bpf::abi;
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::observe::counters::Counters;
use bailey_datapath::observe::rule_counts::RuleCounts;
use bailey_state::rule_ids::RuleNames;

use crate::live_state::{LiveState, NamesVersion, stamp};
use crate::rules::{IMPLICIT, name_to_api, rule_to_api};

/// Names of all rules of one version of the policies.
#[derive(Debug)]
pub struct RuleBook {
    names: RuleNames,
    version: NamesVersion,
    /// The names as API values, made when they are asked for.
    api_names: OnceLock<Vec<api::RuleName>>,
}

impl LiveState {
    /// The names of all rules of the active generation.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn rule_book(&self) -> Result<RuleBook, DatapathError> {
        // Before the names: a change in between makes them newer than their version.
        let version = self.names_version()?;
        let names = match version.0 {
            // No generation is active; the file describes the one before a detach.
            0 => RuleNames::default(),
            _ => self.names(),
        };
        Ok(RuleBook {
            names,
            version,
            api_names: OnceLock::new(),
        })
    }

    /// All rules of the active generation. Without names, all rules that have counted a packet.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn rules(&self) -> Result<api::Rules, DatapathError> {
        let counts = Counters::open(&self.pins)?.rules();
        let book = self.rule_book()?;
        let mut ids: Vec<u32> = book.ids().collect();
        if book.names.rules.is_empty() {
            let counting = counts.counting();
            ids.extend(counting.filter(|&id| id >= abi::RULE_FIRST));
        }
        let rules = ids.into_iter().map(|id| book.row(&counts, id));
        Ok(api::Rules {
            stamp: stamp(book.version.0),
            rules: rules.collect(),
        })
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

    /// Names of all rules.
    pub fn names(&self) -> &[api::RuleName] {
        let make = || self.ids().map(|id| name_to_api(&self.names, id)).collect();
        self.api_names.get_or_init(make)
    }

    /// A rule with its counters.
    pub fn row(&self, counts: &RuleCounts, id: u32) -> api::Rule {
        rule_to_api(&self.names, counts, id, true)
    }

    /// Display name of a rule.
    pub fn label(&self, id: u32) -> String {
        self.names.label(id)
    }
}
