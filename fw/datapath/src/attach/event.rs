//! Events that the datapath reports about interfaces.

use crate::error::DatapathError;

/// Kind of a change of an interface.
#[derive(Debug)]
pub enum InterfaceChange {
    /// Programs were attached.
    Attached,
    /// Programs that an earlier process attached were adopted unchanged.
    Adopted,
    /// This build's programs replaced those of another build, between two packets.
    Replaced,
    /// The configuration no longer names the interface; its programs were detached.
    Unconfigured,
    /// The interface was deleted.
    Removed,
    /// The interface was renamed to this name and stays protected.
    Renamed(String),
    /// A condition that was reported before ended.
    Recovered,
    /// The interface or its carrier went down.
    Down,
    /// The interface is up and has a carrier.
    Up,
    /// Frames lost after a redirect cannot be counted.
    LossUncounted(DatapathError),
    /// Another process detached the program of this hook.
    Detached(&'static str),
    /// Another process attached these programs before Bailey's; Bailey's is first again.
    Displaced(String),
    /// Another process removed this number of pins; they are pinned again.
    PinsRestored(usize),
    /// Attaching failed.
    AttachFailed(DatapathError),
}

/// A change and the interface that it concerns.
#[derive(Debug)]
pub struct InterfaceEvent {
    /// Name in the configuration.
    pub interface: String,
    /// The change.
    pub change: InterfaceChange,
}

impl InterfaceEvent {
    pub(crate) fn new(interface: impl Into<String>, change: InterfaceChange) -> Self {
        Self {
            interface: interface.into(),
            change,
        }
    }
}
