/// What one generation may need at most. Exceeding a limit refuses the snapshot; nothing is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Rule ids, the implicit default-deny rules among them; the counters are sized by it.
    pub rules: usize,
    /// Distinct address classes: about one per endpoint address and per prefix.
    pub classes: usize,
    /// Bytes of all tables of one generation.
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
