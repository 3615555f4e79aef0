use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailey_bpf::abi;
use bailey_policy::{Decider, Direction, PolicyRef, RuleRef};

/// What a rule id stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKey {
    /// A rule of a policy.
    Rule(RuleRef),
    /// The implicit rule of the endpoints that exactly these policies isolate.
    DefaultDeny {
        /// The direction they are isolated in.
        direction: Direction,
        /// The isolating policies, in order.
        policies: Vec<PolicyRef>,
    },
}

/// Rule keys and their numbers. A key keeps its number from one generation to the next, so that
/// counters and live flows go on. The number of a key that went away rests: no other key gets it
/// until [`RuleIds::release_retired`] says that no flow carries it. If the key comes back before, it has its
/// number again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleIds {
    ids: BTreeMap<Arc<RuleKey>, u32>,
    keys: BTreeMap<u32, Arc<RuleKey>>,
    /// With the key, where it is known.
    retired: BTreeMap<u32, Option<Arc<RuleKey>>>,
}

impl RuleIds {
    /// The numbering for the next generation: these keys and no others. One pass over both, which are
    /// sorted alike: there are as many as rules in the cluster, and comparing names is what it costs.
    pub(crate) fn for_next_generation(&self, keys: &BTreeSet<RuleKey>) -> Self {
        let mut retired = self.retired.clone();
        let mut rest = |key: &Arc<RuleKey>, id| retired.insert(id, Some(Arc::clone(key)));
        let mut before = self.ids.iter().peekable();
        let mut used: Vec<(Arc<RuleKey>, Option<u32>)> = Vec::with_capacity(keys.len());
        for key in keys {
            while let Some((gone, &id)) = before.next_if(|(known, _)| ***known < *key) {
                rest(gone, id);
            }
            match before.next_if(|(known, _)| ***known == *key) {
                Some((known, &id)) => used.push((Arc::clone(known), Some(id))),
                None => used.push((Arc::new(key.clone()), None)),
            }
        }
        before.for_each(|(gone, &id)| {
            rest(gone, id);
        });
        let mut back: BTreeMap<&RuleKey, u32> = BTreeMap::new();
        for (&id, key) in &self.retired {
            if let Some(key) = key {
                back.entry(key).or_insert(id);
            }
        }
        for (key, id) in &mut used {
            if id.is_none()
                && let Some(&old) = back.get(&**key)
            {
                retired.remove(&old);
                *id = Some(old);
            }
        }
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

    /// The number of a key.
    pub fn id(&self, key: &RuleKey) -> Option<u32> {
        self.ids.get(key).copied()
    }

    /// The numbers of all rules of policies: by policy, then direction, then place in its list.
    pub(crate) fn policy_rule_ids(&self) -> impl Iterator<Item = u32> {
        // Keys sort like this, those of default denies behind all rules.
        let rules = |key: &RuleKey| matches!(key, RuleKey::Rule(_));
        let ids = self.ids.iter().take_while(move |(key, _)| rules(key));
        ids.map(|(_, &id)| id)
    }

    /// The key of a number that is in use.
    pub fn key(&self, id: u32) -> Option<&RuleKey> {
        self.keys.get(&id).map(|key| &**key)
    }

    /// All numbers in use and their keys.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &RuleKey)> {
        self.keys.iter().map(|(&id, key)| (id, &**key))
    }

    /// The key that a number belongs to or, if it rests, belonged to.
    pub fn current_or_former_key(&self, id: u32) -> Option<&RuleKey> {
        self.key(id).or_else(|| self.retired.get(&id)?.as_deref())
    }

    /// Numbers that rest, with their keys where they are known.
    pub fn retired(&self) -> impl Iterator<Item = (u32, Option<&RuleKey>)> {
        self.retired.iter().map(|(&id, key)| (id, key.as_deref()))
    }

    /// A numbering as it was left by an earlier process: numbers in use, and numbers that rest.
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

    /// The same with these numbers retired where they are neither in use nor known to rest.
    #[must_use]
    pub fn with_retired(mut self, ids: &[u32]) -> Self {
        for &id in ids {
            if !self.keys.contains_key(&id) {
                self.retired.entry(id).or_default();
            }
        }
        self
    }

    /// The same without numbers from `end` on.
    #[must_use]
    pub fn without_ids_from(mut self, end: u32) -> Self {
        self.retired.retain(|&id, _| id < end);
        self.ids.retain(|_, id| *id < end);
        self.keys.retain(|&id, _| id < end);
        self
    }

    /// Frees the retired numbers that nothing carries any more.
    pub fn release_retired(&mut self, is_in_use: impl Fn(u32) -> bool) {
        self.retired.retain(|&id, _| is_in_use(id));
    }

    /// One more than the highest number ever handed out and not released.
    pub fn end(&self) -> u32 {
        let highest = self.keys.keys().chain(self.retired.keys()).max();
        highest.map_or(abi::RULE_FIRST, |&id| id + 1)
    }

    /// What a rule id in a cell or a flow means, the fixed ones included.
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
    fn a_number_stays_with_its_key_and_rests_after_it() {
        let first = RuleIds::default().for_next_generation(&[key("a"), key("b"), key("c")].into());
        let b = first.id(&key("b")).unwrap();
        let second = first.for_next_generation(&[key("a"), key("c"), key("d")].into());
        assert_eq!(second.id(&key("a")), first.id(&key("a")));
        assert_eq!(second.id(&key("c")), first.id(&key("c")));
        assert_ne!(second.id(&key("d")), Some(b), "the number of b rests");
        let mut third = second.for_next_generation(&[key("a"), key("c"), key("d")].into());
        assert_eq!(third.retired().map(|(id, _)| id).collect::<Vec<_>>(), [b]);
        let back = third.for_next_generation(&[key("a"), key("b"), key("c"), key("d")].into());
        assert_eq!(back.id(&key("b")), Some(b), "the key is back");
        assert_eq!(back.retired().count(), 0);
        third.release_retired(|_| true);
        assert_eq!(third.retired().count(), 1, "a flow still carries it");
        third.release_retired(|_| false);
        let fourth = third.for_next_generation(&[key("a"), key("c"), key("d"), key("e")].into());
        assert_eq!(fourth.id(&key("e")), Some(b));
    }
}
