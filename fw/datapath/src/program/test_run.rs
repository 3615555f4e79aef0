//! Test runs of loaded programs on frames (BPF_PROG_TEST_RUN).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya::Ebpf;

use crate::error::DatapathError;
use crate::kernel::bpf::bpf;
use crate::maps::hook::Hook;
use crate::program::handles::program_fd;

/// Runs the attached programs on frames, with all effects on flows and counters; for tests and
/// benchmarks. It holds its own descriptors, so generations can be installed meanwhile.
#[derive(Debug)]
pub struct TestRun {
    xdp: OwnedFd,
    tc: OwnedFd,
}

/// linux/bpf.h
const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// Number of bytes that a program may add to a frame.
const ROOM: usize = 64;

#[repr(C)]
#[derive(Default)]
struct TestAttr {
    program: u32,
    return_value: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

impl TestRun {
    /// Duplicates the descriptors of the entry programs.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub(crate) fn new(entry: &Ebpf) -> Result<Self, DatapathError> {
        Ok(Self {
            xdp: program_fd(entry, "entry_xdp")?,
            tc: program_fd(entry, "entry_tc")?,
        })
    }

    /// Runs a hook's program `repeat` times on a frame and returns the last return code.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<u32, DatapathError> {
        let done = self.run_frame(hook, frame, repeat)?;
        Ok(done.return_value)
    }

    /// Runs a hook's program `repeat` times on a frame and returns the mean duration, in
    /// nanoseconds.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn measure(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<u32, DatapathError> {
        let done = self.run_frame(hook, frame, repeat)?;
        Ok(done.duration)
    }

    /// Runs a hook's program once and returns the return code and the resulting frame.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn transform(&self, hook: Hook, frame: &[u8]) -> Result<(u32, Vec<u8>), DatapathError> {
        let mut out = vec![0; frame.len() + ROOM];
        let done = self.run_frame_into(hook, frame, 1, &mut out)?;
        out.truncate(done.data_size_out as usize);
        Ok((done.return_value, out))
    }

    /// Descriptor of a hook's program, for other ways to run it.
    pub fn program(&self, hook: Hook) -> BorrowedFd<'_> {
        match hook {
            Hook::Xdp => self.xdp.as_fd(),
            Hook::Tc => self.tc.as_fd(),
        }
    }

    fn run_frame(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<TestAttr, DatapathError> {
        self.run_frame_into(hook, frame, repeat, &mut [])
    }

    fn run_frame_into(
        &self,
        hook: Hook,
        frame: &[u8],
        repeat: u32,
        out: &mut [u8],
    ) -> Result<TestAttr, DatapathError> {
        run(self.program(hook), frame, repeat, out)
    }
}

/// Runs an XDP program `repeat` times on a frame. Returns the last return code and the mean
/// duration in nanoseconds.
///
/// # Errors
/// If the kernel refuses the frame.
pub fn measure(
    program: BorrowedFd<'_>,
    frame: &[u8],
    repeat: u32,
) -> Result<(u32, u32), DatapathError> {
    let done = run(program, frame, repeat, &mut [])?;
    Ok((done.return_value, done.duration))
}

/// Runs a program once on a frame and writes the resulting frame to `out`.
pub(crate) fn run_once(
    program: &OwnedFd,
    frame: &[u8],
    out: &mut [u8],
) -> Result<(), DatapathError> {
    run(program.as_fd(), frame, 1, out).map(drop)
}

fn run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    repeat: u32,
    out: &mut [u8],
) -> Result<TestAttr, DatapathError> {
    loop {
        let mut attribute = TestAttr {
            program: program.as_raw_fd() as u32,
            data_size_in: frame.len() as u32,
            data_size_out: out.len() as u32,
            data_in: frame.as_ptr() as u64,
            data_out: if out.is_empty() {
                0
            } else {
                out.as_mut_ptr() as u64
            },
            repeat,
            ..TestAttr::default()
        };
        match bpf(BPF_PROG_TEST_RUN, &mut attribute) {
            Ok(_) => return Ok(attribute),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(DatapathError::System {
                    operation: "test run",
                    source,
                });
            }
        }
    }
}
