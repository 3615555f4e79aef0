use bailey_source::Diagnostics;

/// How one run of the daemon differs from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// Replace another project's XDP program instead of refusing its interface?
    pub replace: bool,
    /// Seconds to wait for interfaces that do not exist yet.
    pub wait_for_interfaces_seconds: u64,
    /// Shows findings in policy files to the operator; the log has one line of each.
    pub show_diagnostics: fn(&Diagnostics),
}
