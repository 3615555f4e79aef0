//! NetworkPolicy after defaulting and validation, as types that cannot hold an invalid policy.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::connection::Protocol;
use crate::direction::Direction;
use crate::label::Selector;
use crate::rate_limit::RateLimits;
use crate::source_location::SourceLocation;

/// Identifies a policy. Displayed as `namespace/name`; sorted by namespace, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Namespace of the policy.
    pub namespace: String,
    /// Object name.
    pub name: String,
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A `networking.k8s.io/v1` NetworkPolicy after defaulting and validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Namespace and name.
    pub id: PolicyRef,
    /// Selects endpoints of the policy's own namespace; empty selects all of them.
    pub pod_selector: Selector,
    /// The ingress rules, if the policy isolates for ingress (`policyTypes` has Ingress). An empty
    /// list allows nothing.
    pub ingress: Option<Vec<Rule>>,
    /// The egress rules, if the policy isolates for egress.
    pub egress: Option<Vec<Rule>>,
    /// The lines from which the policy was read; ignored by `==`.
    pub location: SourceLocation,
}

impl NetworkPolicy {
    /// The rules of one direction; `None` if the policy does not isolate in that direction.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Egress => self.egress.as_deref(),
            Direction::Ingress => self.ingress.as_deref(),
        }
    }

    /// Mutable access to [`Self::rules`].
    pub fn rules_mut(&mut self, direction: Direction) -> Option<&mut [Rule]> {
        match direction {
            Direction::Egress => self.egress.as_deref_mut(),
            Direction::Ingress => self.ingress.as_deref_mut(),
        }
    }
}

/// One rule: matches if any of its peers AND any of its ports match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// `from` or `to`; empty matches every peer.
    pub peers: Vec<Peer>,
    /// Empty matches every port of every protocol.
    pub ports: Vec<PortMatch>,
    /// Rate limits from Bailey's annotations; not part of Kubernetes' semantics.
    pub limits: RateLimits,
}

/// One element of `from` or `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Peers by address, whether or not an endpoint owns the address.
    IpBlock(IpBlock),
    /// Peers by label.
    Selected {
        /// Selects namespaces; `None` means the policy's own namespace.
        namespaces: Option<Selector>,
        /// Selects endpoints in those namespaces; empty selects all of them.
        pods: Selector,
    },
}

impl fmt::Display for Peer {
    /// For example `10.0.0.0/8 except 10.1.0.0/16`, or `pods app=web in namespaces team=a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IpBlock(block) => block.fmt(f),
            Self::Selected { namespaces, pods } => {
                write!(f, "pods {pods}")?;
                match namespaces {
                    None => Ok(()),
                    Some(namespaces) => write!(f, " in namespaces {namespaces}"),
                }
            }
        }
    }
}

/// A prefix without some of its sub-prefixes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpBlock {
    /// Without host bits.
    pub cidr: IpNet,
    /// Strict subsets of `cidr`, without host bits.
    pub except: Vec<IpNet>,
}

impl IpBlock {
    /// Whether the block contains the address. A block never contains an address of the other
    /// family.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.cidr.contains(&address) && !self.except.iter().any(|net| net.contains(&address))
    }
}

impl fmt::Display for IpBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cidr.fmt(f)?;
        for (index, net) in self.except.iter().enumerate() {
            write!(f, "{}{net}", if index == 0 { " except " } else { ", " })?;
        }
        Ok(())
    }
}

/// One element of `ports`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortMatch {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The ports of that protocol.
    pub port: PortSpec,
}

impl fmt::Display for PortMatch {
    /// For example `8080/TCP`, `http/TCP`, `30000-32767/UDP`, or `SCTP` for all ports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.port {
            PortSpec::Any => {}
            PortSpec::Range(range) if range.first == range.last => write!(f, "{}/", range.first)?,
            PortSpec::Range(range) => write!(f, "{}-{}/", range.first, range.last)?,
            PortSpec::Named(name) => write!(f, "{name}/")?,
        }
        self.protocol.fmt(f)
    }
}

/// The ports of a [`PortMatch`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortSpec {
    /// Every port of the protocol.
    Any,
    /// `port`, or `port` to `endPort`.
    Range(PortRange),
    /// A port name, resolved at the destination.
    Named(String),
}

/// An inclusive range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// A range of one port.
    pub fn single(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// Whether the range contains the port.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}
