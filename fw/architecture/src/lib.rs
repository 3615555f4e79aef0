//! Nothing but its test, `tests/imports.rs`.
