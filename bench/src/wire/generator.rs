//! The frame generator, a BPF program that transmits live frames.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailey_lab::Namespace;
use libbpf_rs::{MapCore, MapFlags, ProgramInput};

use super::frames::{FRAME, Frame};
use crate::object::{BpfObject, image};

/// Sends frames from within the kernel; see generate.bpf.c. One generator serves all testbeds.
#[derive(Debug, Clone)]
pub(crate) struct Generator {
    object: Arc<Mutex<BpfObject>>,
    /// Number of frames, a power of two.
    frames: u32,
}

/// Options of one transmission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    /// Index of the first frame.
    pub(crate) first: u32,
    /// Number of frames, a multiple of [`BURST`].
    pub(crate) count: u32,
    /// Mean interval between frames; zero: full speed.
    pub(crate) every: Duration,
    /// Write the due time into each frame.
    pub(crate) stamp: bool,
}

/// Frames per burst: `BURST` in generate.bpf.c.
pub(crate) const BURST: u32 = 64;
/// A frame, and the bytes before it (`SKIP` in generate.bpf.c).
const ROOM: usize = FRAME + 16;
/// `BPF_F_TEST_XDP_LIVE_FRAMES` in linux/bpf.h.
const LIVE_FRAMES: u32 = 1 << 1;
/// Size of `struct plan` in generate.bpf.c.
const PLAN: usize = 48;

impl Generator {
    /// # Errors
    /// If the number of frames is not a power of two.
    pub(crate) fn new(frames: &[Frame]) -> Result<Self> {
        let count = frames.len();
        ensure!(
            count.is_power_of_two(),
            "number of frames must be a power of two, got {count}"
        );
        let object = BpfObject::load_embedded(
            image!("generate"),
            &[("frames", count as u32), ("samples", 1)],
        )?;
        let keys: Vec<u8> = (0..count as u32).flat_map(u32::to_ne_bytes).collect();
        object.fill("frames", &keys, frames.as_flattened(), count)?;
        Ok(Self {
            object: Arc::new(Mutex::new(object)),
            frames: count as u32,
        })
    }

    /// Sends through an interface of a namespace. Returns the time from the first burst to the end
    /// of the last.
    pub(crate) fn send(
        &self,
        from: &Namespace,
        interface: u32,
        sending: Sending,
    ) -> Result<Duration> {
        ensure!(
            sending.count.is_multiple_of(BURST),
            "number of frames must be a multiple of {BURST}"
        );
        let (object, mask) = (Arc::clone(&self.object), self.frames - 1);
        from.run(move || {
            // A panic elsewhere does not invalidate the object.
            let object = object.lock().unwrap_or_else(PoisonError::into_inner);
            run(&object, interface, mask, sending)
        })
    }
}

fn run(object: &BpfObject, interface: u32, mask: u32, sending: Sending) -> Result<Duration> {
    let every = sending.every.as_nanos() as u64 * u64::from(BURST);
    let mut plan = Vec::with_capacity(PLAN);
    for word in [sending.first, mask, 0, u32::from(sending.stamp)] {
        plan.extend(word.to_ne_bytes());
    }
    plan.extend(every.to_ne_bytes());
    plan.resize(PLAN, 0);
    let zero = 0_u32.to_ne_bytes();
    object.map("plan")?.update(&zero, &plan, MapFlags::ANY)?;
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
    let context = [0, ROOM as u32, 0, interface, 0, 0];
    let mut context: Vec<u8> = context.into_iter().flat_map(u32::to_ne_bytes).collect();
    let output = object.program_mut("generate")?.test_run(ProgramInput {
        context_in: Some(&mut context),
        data_in: Some(&[0; ROOM]),
        flags: LIVE_FRAMES,
        repeat: sending.count,
        ..ProgramInput::default()
    });
    output.context("cannot send live frames; Linux 5.18 or later is needed")?;
    let plan = object.map("plan")?.lookup(&zero, MapFlags::ANY)?;
    let plan = plan.context("the plan map is empty")?;
    let word = |at: usize| {
        plan[at..]
            .first_chunk()
            .map_or(0, |w| u64::from_ne_bytes(*w))
    };
    let (begun, ended) = (word(PLAN - 16), word(PLAN - 8));
    // Extrapolate the time of the last burst from the others.
    let bursts = u64::from(sending.count / BURST);
    let elapsed = (ended - begun) * bursts / (bursts - 1).max(1);
    Ok(Duration::from_nanos(elapsed))
}
