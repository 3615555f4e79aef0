//! Creating, checking and pinning of links.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use aya::programs::loaded_programs;

use crate::attach::preflight::Candidate;
use crate::attach::refusal::{self, AttachStep};
use crate::error::DatapathError;
use crate::kernel::egress::EgressKind;
use crate::kernel::link::Link;

/// Whether a link holds a program on this interface.
pub(crate) fn is_attached(link: Option<&Link>, index: u32) -> bool {
    link.is_some_and(|link| link.info().is_ok_and(|info| info.ifindex == index))
}

/// Pins a link, replacing a former pin. A link that cannot be pinned is detached.
pub(crate) fn replace_pin(link: &Link, path: PathBuf) -> Result<(), DatapathError> {
    let _ = std::fs::remove_file(&path);
    link.pin(&path).map_err(|source| {
        // Dropping the link would not detach a clsact filter.
        let _ = link.detach();
        DatapathError::Map {
            name: path.display().to_string(),
            operation: "pin the link",
            source,
        }
    })
}

/// Attaches the egress program.
///
/// # Errors
/// If the interface refuses it.
pub(crate) fn attach_egress(
    kind: EgressKind,
    program: BorrowedFd<'_>,
    candidate: &Candidate<'_>,
) -> Result<Link, DatapathError> {
    let index = candidate.state.index;
    let created = match kind {
        EgressKind::Tcx => Link::tcx_egress(program, index),
        EgressKind::Clsact => Link::clsact_egress(program, index),
    };
    created.map_err(|error| {
        let step = AttachStep::Egress(kind);
        refusal::explain(candidate.interface, &candidate.capabilities, step, &error)
    })
}

/// Opens a loaded program by its id.
pub(crate) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let found = loaded_programs()
        .flatten()
        .find(|info| info.id() == id)
        .ok_or(io::ErrorKind::NotFound)?;
    let fd = found.fd().map_err(io::Error::other)?;
    fd.as_fd().try_clone_to_owned()
}
