//! Objects that are loaded into the kernel: the entry programs, generations of policy programs, and the
//! constants that both are given. Uses `maps`, `kernel`, `settings`.

/// The constants of the programs.
pub(crate) mod constants;
/// The maps that all generations share, and the attached programs.
pub(crate) mod entry;
/// Failsafe entries as the programs read them.
pub(crate) mod failsafe_image;
/// Flood defence as constants.
pub(crate) mod flood_constants;
/// Frames for the probe.
pub mod frame;
/// How frames are read, as constants.
pub(crate) mod frame_constants;
/// One policy program with its frozen tables.
pub(crate) mod generation;
/// Programs and maps of a loaded object.
pub(crate) mod handles;
/// What the programs make of jiffies.
pub(crate) mod jiffies;
/// The attached programs, run on frames of one's own.
pub mod test_run;
/// Timeouts as constants.
pub(crate) mod timeout_constants;
