//! Limits on the size and shape of one input file.

/// What one input file may contain. A file beyond a limit is an error; nothing is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Deepest nesting of lists and mappings.
    pub depth: usize,
    /// Most values that all aliases of one file may expand to, in total.
    pub alias_nodes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            file_bytes: 1 << 30,
            depth: 100,
            alias_nodes: 1_000_000,
        }
    }
}
