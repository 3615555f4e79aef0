//! Typed access to the programs of a loaded object.

use std::os::fd::{AsFd, OwnedFd};

use aya::Ebpf;
use aya::programs::{Program, ProgramError, ProgramFd, SchedClassifier, Xdp};

use crate::error::{DatapathError, missing};

/// The XDP program with this name, for loading.
pub(crate) fn xdp<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut Xdp, DatapathError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

/// The tc program with this name, for loading.
pub(crate) fn classifier<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, DatapathError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

/// A descriptor of a loaded XDP program, for a program array.
pub(crate) fn xdp_fd(ebpf: &mut Ebpf, name: &'static str) -> Result<ProgramFd, DatapathError> {
    let fd = xdp(ebpf, name)?
        .fd()
        .map_err(DatapathError::program(name))?;
    clone_fd(fd)
}

/// A descriptor of a loaded tc program, for a program array.
pub(crate) fn classifier_fd(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<ProgramFd, DatapathError> {
    let program = classifier(ebpf, name)?;
    clone_fd(program.fd().map_err(DatapathError::program(name))?)
}

fn clone_fd(fd: &ProgramFd) -> Result<ProgramFd, DatapathError> {
    fd.try_clone().map_err(|source| DatapathError::System {
        operation: "dup",
        source,
    })
}

/// A duplicate of a loaded program's descriptor.
pub(crate) fn program_fd(ebpf: &Ebpf, name: &'static str) -> Result<OwnedFd, DatapathError> {
    let program = ebpf.program(name).ok_or_else(|| missing(name))?;
    let fd = program.fd().map_err(DatapathError::program(name))?;
    let owned = fd.as_fd().try_clone_to_owned();
    owned.map_err(|source| DatapathError::System {
        operation: "dup",
        source,
    })
}

/// The program with this name, for reading or running.
pub(crate) fn program<'a, T>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a T, DatapathError>
where
    &'a T: TryFrom<&'a Program, Error = ProgramError>,
{
    let program = ebpf.program(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}
