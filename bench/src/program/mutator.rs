//! Runs a program with a different packet each time.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use anyhow::{Result, ensure};
use libbpf_rs::{MapCore, MapFlags, ProgramInput};

use crate::object::{BpfObject, image};
use crate::tuples::{TUPLE, Tuple};

/// Runs programs with a different tuple in each frame; see mutate.bpf.c.
#[derive(Debug)]
pub(crate) struct Mutator {
    object: BpfObject,
    /// Number of tuples, a power of two.
    tuples: u32,
    ipv6: bool,
    /// Descriptor of the current callee. Changing the callee waits for a grace period.
    callee: Option<RawFd>,
}

/// A program that the mutator calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Callee<'a> {
    pub(crate) program: BorrowedFd<'a>,
    /// Whether the program accepts fragmented buffers (xdp.frags).
    pub(crate) frags: bool,
}

/// Options of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RunOptions {
    /// Index of the first tuple.
    pub(crate) first: u32,
    /// Number of runs.
    pub(crate) count: u32,
    /// Write the tuple of the reply.
    pub(crate) swap: bool,
    /// Write addresses only, because the frame has no ports.
    pub(crate) no_ports: bool,
}

impl Mutator {
    /// # Errors
    /// If the number of tuples is not a power of two.
    pub(crate) fn new(tuples: &[Tuple]) -> Result<Self> {
        ensure!(
            tuples.len().is_power_of_two(),
            "number of tuples must be a power of two, got {}",
            tuples.len()
        );
        let count = tuples.len() as u32;
        let object = BpfObject::load_embedded(image!("mutate"), &[("tuples", count)])?;
        let mutator = Self {
            object,
            tuples: count,
            ipv6: tuples[0].source.is_ipv6(),
            callee: None,
        };
        mutator.set(tuples)?;
        Ok(mutator)
    }

    /// Replaces all tuples; the number must stay the same.
    pub(crate) fn set(&self, tuples: &[Tuple]) -> Result<()> {
        let keys: Vec<u8> = (0..self.tuples).flat_map(u32::to_ne_bytes).collect();
        let values: Vec<u8> = tuples.iter().flat_map(Tuple::bytes).collect();
        debug_assert_eq!(values.len(), tuples.len() * TUPLE);
        self.object.fill("tuples", &keys, &values, tuples.len())
    }

    /// Nanoseconds per run of the callee, including the mutator; rounded down to whole nanoseconds.
    pub(crate) fn run(
        &mut self,
        callee: Callee<'_>,
        frame: &[u8],
        options: RunOptions,
    ) -> Result<f64> {
        let kind = if callee.frags { "frags" } else { "plain" };
        let array = format!("subject_{kind}");
        let descriptor = callee.program.as_raw_fd();
        if self.callee.replace(descriptor) != Some(descriptor) {
            self.object.set_callee(&array, callee.program)?;
        }
        let cursor = [
            options.first,
            self.tuples - 1,
            u32::from(options.swap),
            u32::from(options.no_ports),
        ];
        let cursor: Vec<u8> = cursor.into_iter().flat_map(u32::to_ne_bytes).collect();
        let zero = 0_u32.to_ne_bytes();
        self.object
            .map("cursor")?
            .update(&zero, &cursor, MapFlags::ANY)?;
        let family = if self.ipv6 { 6 } else { 4 };
        let program = self.object.program_mut(&format!("mutate{family}_{kind}"))?;
        let output = program.test_run(ProgramInput {
            data_in: Some(frame),
            repeat: options.count,
            ..ProgramInput::default()
        })?;
        // XDP_ABORTED: the frame is too short, or the program array is empty.
        ensure!(
            output.return_value != 0,
            "the mutator did not call the program under test"
        );
        // The kernel's own time per run. The time of the system call would include waits for grace
        // periods, that is several timer ticks of 4 ms.
        Ok(output.duration.as_secs_f64() * 1e9)
    }
}
