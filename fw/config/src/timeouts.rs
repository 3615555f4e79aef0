//! `[timeouts]`: when an idle flow expires, by protocol and state.

use serde::{Deserialize, Serialize};

/// `[timeouts]`: seconds after its last packet until a flow in this state expires. Defaults are those of
/// the kernel's conntrack, except for established TCP: 2 h 4 min, the least that RFC 5382 permits.
///
/// Half-open states: `tcp_syn_sent`, `tcp_syn_recv`, `udp_new`, `sctp_new`; also `icmp` and `other` before
/// a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the states")]
pub struct Timeouts {
    pub tcp_syn_sent: u32,
    pub tcp_syn_recv: u32,
    pub tcp_established: u32,
    pub tcp_fin_wait: u32,
    pub tcp_time_wait: u32,
    pub tcp_closed: u32,
    pub udp_new: u32,
    pub udp_replied: u32,
    pub icmp: u32,
    pub sctp_new: u32,
    pub sctp_replied: u32,
    pub other: u32,
    /// A flow that policy no longer allows.
    pub denied: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_syn_sent: 120,
            tcp_syn_recv: 60,
            tcp_established: 7440,
            tcp_fin_wait: 120,
            tcp_time_wait: 120,
            tcp_closed: 10,
            udp_new: 30,
            udp_replied: 120,
            icmp: 30,
            sctp_new: 30,
            sctp_replied: 210,
            other: 600,
            denied: 60,
        }
    }
}

impl Timeouts {
    /// Ages wrap after 208 days, so no flow may live that long without a packet.
    pub(crate) fn check(&self) -> Result<(), String> {
        const LONGEST: u32 = 30 * 24 * 3600;
        let Ok(toml::Value::Table(all)) = toml::Value::try_from(self) else {
            return Ok(());
        };
        for (key, value) in all {
            let seconds = value.as_integer().unwrap_or_default();
            if !(1..=i64::from(LONGEST)).contains(&seconds) {
                return Err(format!(
                    "timeouts.{key} = {seconds}: must be 1 to {LONGEST} seconds (30 days)"
                ));
            }
        }
        Ok(())
    }
}
