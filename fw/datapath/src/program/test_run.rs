use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::error::DatapathError;
use crate::kernel::bpf::bpf;
use crate::maps::hook::Hook;

/// Runs the attached programs on frames, with all their effects on flows and counters; for tests and
/// benchmarks. It holds the programs by itself, so generations can be installed meanwhile.
#[derive(Debug)]
pub struct TestRun {
    pub(crate) xdp: OwnedFd,
    pub(crate) tc: OwnedFd,
}

/// linux/bpf.h
const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// How much longer a program may make a frame.
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
    /// Runs a hook's program so many times on a frame and returns its last return code.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<u32, DatapathError> {
        let done = self.test_run(hook, frame, repeat)?;
        Ok(done.return_value)
    }

    /// The same, and how long one run took on average, in nanoseconds.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn measure(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<u32, DatapathError> {
        let done = self.test_run(hook, frame, repeat)?;
        Ok(done.duration)
    }

    /// Runs a hook's program once: its return code, and the frame as it left it.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn transform(&self, hook: Hook, frame: &[u8]) -> Result<(u32, Vec<u8>), DatapathError> {
        let mut out = vec![0; frame.len() + ROOM];
        let done = self.test_run_into(hook, frame, 1, &mut out)?;
        out.truncate(done.data_size_out as usize);
        Ok((done.return_value, out))
    }

    /// The program of a hook, for whoever runs it by other means.
    pub fn program(&self, hook: Hook) -> BorrowedFd<'_> {
        match hook {
            Hook::Xdp => self.xdp.as_fd(),
            Hook::Tc => self.tc.as_fd(),
        }
    }

    fn test_run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<TestAttr, DatapathError> {
        self.test_run_into(hook, frame, repeat, &mut [])
    }

    fn test_run_into(
        &self,
        hook: Hook,
        frame: &[u8],
        repeat: u32,
        out: &mut [u8],
    ) -> Result<TestAttr, DatapathError> {
        run(self.program(hook), frame, repeat, out)
    }
}

/// Runs any XDP program so many times on a frame: its last return code, and how long one run took on average,
/// in nanoseconds.
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

/// Runs a program once on a frame, and leaves the frame that it made of it in `out`.
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
