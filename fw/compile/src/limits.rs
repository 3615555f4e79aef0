//! Checks of limits on one generation, and the errors for exceeding them.

use bailey_config::CompileLimits;

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

pub(crate) fn check_rules(limits: &CompileLimits, needed: usize) -> Result<(), CompileError> {
    check("rule ids", needed, limits.rules, "limits.rules")
}

pub(crate) fn check_classes(limits: &CompileLimits, needed: usize) -> Result<(), CompileError> {
    check("address classes", needed, limits.classes, "limits.classes")
}

pub(crate) fn check_table_bytes(limits: &CompileLimits, needed: usize) -> Result<(), CompileError> {
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
