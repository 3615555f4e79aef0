//! Limits on one generation, and the errors for exceeding them.

/// The most that one generation may need. A snapshot that exceeds a limit is rejected as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Most rule ids, including those of implicit default-deny rules. Sizes the rule counters.
    pub rules: usize,
    /// Most distinct address classes: about one per endpoint address and per prefix.
    pub classes: usize,
    /// Largest total size of all tables of one generation, in bytes.
    pub table_bytes: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            rules: 1 << 16,
            classes: 1 << 20,
            table_bytes: 256 << 20,
        }
    }
}

/// Why a snapshot cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The snapshot exceeds a configured limit.
    #[error(
        "the policy set needs {needed} {what}, the limit is {limit}; raise {setting} or simplify"
    )]
    Limit {
        /// The limited resource.
        what: &'static str,
        /// The number needed; a lower bound if the compiler stopped counting.
        needed: usize,
        /// The configured limit.
        limit: usize,
        /// The configuration key of the limit.
        setting: &'static str,
    },
    /// The snapshot exceeds a limit of the table format.
    #[error("the policy set needs {needed} {what}, the table format holds {limit}")]
    Format {
        /// The limited resource.
        what: &'static str,
        /// The number needed.
        needed: usize,
        /// The most that the format can hold.
        limit: usize,
    },
}

impl CompileLimits {
    pub(crate) fn check_rules(&self, needed: usize) -> Result<(), CompileError> {
        check("rule ids", needed, self.rules, "limits.rules")
    }

pub(crate) fn check_classes(limits: &Limits, needed: usize) -> Result<(), CompileError> {
    check("address classes", needed, limits.classes, "limits.classes")
}

pub(crate) fn check_table_bytes(limits: &Limits, needed: usize) -> Result<(), CompileError> {
    check(
        "bytes of tables",
        needed,
        limits.table_bytes,
        "limits.table_bytes",
    )
}

fn check(
    what: &'static str,
    needed: usize,
    limit: usize,
    setting: &'static str,
) -> Result<(), CompileError> {
    if needed <= limit {
        return Ok(());
    }
    Err(CompileError::Limit {
        what,
        needed,
        limit,
        setting,
    })
}
