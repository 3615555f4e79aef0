//! The kernel side of Bailey: [`Datapath`] loads the programs, installs generations of
//! [`Tables`](bailey_compile::Tables), attaches to interfaces, and reads counters and flows.
//! The only crate with unsafe code; each site says why it is sound.

/// Programs on interfaces.
pub mod attach;
/// The coarse monotonic clock in ticks, as the programs read it.
pub mod clock;
/// The control word.
pub mod control;
/// Counters by reason and by rule.
pub mod counters;
/// Generations installed one after the other.
pub mod datapath;
/// What can go wrong, by operation.
pub mod error;
/// The flow table, read from outside.
pub mod flows;
/// Frames for the probe.
pub mod frame;
/// One policy program with its frozen tables.
mod generation;
/// A BPF map as memory.
mod mapping;
/// Where maps are pinned.
pub mod pins;
/// Verdicts from the loaded program, without side effects.
pub mod probe;
/// Sizes, timeouts and modes: what is fixed when the maps are created.
pub mod settings;
/// The maps that all generations share, and the attached programs.
mod shared;
/// System calls that no library wraps safely.
mod sys;

pub use control::{Committed, ControlWord};
pub use datapath::{Datapath, Enforcer};
pub use error::DatapathError;
pub use pins::PinDir;
pub use settings::{OnPolicyChange, Settings, Timeouts};
