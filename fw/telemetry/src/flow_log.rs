//! The flow log: records as lines in Hubble's exported shape, in a file that rotates.

/// Reasons in flow.proto.
mod drop_reasons;
/// The file.
mod file;
/// The lines.
mod flow;

pub use drop_reasons::drop_reason;
pub use file::RotatingFile;
pub use flow::flow_line;
