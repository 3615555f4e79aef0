//! Reports of the collector: turns field paths into positions and adds diagnostics.

use std::path::Path;

use crate::diagnostic::{Diagnostic, Severity};
use crate::kinds::validate::FieldErrors;
use crate::parse::decode::Decoded;
use crate::parse::node::{FieldPath, Node, Pos};
use crate::snapshot::collector::Collector;

impl Collector {
    /// Reports validation errors, except those that follow from a wrong type already reported.
    /// Returns whether there are no validation errors.
    pub(super) fn report_independent_errors<T>(
        &mut self,
        file: &Path,
        node: &Node,
        title: &str,
        decoded: &Decoded<T>,
        errors: &FieldErrors,
    ) -> bool {
        for (path, message) in &errors.0 {
            let follows = decoded.wrong.iter().any(|(wrong, _)| path.contains(wrong));
            if !follows {
                self.report_field(Severity::Error, file, node, title, path, message);
            }
        }
        errors.0.is_empty()
    }

    pub(super) fn report_field_errors(
        &mut self,
        file: &Path,
        node: &Node,
        title: &str,
        errors: &FieldErrors,
    ) {
        for (path, message) in &errors.0 {
            self.report_field(Severity::Error, file, node, title, path, message);
        }
    }

    pub(super) fn report_field(
        &mut self,
        severity: Severity,
        file: &Path,
        node: &Node,
        title: &str,
        path: &FieldPath,
        message: &str,
    ) {
        let pos = node.locate(path, false);
        let message = format!("{path}: {message}");
        self.report(severity, file, pos, Some(title.to_owned()), message);
    }

    pub(super) fn report(
        &mut self,
        severity: Severity,
        file: &Path,
        pos: Pos,
        object: Option<String>,
        message: String,
    ) {
        self.diagnostics.push(Diagnostic {
            severity,
            file: Some(file.to_owned()),
            pos: Some(pos),
            object,
            message,
        });
    }
}
