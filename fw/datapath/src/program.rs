//! Objects that are loaded into the kernel: entry programs, policy generations and their constants.
//! Uses `maps`, `kernel` and `settings`.

/// One load-time constant.
pub(crate) mod constant;
/// The load-time constants of each object.
pub(crate) mod constants;
/// Direct addresses of shared values in an object.
pub(crate) mod direct;
/// The entry programs and the arrays of policy programs.
pub(crate) mod entry;
/// The failsafe table in the form that the programs read.
pub(crate) mod failsafe_image;
/// Flood defence as constants.
pub(crate) mod flood_constants;
/// Size and kind of the flow table as constants.
pub(crate) mod flow_table_constants;
/// Frames for probes and tests.
pub mod frame;
/// Policy programs with their frozen tables.
pub(crate) mod generation;
/// Typed access to the programs of an object.
pub(crate) mod handles;
/// Calibration of jiffies against CLOCK_MONOTONIC_COARSE.
pub(crate) mod jiffies;
/// Probes of the programs of a running daemon.
pub mod live_probe;
/// The objects that are loaded.
pub(crate) mod object;
/// Settings of the frame parser as constants.
pub(crate) mod parser_constants;
/// Verdicts on single frames, without side effects.
pub mod probe;
/// Size of the recorder as constants.
pub(crate) mod recorder_constants;
/// Test runs of the attached programs.
pub mod test_run;
/// Flow timeouts as constants.
pub(crate) mod timeout_constants;
