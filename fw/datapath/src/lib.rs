//! The kernel side of Bailey. [`Datapath`] loads the programs, installs generations of
//! [`Tables`](bailey_compile::Tables), attaches to interfaces, and reads counters and flows. Knows
//! no YAML and no TOML. The only crate with unsafe code; each unsafe block states why it is sound.
//!
//! Modules, in the order of their dependencies:

/// Errors, one variant per failed operation.
pub mod error;
/// System calls and kernel objects.
pub mod kernel;

/// Maps: names, shapes, pins, and typed views.
pub mod maps;
/// Objects that are loaded: entry programs, policy generations, constants.
pub mod program;

/// The flow table, read and swept by user space.
pub mod flows;

/// Emergency blocks.
pub mod blocks;

/// Attached programs.
pub mod attach;

/// Counters, status, checks.
pub mod observe;

/// Flows and counters of an earlier layout, taken over.
pub mod upgrade;

/// Installation of generations.
pub mod install;

/// The facade.
pub mod datapath;

/// Access for tests and benchmarks.
#[cfg(feature = "testing")]
pub mod testing;

pub use attach::detach::{Detached, detach};
pub use attach::hotplug::HotplugAttacher;
pub use attach::stacked::with_stacked;
pub use datapath::Datapath;
pub use error::DatapathError;
pub use install::{Committed, Enforcer};
pub use kernel::bpf::set_realtime_priority;
pub use kernel::ethtool::{Queues, link_speed, queues};
pub use maps::control_word::ControlWord;
pub use maps::pins::PinDir;
pub use observe::protected::{Process, ProtectedInterface, protected_interfaces};
pub use upgrade::CarriedFlows;
