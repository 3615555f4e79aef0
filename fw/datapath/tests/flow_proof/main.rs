//! Guarantees of the flow table under stress: two CPUs and both hooks at once, a full table,
//! floods, sources over their limit, and wrapping clocks.

#[path = "../harness/mod.rs"]
mod harness;

/// Two CPUs on the same flows.
mod concurrency;
/// A table that is half full, full, or flooded.
mod pressure;
/// The sweeper: timeouts, wrapping clocks and epochs, upgrades.
mod sweeping;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bailey_bpf::abi::*;
use bailey_config::{Settings, Timeouts};
use bailey_datapath::flows::retire::RetireStep;
use bailey_datapath::maps::hook::Hook;
use bailey_datapath::{Datapath, PinDir};
use harness::*;

/// Address of a friend, which the policy's second rule admits.
fn friend(n: u32) -> String {
    format!("10.2.{}.{}", n >> 8 & 0xff, n & 0xff)
}

fn pass(h: &Harness, hook: Hook, frame: &[u8]) {
    assert!(h.run(hook, frame));
}

fn handshake(h: &Harness, client: &str, port: u16) {
    h.handshake(client, POD[0], port);
}

fn state_counts(h: &Harness) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for flow in h.flows() {
        *counts.entry(flow.state).or_default() += 1;
    }
    counts
}

/// Longer than a timeout of one second: ticks take 1.07 s, and stamps may be one tick apart.
const IDLE: Duration = Duration::from_millis(3300);
