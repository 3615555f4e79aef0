use crate::error::DatapathError;

/// What happened to an interface.
#[derive(Debug)]
pub enum Change {
    /// Programs were attached.
    Attached,
    /// They were attached already, by an earlier start, and stay.
    Adopted,
    /// Programs of another build were there; these are in their place, between two packets.
    Replaced,
    /// It is in no configuration any more: taken off.
    Unconfigured,
    /// There is no such interface any more.
    Gone,
    /// It has another name now, and stays protected.
    Renamed(String),
    /// What was wrong with it is over.
    Restored,
    /// It went down, or its carrier did.
    Down,
    /// It is up, with a carrier.
    Up,
    /// What is lost behind it cannot be counted.
    Uncounted(DatapathError),
    /// Somebody took a program off; which hook it was on.
    Detached(&'static str),
    /// Somebody put programs before Bailey's, named here; it is in front again.
    Overtaken(String),
    /// Somebody removed so many pins; they are made again.
    PinnedAgain(usize),
    /// It cannot be attached to.
    Refused(DatapathError),
}

/// A change and the interface that it is about.
#[derive(Debug)]
pub struct Event {
    /// The name of the interface in the configuration.
    pub interface: String,
    /// What happened.
    pub change: Change,
}

impl Event {
    pub(crate) fn of(interface: impl Into<String>, change: Change) -> Self {
        Self {
            interface: interface.into(),
            change,
        }
    }
}
