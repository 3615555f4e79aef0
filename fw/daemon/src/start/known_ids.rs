//! Rule ids that pinned counters and flows of an earlier process refer to. The new process must not
//! give such an id to another rule.

use bailey_bpf::abi;
use bailey_compile::RuleIds;
use bailey_config::Config;
use bailey_datapath::flows::table::FlowTable;
use bailey_datapath::observe::counters::Counters;
use bailey_datapath::upgrade::former_rule_ids;
use bailey_datapath::{DatapathError, PinDir};
use bailey_state::rule_ids::RuleNames;

/// What an earlier process left behind.
pub(super) struct KnownIds {
    /// The ids in `rules.json`, plus ids in use that the file does not contain; the latter are retired.
    pub(super) ids: RuleIds,
    /// False only if `rules.json` was read and has no rule: a missing or unreadable file proves nothing.
    pub(super) may_have_policies: bool,
}

/// Reads `rules.json`, counters and flows.
pub(super) fn read_known_ids(config: &Config) -> KnownIds {
    // Without pinned maps there are neither counters nor flows.
    let used = read_used_ids(config).unwrap_or_default();
    let (ids, may_have_policies) = match RuleNames::read(&config.paths.state) {
        Ok(names) => {
            let has_rules = !names.rules.is_empty();
            (names.ids(), has_rules)
        }
        Err(error) => {
            if !used.is_empty() {
                let path = RuleNames::path(&config.paths.state);
                tracing::warn!(
                    "{}: {error}; counters of {} rules stay as \"removed rule\", and all rules \
                     count from zero",
                    path.display(),
                    used.len()
                );
            }
            (RuleIds::default(), true)
        }
    };
    // The maps have no counter for an id above the limit, and no flow carries such an id.
    let ids = ids
        .with_retired(&used)
        .without_ids_from(config.limits.rules as u32);
    KnownIds {
        ids,
        may_have_policies,
    }
}

/// Ids of policy rules that have counted a packet or that a flow carries.
fn read_used_ids(config: &Config) -> Result<Vec<u32>, DatapathError> {
    let pins = PinDir::Path(config.paths.pins.clone());
    // Before an upgrade, the flows of the former layout are the active ones.
    let used = former_rule_ids(&pins).or_else(|_| {
        let counters = Counters::open(&pins)?;
        let mut used = FlowTable::open(&pins)?.rule_ids();
        used.extend(counters.rules().counting());
        Ok::<_, DatapathError>(used)
    })?;
    Ok(used.range(abi::RULE_FIRST..).copied().collect())
}
