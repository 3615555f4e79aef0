//! Probes of the programs that a running daemon has loaded, from another process.

use std::os::fd::{AsFd, OwnedFd};

use aya::maps::MapInfo;
use aya::programs::loaded_programs;
use bailey_bpf::abi;
use bailey_policy::Connection;

use crate::error::{DatapathError, unusable};
use crate::maps::pins::PinDir;
use crate::program::frame;
use crate::program::probe::{ProbeAnswer, answer_in};
use crate::program::test_run::run_once;

/// The probe of a running daemon.
#[derive(Debug)]
pub struct LiveProbe {
    program: OwnedFd,
}

impl LiveProbe {
    /// Finds the probe that uses the pinned maps: no process can pin it, so it ends with its daemon. `None` if
    /// there is none.
    ///
    /// # Errors
    /// If the pinned map or the program cannot be opened.
    pub fn find(pins: &PinDir) -> Result<Option<Self>, DatapathError> {
        const MAP: &str = "probe_control";
        let path = pins.pin(MAP);
        if !path.exists() {
            return Ok(None);
        }
        let map = MapInfo::from_pin(path).map_err(unusable(MAP))?.id();
        // A program may be unloaded between its listing and its opening.
        for program in loaded_programs().flatten() {
            let uses_map = || {
                let used = program.map_ids().ok().flatten();
                used.is_some_and(|used| used.contains(&map))
            };
            if program.name_as_str() == Some("entry_probe") && uses_map() {
                let fd = program
                    .fd()
                    .map_err(DatapathError::program("entry_probe"))?;
                let fd = fd.as_fd().try_clone_to_owned();
                let fd = fd.map_err(|source| DatapathError::System {
                    operation: "dup",
                    source,
                })?;
                return Ok(Some(Self { program: fd }));
            }
        }
        Ok(None)
    }

    /// Evaluates the first packet of a connection under the active generation. Writes and counts nothing.
    ///
    /// # Errors
    /// If the kernel refuses the test run, or the program does not answer.
    pub fn probe(&self, connection: &Connection) -> Result<ProbeAnswer, DatapathError> {
        let frame = frame::opening(connection);
        let mut out = vec![0; frame.len() + size_of::<abi::probe_answer>()];
        run_once(&self.program, &frame, &mut out)?;
        answer_in(&out).map(ProbeAnswer::from)
    }
}
