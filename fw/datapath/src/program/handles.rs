use std::os::fd::{AsFd, OwnedFd};

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya::programs::{Program, ProgramError, SchedClassifier, Xdp};

use crate::error::{DatapathError, missing};

/// The XDP program of this name, to be loaded.
pub(crate) fn xdp<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut Xdp, DatapathError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

/// The program of this name for tcx or clsact, to be loaded.
pub(crate) fn classifier<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, DatapathError> {
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

/// The descriptor of a loaded program, to be kept.
pub(crate) fn program_fd(ebpf: &Ebpf, name: &'static str) -> Result<OwnedFd, DatapathError> {
    let program = ebpf.program(name).ok_or_else(|| missing(name))?;
    let fd = program.fd().map_err(DatapathError::program(name))?;
    let owned = fd.as_fd().try_clone_to_owned();
    owned.map_err(|source| DatapathError::System {
        operation: "dup",
        source,
    })
}

/// A program of an object, to be looked at or run.
pub(crate) fn program<'a, T>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a T, DatapathError>
where
    &'a T: TryFrom<&'a Program, Error = ProgramError>,
{
    let program = ebpf.program(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(DatapathError::program(name))
}

/// The raw map of an array; aya has typed views only of maps that it reads by system call.
pub(crate) fn map_data<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData, DatapathError> {
    match ebpf.map(name) {
        Some(Map::Array(data)) => Ok(data),
        _ => Err(missing(name)),
    }
}
