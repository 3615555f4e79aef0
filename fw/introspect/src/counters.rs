//! Packet counters by interface, hook, verdict and reason.

use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::observe::counters::Counters;

use crate::live_state::LiveState;

impl LiveState {
    /// Packets by interface, hook, verdict and reason.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn counters(&self) -> Result<api::Counters, DatapathError> {
        let mut rows = Vec::new();
        for counts in Counters::open(&self.pins)?.interfaces() {
            let name = if counts.name.is_empty() {
                "-"
            } else {
                &counts.name
            };
            for (&(hook, number), count) in &counts.reasons {
                let (verdict, reason) = verdict_and_reason(number);
                rows.push(api::Counter {
                    interface: name.to_owned(),
                    hook: if hook == abi::HOOK_XDP { "xdp" } else { "tc" }.to_owned(),
                    verdict,
                    reason,
                    packets: count.packets,
                    bytes: count.bytes,
                    help: Reason::of(number)
                        .map_or("", |reason| reason.help)
                        .to_owned(),
                });
            }
            if counts.lost > 0 {
                rows.push(api::Counter {
                    interface: name.to_owned(),
                    hook: "bridge".to_owned(),
                    verdict: "drop".to_owned(),
                    reason: "redirect-failed".to_owned(),
                    packets: counts.lost,
                    bytes: 0,
                    help: "allowed here, but the peer port could not send the packet".to_owned(),
                });
            }
        }
        Ok(api::Counters {
            stamp: self.stamp()?,
            counters: rows,
        })
    }
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
