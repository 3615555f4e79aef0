//! The PolicyTest format: objects, cases and their expected verdicts. Reads and validates; does not
//! evaluate.

use std::net::IpAddr;
use std::path::PathBuf;

use bailey_policy::Protocol;
use bailey_source::parse::node::Node;

use crate::endpoint::NamedEndpoint;

/// Validation of one case.
mod case;
/// Errors of fields.
mod field_error;
/// The fields as serde reads them.
mod raw;
/// From a file to its tests.
mod read;

pub use read::read_tests;

/// A valid PolicyTest.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// The file that contains the test.
    pub file: PathBuf,
    /// `metadata.name`, or the path of the file.
    pub name: String,
    /// Files and directories of objects; relative paths start at the directory of `file`.
    pub objects: Vec<PathBuf>,
    /// Objects inside the test.
    pub inline: Vec<Node>,
    /// The cases; at least one.
    pub cases: Vec<Case>,
}

/// A connection and its expected verdict.
#[derive(Debug, Clone)]
pub struct Case {
    /// `name`, or a name made of endpoints, protocol and port.
    pub name: String,
    /// The source.
    pub from: NamedEndpoint,
    /// The destination.
    pub to: NamedEndpoint,
    /// The protocol; TCP if the case names none.
    pub protocol: Protocol,
    /// The destination port.
    pub port: Port,
    /// Restricts the case to one address family.
    pub family: Option<Family>,
    /// The expected verdict.
    pub expect: Expectation,
    /// The rule that must be among the deciders.
    pub rule: Option<ExpectedRule>,
}

/// A destination port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// The protocol has no ports.
    None,
    /// A number, never 0.
    Number(u16),
    /// A name, resolved at the destination.
    Named(String),
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Is the address of this family?
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// An expected verdict; `true` is allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// The verdict on the connection.
    Connection(bool),
    /// The verdict of one side or of both sides; at least one is given.
    Sides {
        /// At the source.
        egress: Option<bool>,
        /// At the destination.
        ingress: Option<bool>,
    },
}

/// The decider that a case expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedRule {
    /// Any rule of the policy `namespace/name`.
    Policy(String),
    /// A decider that is not a rule, such as `default-deny`.
    Fixed(&'static str),
}
