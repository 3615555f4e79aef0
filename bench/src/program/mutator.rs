use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use anyhow::{Result, ensure};
use libbpf_rs::{MapCore, MapFlags, ProgramInput};

use crate::object::{BpfObject, image};
use crate::tuples::{TUPLE, Tuple};

/// Runs programs on a frame whose tuple is another one each time; see mutate.bpf.c.
#[derive(Debug)]
pub(crate) struct Mutator {
    object: BpfObject,
    /// A power of two.
    tuples: u32,
    ipv6: bool,
    /// Whom it calls, by descriptor: scenario it waits for a grace period.
    callee: Option<RawFd>,
}

/// A program under test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Callee<'a> {
    pub(crate) program: BorrowedFd<'a>,
    /// Does it take frames in several buffers?
    pub(crate) frags: bool,
}

/// What is done to each frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RunOptions {
    /// Which tuple is first.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// The tuple of the answer instead.
    pub(crate) swap: bool,
    /// Addresses only: frames that have none where ports are.
    pub(crate) no_ports: bool,
}

impl Mutator {
    /// # Errors
    /// If the number of tuples is no power of two.
    pub(crate) fn new(tuples: &[Tuple]) -> Result<Self> {
        ensure!(tuples.len().is_power_of_two(), "{} tuples", tuples.len());
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

    /// As many other tuples, or another order.
    pub(crate) fn set(&self, tuples: &[Tuple]) -> Result<()> {
        let keys: Vec<u8> = (0..self.tuples).flat_map(u32::to_ne_bytes).collect();
        let values: Vec<u8> = tuples.iter().flat_map(Tuple::bytes).collect();
        debug_assert_eq!(values.len(), tuples.len() * TUPLE);
        self.object.fill("tuples", &keys, &values, tuples.len())
    }

    /// Nanoseconds per run of the callee, the mutator's own included; whole ones.
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
        // XDP_ABORTED: the frame is too short, or nothing was called.
        ensure!(output.return_value != 0, "the mutator did not call");
        // The kernel's own figure, rounded down: the call as a whole also waits for grace periods, that
        // is for several ticks of the kernel's clock, of 4 ms each.
        Ok(output.duration.as_secs_f64() * 1e9)
    }
}
