//! Rule keys and rule ids. A key keeps its id from one generation to the next, so that counters and
//! established flows stay valid.
//!
//! ```text
//!            key in the new snapshot                key removed
//!   (unused) -----------------------> in use ---------------------> retired
//!      ^                                ^                              |  |
//!      |                                '------- same key again -------'  |
//!      '------------------ release_retired(): no flow uses the id --------'
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailey_bpf::abi;
use bailey_policy::{Decider, Direction, PolicyRef, RuleRef};

/// The rule that an id identifies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKey {
    /// A rule of a policy.
    Rule(RuleRef),
    /// The implicit default-deny rule of the endpoints that exactly these policies isolate.
    DefaultDeny {
        /// The direction of the isolation.
        direction: Direction,
        /// The isolating policies, sorted.
        policies: Vec<PolicyRef>,
    },
}

/// Rule keys and their ids. The id of a removed key is retired: no other key gets the id until
/// [`RuleIds::release_retired`] finds that no flow uses it. A key that returns earlier gets its
/// former id back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleIds {
    ids: BTreeMap<Arc<RuleKey>, u32>,
    keys: BTreeMap<u32, Arc<RuleKey>>,
    /// Retired ids, each with its former key if the key is known.
    retired: BTreeMap<u32, Option<Arc<RuleKey>>>,
}

impl RuleIds {
    /// Assigns ids for the next generation, which has exactly these keys. One merge pass over the
    /// old and new keys, both sorted: the cost is the comparison of names, and a cluster can have
    /// very many rules.
    pub(crate) fn for_next_generation(&self, keys: &BTreeSet<RuleKey>) -> Self {
        let mut retired = self.retired.clone();
        let mut retire = |key: &Arc<RuleKey>, id| retired.insert(id, Some(Arc::clone(key)));
        let mut before = self.ids.iter().peekable();

        // Keys that stay keep their ids; removed keys are retired.
        let mut used: Vec<(Arc<RuleKey>, Option<u32>)> = Vec::with_capacity(keys.len());
        for key in keys {
            while let Some((removed, &id)) = before.next_if(|(known, _)| ***known < *key) {
                retire(removed, id);
            }
            match before.next_if(|(known, _)| ***known == *key) {
                Some((known, &id)) => used.push((Arc::clone(known), Some(id))),
                None => used.push((Arc::new(key.clone()), None)),
            }
        }
        before.for_each(|(removed, &id)| {
            retire(removed, id);
        });

        // New keys with a retired id get it back.
        let mut former_ids: BTreeMap<&RuleKey, u32> = BTreeMap::new();
        for (&id, key) in &self.retired {
            if let Some(key) = key {
                former_ids.entry(key).or_insert(id);
            }
        }
        for (key, id) in &mut used {
            if id.is_none()
                && let Some(&old) = former_ids.get(&**key)
            {
                retired.remove(&old);
                *id = Some(old);
            }
        }

        // All other new keys get the lowest free ids.
        let mut taken: Vec<u32> = used.iter().filter_map(|(_, id)| *id).collect();
        taken.extend(retired.keys());
        taken.sort_unstable();
        let mut taken = taken.into_iter().peekable();
        let mut candidate = abi::RULE_FIRST;
        for (_, id) in &mut used {
            id.get_or_insert_with(|| {
                while let Some(id) = taken.next_if(|&id| id <= candidate) {
                    candidate += u32::from(id == candidate);
                }
                candidate += 1;
                candidate - 1
            });
        }
        let used = used
            .into_iter()
            .map(|(key, id)| (key, id.unwrap_or(candidate)));
        let ids: BTreeMap<Arc<RuleKey>, u32> = used.collect();
        let keys = ids.iter().map(|(key, &id)| (id, Arc::clone(key)));
        Self {
            keys: keys.collect(),
            ids,
            retired,
        }
    }

    fn insert(&mut self, key: RuleKey, id: u32) {
        let key = Arc::new(key);
        self.keys.insert(id, Arc::clone(&key));
        self.ids.insert(key, id);
    }

    /// The id of a key.
    pub fn id(&self, key: &RuleKey) -> Option<u32> {
        self.ids.get(key).copied()
    }

    /// The ids of all policy rules, sorted by policy, direction and index.
    pub(crate) fn policy_rule_ids(&self) -> impl Iterator<Item = u32> {
        // Keys sort in this order, with all default-deny keys after all rules.
        let is_rule = |key: &RuleKey| matches!(key, RuleKey::Rule(_));
        let ids = self.ids.iter().take_while(move |(key, _)| is_rule(key));
        ids.map(|(_, &id)| id)
    }

