//! Calibration of jiffies against CLOCK_MONOTONIC_COARSE.

use aya::Ebpf;
use bailey_bpf::object;
use rustix::time::{ClockId, clock_getres};

use crate::error::DatapathError;
use crate::program::handles::{program_fd, xdp};
use crate::program::test_run::run_once;

/// The constants of `clock.h` that convert jiffies to nanoseconds of the coarse monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jiffies {
    /// Nanoseconds per jiffy.
    pub(crate) nanoseconds: u64,
    /// Time of the clock at jiffy 0, modulo 2^64.
    pub(crate) begin: u64,
}

/// Number of readings. One of them may fall between the updates of the two clocks.
const READINGS: usize = 5;

impl Jiffies {
    /// Measures both constants, accurate to one jiffy.
    ///
    /// # Errors
    /// If the kernel refuses the calibration program.
    pub(crate) fn measure() -> Result<Self, DatapathError> {
        let mut programs =
            Ebpf::load(object::CLOCK_PROBE).map_err(|error| DatapathError::Load {
                object: "clock_probe.bpf.o",
                source: Box::new(error),
            })?;
        xdp(&mut programs, "clocks")?
            .load()
            .map_err(DatapathError::program("clocks"))?;
        let program = program_fd(&programs, "clocks")?;
        // The coarse clock is updated once per jiffy, so its resolution is the length of one.
        let resolution = clock_getres(ClockId::MonotonicCoarse);
        let nanoseconds = resolution.tv_nsec as u64;
        let mut begins = Vec::with_capacity(READINGS);
        for _ in 0..READINGS {
            let mut reading = [0; 16];
            run_once(&program, &[0; 16], &mut reading)?;
            let [jiffies, clock]: [u64; 2] = bytemuck::cast(reading);
            begins.push(clock.wrapping_sub(jiffies.wrapping_mul(nanoseconds)));
        }
        // Readings differ by one jiffy at most; compare differences, because values may wrap.
        let first = begins[0];
        begins.sort_by_key(|begin| begin.wrapping_sub(first).cast_signed());
        Ok(Self {
            nanoseconds,
            begin: begins[READINGS / 2],
        })
    }
}
