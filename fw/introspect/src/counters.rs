//! Packet counters by interface, hook, verdict and reason.

use bailey_bpf::abi;
use bailey_bpf::reason::{Reason, ReasonKind};
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::observe::counters::{Counters, InterfaceCounts};

use crate::live_state::LiveState;

/// Slot of the interface, hook and reason.
pub type CounterKey = (u8, u8, u8);

impl LiveState {
    /// Packets by interface, hook, verdict and reason.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn counters(&self) -> Result<api::Counters, DatapathError> {
        Ok(api::Counters {
            stamp: self.stamp()?,
            counters: without_keys(self.counter_rows()?),
        })
    }

    /// The same as rows with their keys.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn counter_rows(&self) -> Result<Vec<CounterRow>, DatapathError> {
        Ok(counter_rows(&Counters::open(&self.pins)?.interfaces()))
    }
}

/// A counter with its key.
pub type CounterRow = (CounterKey, api::Counter);

/// The counters of rows.
pub fn without_keys(rows: Vec<CounterRow>) -> Vec<api::Counter> {
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The key of the frames that a bridge could not transmit.
pub(crate) fn lost_key(slot: u8) -> CounterKey {
    const HOOK_BRIDGE: u8 = u8::MAX;
    (slot, HOOK_BRIDGE, 0)
}

/// One row per interface, hook and reason.
pub(crate) fn counter_rows(interfaces: &[InterfaceCounts]) -> Vec<CounterRow> {
    let mut rows = Vec::new();
    for counts in interfaces {
        let name = if counts.name.is_empty() {
            "-"
        } else {
            &counts.name
        };
        for (&(hook, number), count) in &counts.reasons {
            let (verdict, reason) = verdict_and_reason(number);
            let row = api::Counter {
                interface: name.to_owned(),
                hook: if hook == abi::HOOK_XDP { "xdp" } else { "tc" }.to_owned(),
                verdict,
                reason,
                kind: kind_of(number),
                packets: count.packets,
                bytes: count.bytes,
                packets_per_second: None,
                recent: Vec::new(),
                last_packet: None,
                help: Reason::of(number)
                    .map_or("", |reason| reason.help)
                    .to_owned(),
            };
            rows.push(((counts.slot as u8, hook as u8, number as u8), row));
        }
        if counts.lost > 0 {
            let row = api::Counter {
                interface: name.to_owned(),
                hook: "bridge".to_owned(),
                verdict: "drop".to_owned(),
                reason: "redirect-failed".to_owned(),
                kind: Some(ReasonKind::Capacity.name().to_owned()),
                packets: counts.lost,
                bytes: 0,
                packets_per_second: None,
                recent: Vec::new(),
                last_packet: None,
                help: "allowed here, but the peer port could not send the packet".to_owned(),
            };
            rows.push((lost_key(counts.slot as u8), row));
        }
    }
    rows
}

/// Name of the kind of a dropped packet's reason; `None` if the packet passes.
fn kind_of(number: u32) -> Option<String> {
    let kind = Reason::of(number)?.kind()?;
    Some(kind.name().to_owned())
}

/// The verdict of a reason, `pass` or `drop`, and its name.
pub(crate) fn verdict_and_reason(number: u32) -> (String, String) {
    let reason = Reason::of(number);
    let passes = reason.is_some_and(|reason| reason.passes);
    (
        if passes { "pass" } else { "drop" }.to_owned(),
        reason.map_or_else(|| number.to_string(), |reason| reason.name.to_owned()),
    )
}
