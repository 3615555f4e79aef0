use std::collections::{BTreeMap, BTreeSet};

/// The labels of a namespace, pod or workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(pub BTreeMap<String, String>);

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

/// One condition of a selector.
///
/// `NotIn` and `DoesNotExist` hold for objects that lack the key
/// (apimachinery `labels.Requirement`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Requirement {
    /// The key is present with one of the values.
    In(String, BTreeSet<String>),
    /// The key is absent, or has none of the values.
    NotIn(String, BTreeSet<String>),
    /// The key is present, whatever its value.
    Exists(String),
    /// The key is absent.
    DoesNotExist(String),
}

impl Requirement {
    /// Do the labels meet this condition?
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::In(key, values) => labels.0.get(key).is_some_and(|v| values.contains(v)),
            Self::NotIn(key, values) => labels.0.get(key).is_none_or(|v| !values.contains(v)),
            Self::Exists(key) => labels.0.contains_key(key),
            Self::DoesNotExist(key) => !labels.0.contains_key(key),
        }
    }
}

/// A label selector: all requirements must hold. The empty selector matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(pub BTreeSet<Requirement>);

impl Selector {
    /// Does the selector match an object with these labels?
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
    fn operators_on_present_and_absent_keys() {
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
    fn all_requirements_must_hold_and_none_match_everything() {
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