    /// The key of an id in use.
    pub fn key(&self, id: u32) -> Option<&RuleKey> {
        self.keys.get(&id).map(|key| &**key)
    }

    /// All ids in use and their keys.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &RuleKey)> {
        self.keys.iter().map(|(&id, key)| (id, &**key))
    }

    /// The key of an id in use, or the former key of a retired id.
    pub fn current_or_former_key(&self, id: u32) -> Option<&RuleKey> {
        self.key(id).or_else(|| self.retired.get(&id)?.as_deref())
    }

    /// All retired ids, with their former keys where known.
    pub fn retired(&self) -> impl Iterator<Item = (u32, Option<&RuleKey>)> {
        self.retired.iter().map(|(&id, key)| (id, key.as_deref()))
    }

    /// Restores the state that an earlier process saved: ids in use, and retired ids.
    pub fn restore(
        used: impl IntoIterator<Item = (u32, RuleKey)>,
        retired: impl IntoIterator<Item = (u32, Option<RuleKey>)>,
    ) -> Self {
        let mut ids = Self::default();
        for (id, key) in used {
            ids.insert(key, id);
        }
        let retired = retired.into_iter();
        ids.retired = retired.map(|(id, key)| (id, key.map(Arc::new))).collect();
        ids
    }

    /// Retires these ids, except those that are in use or already retired.
    #[must_use]
    pub fn with_retired(mut self, ids: &[u32]) -> Self {
        for &id in ids {
            if !self.keys.contains_key(&id) {
                self.retired.entry(id).or_default();
            }
        }
        self
    }

    /// Removes all ids from `end` upwards.
    #[must_use]
    pub fn without_ids_from(mut self, end: u32) -> Self {
        self.retired.retain(|&id, _| id < end);
        self.ids.retain(|_, id| *id < end);
        self.keys.retain(|&id, _| id < end);
        self
    }

    /// Frees the retired ids that no flow uses any more.
    pub fn release_retired(&mut self, is_in_use: impl Fn(u32) -> bool) {
        self.retired.retain(|&id, _| is_in_use(id));
    }

    /// One more than the highest id in use or retired.
    pub fn end(&self) -> u32 {
        let highest = self.keys.keys().chain(self.retired.keys()).max();
        highest.map_or(abi::RULE_FIRST, |&id| id + 1)
    }

    /// The decider that a rule id in a cell or flow stands for, including the fixed ids.
    pub fn decider(&self, id: u32) -> Option<Decider> {
        Some(match id {
            abi::RULE_NOT_ISOLATED => Decider::NotIsolated,
            abi::RULE_OWN_NODE => Decider::OwnNode,
            abi::RULE_SELF => Decider::SelfTraffic,
            abi::RULE_UNKNOWN_ADDRESS => Decider::UnknownAddress,
            _ => match self.key(id)? {
                RuleKey::Rule(rule) => Decider::Rule(rule.clone()),
                RuleKey::DefaultDeny { policies, .. } => Decider::DefaultDeny(policies.clone()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> RuleKey {
        RuleKey::Rule(RuleRef {
            policy: PolicyRef {
                namespace: "ns".into(),
                name: name.into(),
            },
            direction: Direction::Ingress,
            index: 0,
        })
    }

    #[test]
    fn rule_id_stays_with_its_key_until_released() {
        let first = RuleIds::default().for_next_generation(&[key("a"), key("b"), key("c")].into());
        let b = first.id(&key("b")).unwrap();
        let second = first.for_next_generation(&[key("a"), key("c"), key("d")].into());
        assert_eq!(second.id(&key("a")), first.id(&key("a")));
        assert_eq!(second.id(&key("c")), first.id(&key("c")));
        assert_ne!(second.id(&key("d")), Some(b), "the id of b is retired");
        let mut third = second.for_next_generation(&[key("a"), key("c"), key("d")].into());
        assert_eq!(third.retired().map(|(id, _)| id).collect::<Vec<_>>(), [b]);
        let back = third.for_next_generation(&[key("a"), key("b"), key("c"), key("d")].into());
        assert_eq!(back.id(&key("b")), Some(b), "the key is back");
        assert_eq!(back.retired().count(), 0);
        third.release_retired(|_| true);
        assert_eq!(third.retired().count(), 1, "a flow still uses it");
        third.release_retired(|_| false);
        let fourth = third.for_next_generation(&[key("a"), key("c"), key("d"), key("e")].into());
        assert_eq!(fourth.id(&key("e")), Some(b));
    }
}
