//! Errors of fields, before they have a position in the file.

use bailey_source::parse::node::FieldPath;

/// An error of a field.
#[derive(Debug)]
pub(super) struct FieldError {
    pub(super) path: FieldPath,
    pub(super) message: String,
    /// True if the position is that of the field's name, false if it is that of the value.
    pub(super) at_key: bool,
}

impl FieldError {
    /// An error of the field's value.
    pub(super) fn of_value(path: FieldPath, message: String) -> Self {
        Self {
            path,
            message,
            at_key: false,
        }
    }
}
