use bailey_config::Limits;

/// Why a snapshot cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A configured limit.
    #[error(
        "the policy set needs {needed} {what}, the limit is {limit}; raise {setting} or simplify"
    )]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many are needed, as far as the compiler counted.
        needed: usize,
        /// How many there may be.
        limit: usize,
        /// The configuration key.
        setting: &'static str,
    },
    /// A limit of the table format.
    #[error("the policy set needs {needed} {what}, the table format holds {limit}")]
    Format {
        /// What is counted.
        what: &'static str,
        /// How many are needed.
        needed: usize,
        /// How many there may be.
        limit: usize,
    },
}

pub(crate) fn check_rules(limits: &Limits, needed: usize) -> Result<(), CompileError> {
    check("rule ids", needed, limits.rules, "limits.rules")
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
