use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::connection::Protocol;
use crate::direction::Direction;
use crate::label::Selector;
use crate::rate_limit::RateLimits;
use crate::source_location::SourceLocation;

/// Names a policy; prints as `namespace/name`, and sorts by namespace, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
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
    /// Its name.
    pub id: PolicyRef,
    /// The endpoints of its own namespace that it selects; empty selects all.
    pub pod_selector: Selector,
    /// The ingress rules if it isolates for ingress (`policyTypes` has Ingress). `Some` and
    /// empty allows nothing.
    pub ingress: Option<Vec<Rule>>,
    /// The egress rules if it isolates for egress.
    pub egress: Option<Vec<Rule>>,
    /// Where it was read.
    pub location: SourceLocation,
}

impl NetworkPolicy {
    /// The rules of one direction, `None` if the policy does not isolate in it.
    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Egress => self.egress.as_deref(),
            Direction::Ingress => self.ingress.as_deref(),
        }
    }

    /// The same, to be changed.
    pub fn rules_mut(&mut self, direction: Direction) -> Option<&mut [Rule]> {
        match direction {
            Direction::Egress => self.egress.as_deref_mut(),
            Direction::Ingress => self.ingress.as_deref_mut(),
        }
    }
}

/// One rule: any of the peers AND any of the ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// `from` or `to`; empty means everyone.
    pub peers: Vec<Peer>,
    /// Empty means every port of every protocol.
    pub ports: Vec<PortMatch>,
    /// Bailey's own, from annotations: how many connections it lets open.
    pub limits: RateLimits,
}

/// One element of `from` or `to`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Addresses, whoever has them.
    IpBlock(IpBlock),
    /// Endpoints by label.
    Selected {
        /// Namespaces; `None` is the policy's own.
        namespaces: Option<Selector>,
        /// Endpoints in those namespaces; empty is all of them.
        pods: Selector,
    },
}

impl fmt::Display for Peer {
    /// As `10.0.0.0/8 except 10.1.0.0/16`, or `pods app=web in namespaces team=a`.
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
    /// Is the address in the block? An address of the other family never is.
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
    /// Which ports.
    pub port: PortSpec,
}

impl fmt::Display for PortMatch {
    /// As `8080/TCP`, `http/TCP`, `30000-32767/UDP`, or `SCTP` for all its ports.
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
    /// `port` and, with `endPort`, those up to it.
    Range(PortRange),
    /// A name, resolved at the destination.
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
    /// One port.
    pub fn single(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// Is the port in the range?
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}
