//! Endpoints that each policy selects; a policy that selects none protects none.

use std::sync::Arc;

use bailey_policy::Snapshot;

/// Number of selected endpoints per policy name, in the order of the policies. A pod without an address
/// does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<(String, usize)>);

impl Selection {
    /// Counts the endpoints of every policy.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self::after(snapshot, &Snapshot::default(), &Self::default())
    }

    /// Counts with the help of an earlier snapshot: a policy with an unchanged selector over unchanged
    /// endpoints keeps its count.
    pub fn after(snapshot: &Snapshot, known: &Snapshot, counts: &Self) -> Self {
        let (now, before) = (snapshot.endpoints(), known.endpoints());
        let mut pairs = now.iter().zip(before);
        let same = now.len() == before.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b));
        let known = if same { known.policies() } else { &[] };
        let mut known = known.iter().zip(&counts.0).peekable();
        let counted = snapshot.policies().iter().map(|policy| {
            while known.next_if(|(other, _)| other.id < policy.id).is_some() {}
            let found = known.next_if(|(other, _)| other.id == policy.id);
            if let Some((other, (name, count))) = found
                && other.pod_selector == policy.pod_selector
            {
                return (name.clone(), *count);
            }
            let selected = snapshot.selected_by(policy);
            let addressed = selected.filter(|endpoint| !endpoint.addresses.is_empty());
            (policy.id.to_string(), addressed.count())
        });
        Self(counted.collect())
    }

    /// True if any policy selects an endpoint.
    pub fn enforces(&self) -> bool {
        self.0.iter().any(|(_, count)| *count > 0)
    }

    /// Warnings about policies that select no endpoint.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let none = self.0.iter().filter(|(_, count)| *count == 0);
        none.map(|(policy, _)| format!("NetworkPolicy {policy} selects no endpoint"))
            .chain((!self.enforces()).then(|| NOTHING_ENFORCED.to_owned()))
    }
}

/// Warning while no policy selects any endpoint.
const NOTHING_ENFORCED: &str = "NOTHING IS ENFORCED: no policy selects any endpoint";
