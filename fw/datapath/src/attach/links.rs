use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use aya::programs::loaded_programs;

use crate::attach::preflight::Candidate;
use crate::attach::refusal;
use crate::error::DatapathError;
use crate::kernel::egress::EgressKind;
use crate::kernel::link::Link;

/// Does a link hold a program on this interface?
pub(crate) fn alive(link: Option<&Link>, index: u32) -> bool {
    link.is_some_and(|link| link.info().is_ok_and(|info| info.ifindex == index))
}

/// A link that cannot be pinned is closed, and its program comes off again.
pub(crate) fn replace_pin(link: &Link, path: PathBuf) -> Result<(), DatapathError> {
    let _ = std::fs::remove_file(&path);
    link.pin(&path).map_err(|source| {
        // A filter would stay.
        let _ = link.detach();
        DatapathError::Map {
            name: path.display().to_string(),
            operation: "pin the link",
            source,
        }
    })
}

/// Attaches the program where what the machine sends is judged.
pub(crate) fn create_tc(
    kind: EgressKind,
    program: BorrowedFd<'_>,
    found: &Candidate<'_>,
) -> Result<Link, DatapathError> {
    let index = found.state.index;
    let (name, created) = match kind {
        EgressKind::Tcx => ("tcx egress", Link::tcx_egress(program, index)),
        EgressKind::Clsact => ("clsact egress", Link::clsact_egress(program, index)),
    };
    created.map_err(|error| refusal::of(found.interface, &found.facts, name, &error))
}

/// A loaded program.
pub(crate) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let found = loaded_programs()
        .flatten()
        .find(|info| info.id() == id)
        .ok_or(io::ErrorKind::NotFound)?;
    let fd = found.fd().map_err(io::Error::other)?;
    fd.as_fd().try_clone_to_owned()
}
