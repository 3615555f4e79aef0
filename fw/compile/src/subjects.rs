//! Subjects: endpoints that the same policies isolate in one direction, with the same resolution of
//! port names, share one subject.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailey_policy::{Direction, Endpoint, NamedPort, NetworkPolicy, PortMatch, PortSpec, Protocol};

use crate::intern::Interner;
use crate::memo::all_equal_by;
use crate::terms::Groups;

/// All properties by which rules distinguish isolated endpoints in one direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject {
    pub(crate) direction: Direction,
    /// The isolating policies, by index in the snapshot, ascending.
    pub(crate) policies: Vec<u32>,
    /// For ingress, the ports to which the port names of those policies resolve at the endpoint.
    pub(crate) named: NamedPorts,
}

/// The named ports of one endpoint that rules use, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NamedPorts(pub(crate) Vec<NamedPort>);

/// The port names that rules use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PortNames(BTreeSet<(Protocol, String)>);

impl PortNames {
    pub(crate) fn collect<'a>(ports: impl Iterator<Item = &'a PortMatch>) -> Self {
        let named = ports.filter_map(|port| match &port.port {
            PortSpec::Named(name) => Some((port.protocol, name.clone())),
            PortSpec::Any | PortSpec::Range(_) => None,
        });
        Self(named.collect())
    }

    pub(crate) fn resolve_at(&self, endpoint: &Endpoint) -> NamedPorts {
        if self.0.is_empty() {
            return NamedPorts::default();
        }
        let wanted = |port: &&NamedPort| self.0.contains(&(port.protocol, port.name.clone()));
        let mut ports: Vec<NamedPort> = endpoint.ports.iter().filter(wanted).cloned().collect();
        ports.sort_unstable();
        ports.dedup();
        NamedPorts(ports)
    }
}

pub(crate) fn ports_of(
    policy: &NetworkPolicy,
    direction: Direction,
) -> impl Iterator<Item = &PortMatch> {
    policy
        .rules(direction)
        .unwrap_or_default()
        .iter()
        .flat_map(|rule| &rule.ports)
}

/// All subjects, and the subjects of every endpoint.
#[derive(Debug)]
pub(crate) struct Subjects {
    /// Subject `n` has id `n + 1`; id 0 means "not isolated".
    pub(crate) subjects: Interner<Subject>,
    /// By endpoint index, the subject ids for egress and ingress.
    pub(crate) of_endpoint: Vec<[u32; 2]>,
}

/// Memo key of the subjects: equal if policies isolate the same endpoints in the same order, and
/// their ingress rules use the same port names.
#[derive(Debug)]
pub(crate) struct IsolationInputs(pub(crate) Vec<Arc<NetworkPolicy>>);

impl PartialEq for IsolationInputs {
    fn eq(&self, other: &Self) -> bool {
        all_equal_by(&self.0, &other.0, isolate_equally)
    }
}

fn isolate_equally(a: &NetworkPolicy, b: &NetworkPolicy) -> bool {
    a.id.namespace == b.id.namespace
        && a.pod_selector == b.pod_selector
        && Direction::BOTH
            .into_iter()
            .all(|direction| a.rules(direction).is_some() == b.rules(direction).is_some())
        && ingress_names(a) == ingress_names(b)
}

fn ingress_names(policy: &NetworkPolicy) -> PortNames {
    PortNames::collect(ports_of(policy, Direction::Ingress))
}

impl Subjects {
    pub(crate) fn new(
        endpoints: &[Arc<Endpoint>],
        groups: &Groups,
        inputs: &IsolationInputs,
    ) -> Self {
        // By direction and group, the policies that isolate the group.
        let mut isolating: [Vec<Vec<u32>>; 2] = [
            vec![Vec::new(); groups.len()],
            vec![Vec::new(); groups.len()],
        ];
        let policies = &inputs.0;
        for (index, policy) in policies.iter().enumerate() {
            for group in groups.matching_groups(&policy.id.namespace, &policy.pod_selector) {
                for (side, direction) in Direction::BOTH.into_iter().enumerate() {
                    if policy.rules(direction).is_some() {
                        isolating[side][group as usize].push(index as u32);
                    }
                }
            }
        }

        // By endpoint, the subject of each direction.
        let names: Vec<PortNames> = policies
            .iter()
            .map(|policy| ingress_names(policy))
            .collect();
        let mut subjects = Interner::new();
        let mut of_endpoint = Vec::with_capacity(endpoints.len());
        for (index, endpoint) in endpoints.iter().enumerate() {
            let mut ids = [0; 2];
            if let Some(group) = groups.group_of(index) {
                for (side, direction) in Direction::BOTH.into_iter().enumerate() {
                    let policies = &isolating[side][group as usize];
                    if !policies.is_empty() {
                        let named = match direction {
                            Direction::Egress => NamedPorts::default(),
                            Direction::Ingress => resolve_port_names(policies, &names, endpoint),
                        };
                        let policies = policies.clone();
                        ids[side] = subjects.intern(Subject {
                            direction,
                            policies,
                            named,
                        }) + 1;
                    }
                }
            }
            of_endpoint.push(ids);
        }
        Self {
            subjects,
            of_endpoint,
        }
    }
}

fn resolve_port_names(policies: &[u32], names: &[PortNames], endpoint: &Endpoint) -> NamedPorts {
    let mut all: Vec<NamedPort> = policies
        .iter()
        .flat_map(|&policy| names[policy as usize].resolve_at(endpoint).0)
        .collect();
    all.sort_unstable();
    all.dedup();
    NamedPorts(all)
}
