//! How objects are named in diagnostics, and the diagnostics about two objects with one name or one
//! address. Knows no files and no object contents.

use std::path::Path;

use bailey_policy::{EndpointKind, EndpointRef, SharedAddress};

use crate::diagnostic::{Diagnostic, Severity};
use crate::parse::node::Pos;
use crate::snapshot::origins::{Origin, Origins};

/// The name of an object without a name, in titles.
pub(super) const UNNAMED: &str = "(unnamed)";

/// The identity of an object.
#[derive(Debug)]
pub(super) struct ObjectIdentity {
    /// Empty for kinds without a namespace.
    pub(super) namespace: String,
    /// Empty if the object has no name.
    pub(super) name: String,
    /// `Kind namespace/name` or `Kind name`; unique among all objects.
    pub(super) title: String,
}

impl ObjectIdentity {
    pub(super) fn endpoint(&self, kind: EndpointKind) -> EndpointRef {
        EndpointRef {
            kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The title of an endpoint's object.
pub(super) fn title_of(id: &EndpointRef) -> String {
    match id.kind {
        EndpointKind::Node => format!("Node {}", id.name),
        EndpointKind::Pod => format!("Pod {}/{}", id.namespace, id.name),
        EndpointKind::Workload => format!("Workload {}/{}", id.namespace, id.name),
    }
}

/// The error for the second of two objects with the same title; `name` is the position of its name.
pub(super) fn duplicate_error(title: &str, first: &Origin, file: &Path, name: Pos) -> Diagnostic {
    let message = format!(
        "metadata.name: Duplicate value: an object of this name is already defined at {}:{}:{}",
        first.file.display(),
        first.pos.line,
        first.pos.column
    );
    Diagnostic {
        severity: Severity::Error,
        file: Some(file.to_owned()),
        pos: Some(name),
        object: Some(title.to_owned()),
        message,
    }
}

/// The warning about an address with two owners.
pub(super) fn shared_address_warning(shared: &SharedAddress, origins: &Origins) -> Diagnostic {
    let SharedAddress { first, second, .. } = shared;
    let at = origins.get(title_of(second).as_str());
    let other = origins
        .get(title_of(first).as_str())
        .map_or_else(String::new, |origin| {
            format!(
                " ({}:{}:{})",
                origin.file.display(),
                origin.pos.line,
                origin.pos.column
            )
        });
    Diagnostic {
        severity: Severity::Warning,
        file: at.map(|origin| origin.file.to_path_buf()),
        pos: at.map(|origin| origin.pos),
        object: Some(title_of(second)),
        message: format!(
            "{shared}{other}: the address is isolated if either endpoint is, and allowed only what \
             both are allowed"
        ),
    }
}
