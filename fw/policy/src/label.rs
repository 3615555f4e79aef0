//! Labels and label selectors.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

/// The labels of a namespace, pod or workload: keys and values, ascending by key. A slice, because
/// a cluster has many label sets and a tree needs three times the memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Box<[(Arc<str>, Arc<str>)]>);

/// Stores each distinct key and value once, because most objects of a cluster repeat them.
#[derive(Debug, Default)]
pub struct LabelPool(HashSet<Arc<str>>);

impl LabelPool {
    fn intern(&mut self, text: Arc<str>) -> Arc<str> {
        if let Some(known) = self.0.get(&text) {
            return Arc::clone(known);
        }
        self.0.insert(Arc::clone(&text));
        text
    }
}

impl Labels {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(key));
        at.ok().map(|at| &*self.0[at].1)
    }

    /// Keys and values, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// A copy with the label added, or with its value replaced.
    #[must_use]
    pub fn with_label(&self, key: &str, value: &str) -> Self {
        self.iter().chain([(key, value)]).collect()
    }

    /// Equal labels whose keys and values are shared through the pool.
    #[must_use]
    pub fn interned(self, pool: &mut LabelPool) -> Self {
        let pairs = self.0.into_iter();
        let shared = pairs.map(|(key, value)| (pool.intern(key), pool.intern(value)));
        Self(shared.collect())
    }
}

/// If a key occurs more than once, the last value wins.
impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let sorted: BTreeMap<Arc<str>, Arc<str>> = pairs
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        Self(sorted.into_iter().collect())
    }
}

/// One requirement of a selector.
///
/// `NotIn` and `DoesNotExist` match objects without the key (apimachinery `labels.Requirement`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// The key is present with one of the values.
    In(String, BTreeSet<String>),
    /// The key is absent, or has none of the values.
    NotIn(String, BTreeSet<String>),
    /// The key is present, with any value.
    Exists(String),
    /// The key is absent.
    DoesNotExist(String),
}

impl Requirement {
    /// Whether the labels meet this requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Self::NotIn(key, values) => labels.get(key).is_none_or(|v| !values.contains(v)),
            Self::Exists(key) => labels.get(key).is_some(),
            Self::DoesNotExist(key) => labels.get(key).is_none(),
        }
    }
}

impl fmt::Display for Requirement {
    /// In the syntax of kubectl's `--selector`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            values.join(",")
        };
        match self {
            Self::In(key, values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Self::In(key, values) => write!(f, "{key} in ({})", list(values)),
            Self::NotIn(key, values) => write!(f, "{key} notin ({})", list(values)),
            Self::Exists(key) => f.write_str(key),
            Self::DoesNotExist(key) => write!(f, "!{key}"),
        }
    }
}

/// A label selector: all requirements must match. The empty selector matches every object.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(pub BTreeSet<Requirement>);

impl fmt::Display for Selector {
    /// In the syntax of kubectl's `--selector`; the empty selector is `(all)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(all)");
        }
        for (index, requirement) in self.0.iter().enumerate() {
            write!(f, "{}{requirement}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl Selector {
    /// Whether the selector matches an object with these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|&v| v.to_owned()).collect()
    }

    #[test]
    fn operators_match_present_and_absent_keys() {
        let labels = Labels::from_iter([("app", "web"), ("empty", "")]);
        let cases = [
            (Requirement::In("app".into(), set(&["web", "db"])), true),
            (Requirement::In("app".into(), set(&["db"])), false),
            (Requirement::In("tier".into(), set(&["web"])), false),
            (Requirement::NotIn("app".into(), set(&["web"])), false),
            (Requirement::NotIn("app".into(), set(&["db"])), true),
            (Requirement::NotIn("tier".into(), set(&["web"])), true),
            (Requirement::Exists("empty".into()), true),
            (Requirement::Exists("tier".into()), false),
            (Requirement::DoesNotExist("tier".into()), true),
            (Requirement::DoesNotExist("empty".into()), false),
        ];
        for (requirement, expected) in cases {
            assert_eq!(requirement.matches(&labels), expected, "{requirement:?}");
        }
    }

    #[test]
    fn repeated_label_keeps_its_last_value() {
        let labels = Labels::from_iter([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
        let more = labels.with_label("a", "4").with_label("c", "5");
        let all: Vec<_> = more.iter().collect();
        assert_eq!(all, [("a", "4"), ("b", "3"), ("c", "5")]);
        assert_eq!(more.get("c"), Some("5"));
        assert_eq!(more.get(""), None);
    }

    #[test]
    fn interned_labels_share_their_texts() {
        let mut pool = LabelPool::default();
        let [a, b] = ["1", "2"]
            .map(|n| Labels::from_iter([("app", "web"), ("n", n)]))
            .map(|labels| (labels.clone(), labels.interned(&mut pool)));
        assert_eq!((&a.0, &b.0), (&a.1, &b.1));
        assert!(Arc::ptr_eq(&a.1.0[0].1, &b.1.0[0].1));
        assert!(Arc::ptr_eq(&a.1.0[1].0, &b.1.0[1].0));
    }

    #[test]
    fn selector_matches_only_if_all_requirements_match() {
        let labels = Labels::from_iter([("app", "web")]);
        assert!(Selector::default().matches(&labels));
        assert!(Selector::default().matches(&Labels::default()));
        let both = Selector(
            [
                Requirement::Exists("app".into()),
                Requirement::Exists("tier".into()),
            ]
            .into(),
        );
        assert!(!both.matches(&labels));
    }
}
