use std::sync::Arc;

use bailey_policy::Snapshot;

/// How many endpoints every policy selects, by the policy's name and in the order of the policies.
/// A pod that is not started has no address and does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<(String, usize)>);

impl Selection {
    /// Counts.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self::after(snapshot, &Snapshot::default(), &Self::default())
    }

    /// The same, where that of another snapshot is known: a policy that selects the same of the same
    /// endpoints is not counted again.
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

    /// Does any policy select anybody?
    pub fn enforces(&self) -> bool {
        self.0.iter().any(|(_, count)| *count > 0)
    }

    /// What there is to say of policies that select nobody.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let none = self.0.iter().filter(|(_, count)| *count == 0);
        none.map(|(policy, _)| format!("NetworkPolicy {policy} selects no endpoint"))
            .chain((!self.enforces()).then(|| NOTHING_ENFORCED.to_owned()))
    }
}

/// What to say where no policy selects anybody.
const NOTHING_ENFORCED: &str = "NOTHING IS ENFORCED: no policy selects any endpoint";
