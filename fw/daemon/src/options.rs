//! Options of one run, as opposed to the configuration file.

use bailey_source::Diagnostics;

/// Options of one run of the daemon.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// True to replace another project's XDP program instead of refusing its interface.
    pub replace: bool,
    /// Seconds to wait for interfaces that do not exist yet.
    pub wait_for_interfaces_seconds: u64,
    /// Shows findings in policy files to the operator; the log has one line per finding.
    pub show_diagnostics: fn(&Diagnostics),
}
