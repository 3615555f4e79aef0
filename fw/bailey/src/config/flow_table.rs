use serde::{Deserialize, Serialize};

/// Established flows on a policy change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPolicyChange {
    /// Judged once more at their next packet.
    #[default]
    Revalidate,
    /// They live on.
    Keep,
}

/// `[flow_table]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct FlowTable {
    pub flows: u32,
    pub counters: bool,
    pub source_flows: u32,
    pub last_resort: u32,
}

/// `[flood]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Flood {
    pub defend: bool,
    pub new_flows: u32,
    pub source_new_flows: u32,
}

/// `[timeouts]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
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
    pub denied: u32,
}

impl Default for FlowTable {
    fn default() -> Self {
        Self {
            flows: 1 << 19,
            counters: true,
            source_flows: 1 << 16,
            last_resort: 300,
        }
    }
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            defend: true,
            new_flows: 0,
            source_new_flows: 1000,
        }
    }
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
    /// Ages wrap after 208 days; nothing may live so long without a packet.
    pub(super) fn check(&self) -> Result<(), String> {
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
