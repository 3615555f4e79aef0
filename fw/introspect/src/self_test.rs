//! Packets of the active policies through the loaded programs and the oracle, side by side.

use std::collections::BTreeMap;

use bailey_bpf::abi;
use bailey_compile::RuleKey;
use bailey_datapath::DatapathError;
use bailey_datapath::program::live_probe::LiveProbe;
use bailey_datapath::program::probe::ProbeAnswer;
use bailey_policy::oracle::evaluate;
use bailey_policy::{Connection, Decider, Direction, Snapshot, Verdict};
use bailey_state::rule_ids::RuleNames;
use serde::Serialize;

use crate::live_state::LiveState;

/// Most differences that are kept.
const DIFFERENCES_MAX: usize = 100;

/// The result of a self-test.
#[derive(Debug, Default, Serialize)]
pub struct SelfTest {
    /// The generation that the programs enforced.
    pub generation: u32,
    /// Whether another generation became active meanwhile: the comparison is worthless.
    pub is_interrupted: bool,
    /// Packets on which programs and oracle agree.
    pub agreed: u64,
    /// Packets on which they differ.
    pub differed: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// Packets that the programs decide before policy, by reason: blocks, failsafe, scope.
    pub before_policy: BTreeMap<&'static str, u64>,
    /// Packets by the rule that decided, as the oracle names rules.
    pub rules: BTreeMap<String, u64>,
}

/// A packet on which programs and oracle differ.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The packet.
    pub connection: String,
    /// The verdict of the programs.
    pub programs: String,
    /// The verdict of the oracle.
    pub oracle: String,
}

impl LiveState {
    /// Sends the first packets of connections through the loaded programs, and compares their verdicts and
    /// rules with those of the oracle. `snapshot`: the active policies. `None` if no daemon runs: the programs
    /// of the probe end with it.
    ///
    /// # Errors
    /// If the kernel refuses a test run.
    pub fn self_test(
        &self,
        snapshot: &Snapshot,
        connections: impl IntoIterator<Item = Connection>,
    ) -> Result<Option<SelfTest>, DatapathError> {
        let Some(probe) = LiveProbe::find(&self.pins)? else {
            return Ok(None);
        };
        let names = self.names();
        let mut result = SelfTest {
            generation: self.stamp()?.generation,
            ..SelfTest::default()
        };
        for connection in connections {
            let answer = probe.probe(&connection)?;
            let Some((egress, ingress)) = answer.cells else {
                let count = result.before_policy.entry(answer.reason_name());
                *count.or_default() += 1;
                continue;
            };
            let expected = evaluate(snapshot, &connection);
            let found = [egress, ingress].map(|cell| decider_of(&names, cell));
            result.compare(&connection, &answer, found, &expected);
        }
        result.is_interrupted = self.stamp()?.generation != result.generation;
        Ok(Some(result))
    }
}

impl SelfTest {
    fn compare(
        &mut self,
        connection: &Connection,
        answer: &ProbeAnswer,
        found: [Option<Decider>; 2],
        expected: &Verdict,
    ) {
        let wanted = Direction::BOTH.map(|direction| expected.decider(direction));
        let is_equal = found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.as_ref() == Some(wanted))
            && answer.passes == expected.is_allowed();
        if is_equal {
            self.agreed += 1;
            for decider in wanted {
                *self.rules.entry(decider.to_string()).or_default() += 1;
            }
            return;
        }
        self.differed += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            let name = |decider: Option<Decider>| {
                decider.map_or_else(
                    || "an unknown rule".to_owned(),
                    |decider| decider.to_string(),
                )
            };
            let [egress, ingress] = found.map(name);
            let word = if answer.passes { "allow" } else { "deny" };
            self.differences.push(Difference {
                connection: connection.to_string(),
                programs: format!("{word} (egress {egress}, ingress {ingress})"),
                oracle: expected.to_string(),
            });
        }
    }
}

/// The decider that a cell names.
fn decider_of(names: &RuleNames, cell: u32) -> Option<Decider> {
    let id = cell & abi::CELL_RULE_MASK;
    match id {
        abi::RULE_NOT_ISOLATED => return Some(Decider::NotIsolated),
        abi::RULE_OWN_NODE => return Some(Decider::OwnNode),
        abi::RULE_SELF => return Some(Decider::SelfTraffic),
        abi::RULE_UNKNOWN_ADDRESS => return Some(Decider::UnknownAddress),
        _ => {}
    }
    let key = names.find(id)?.key.clone()?;
    Some(match RuleKey::from(key) {
        RuleKey::Rule(rule) => Decider::Rule(rule),
        RuleKey::DefaultDeny { policies, .. } => Decider::DefaultDeny(policies),
    })
}
