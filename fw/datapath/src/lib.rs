//! The kernel side of Bailey: [`Datapath`] loads the programs, installs generations of
//! [`Tables`](bailey_compile::Tables), attaches to interfaces, and reads counters and flows.
//! The only crate with unsafe code; each site says why it is sound.

/// Programs on interfaces.
pub mod attach;
/// Emergency blocks.
pub mod blocks;
/// Generations installed one after the other: the facade of all that is above.
pub mod datapath;
/// What can go wrong, by operation.
pub mod error;
/// The flow table, from outside.
pub mod flows;
/// System calls and kernel objects.
pub mod kernel;
/// Where maps are, what shape they have, and typed views of them.
pub mod maps;
/// What is loaded, attached and counted.
pub mod observe;
/// Verdicts from the loaded program, without side effects.
pub mod probe;
/// Objects that are loaded: entry programs, generations, constants.
pub mod program;

pub use attach::detach::{Detached, detach};
pub use attach::hotplug::HotplugAttacher;
pub use attach::stacked::with_stacked;
pub use datapath::{Committed, Datapath, Enforcer};
pub use error::DatapathError;
pub use kernel::bpf::{Queues, link_speed, queues, set_realtime_priority};
pub use maps::control_word::ControlWord;
pub use maps::pins::PinDir;
pub use observe::protected::{Process, ProtectedInterface, protected_interfaces};
pub use settings::{
    EgressHook, Failsafe, Flood, Frames, OnPolicyChange, Settings, Timeouts, Topology, Tunnel,
    TunnelKind,
};
