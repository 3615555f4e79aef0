//! Loops of the threads that send and receive the frames of a trial.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bailey_datapath::kernel::af_xdp::{BATCH, Socket};

use crate::frame::Stream;
use crate::sink::Sink;
use crate::trial::Load;

/// A NIC that accepts no frame for this long is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// Sends one frame for each sequence number.
pub(crate) fn send_all(
    socket: &mut Socket,
    numbers: std::ops::Range<u32>,
    mut write: impl FnMut(u32, &mut [u8]) -> usize,
) -> Result<()> {
    let mut next = numbers.start;
    let begun = Instant::now();
    while next < numbers.end {
        let mut n = next;
        let left = (numbers.end - next) as usize;
        let sent = socket.send(left, |room| {
            n += 1;
            write(n - 1, room)
        })?;
        next += sent as u32;
        ensure!(begun.elapsed() < STUCK, "the NIC accepts no frames");
    }
    Ok(())
}

/// Waits until the NIC has sent every queued frame, at most [`STUCK`].
pub(crate) fn flush(socket: &mut Socket) -> Result<()> {
    let begun = Instant::now();
    while !socket.flush()? && begun.elapsed() < STUCK {
        yield_now();
    }
    Ok(())
}

/// Frames that one sender sent, and the time that it took.
pub(crate) struct Sent {
    pub(crate) frames: u64,
    pub(crate) elapsed: Duration,
}

/// Sends frames at their due times until the load is sent or its time has passed.
pub(crate) fn emit(
    socket: &mut Socket,
    stream: &Stream,
    trial: u16,
    load: Load,
    clock: Instant,
) -> Result<Sent> {
    let begun = Instant::now();
    let origin = begun.duration_since(clock).as_nanos() as u64;
    let mut sent = 0;
    let mut last_sent = begun;
    while sent < load.frames {
        let elapsed = begun.elapsed();
        if elapsed >= load.time {
            break;
        }
        // Frames that are due now, and not yet sent.
        let due = if load.rate.is_finite() {
            (elapsed.as_secs_f64() * load.rate) as u64 + 1
        } else {
            u64::MAX
        };
        let ready = due.min(load.frames).saturating_sub(sent);
        if ready == 0 {
            std::hint::spin_loop();
            continue;
        }
        // At a fixed rate, a late frame carries its due time, not its send time (coordinated
        // omission).
        let now = elapsed.as_nanos() as u64;
        let mut number = sent;
        let taken = socket.send(ready.min(BATCH as u64) as usize, |room| {
            let offset = if load.rate.is_finite() {
                (number as f64 / load.rate * 1e9) as u64
            } else {
                now
            };
            let length = stream.write(trial, number as u32, origin + offset, room);
            number += 1;
            length
        })?;
        let now = Instant::now();
        if taken > 0 {
            last_sent = now;
        } else {
            ensure!(
                now.duration_since(last_sent) < STUCK,
                "the NIC accepts no more frames"
            );
            yield_now();
        }
        sent += taken as u64;
    }
    let elapsed = begun.elapsed();
    flush(socket)?;
    Ok(Sent {
        frames: sent,
        elapsed,
    })
}

/// Passes arriving frames to the sink until `stop` is set and the queue is empty.
pub(crate) fn collect(
    socket: &mut Socket,
    sink: &mut Sink,
    is_new_flow: &impl Fn(u32) -> bool,
    clock: Instant,
    stop: &AtomicBool,
) -> Result<()> {
    loop {
        let last = stop.load(Ordering::Relaxed);
        let mut now = None;
        let taken = socket.receive(|frame| {
            let now = now.get_or_insert_with(|| clock.elapsed().as_nanos() as u64);
            sink.record(frame, is_new_flow, *now);
        })?;
        if taken == 0 {
            if last {
                return Ok(());
            }
            yield_now();
        }
    }
}
