//! The settings that are fixed when the datapath creates maps and loads programs.

use ipnet::IpNet;

use crate::{Config, EgressHook, Failsafe, Flood, Frames, OnPolicyChange, Timeouts, Topology};

/// Settings that are fixed when the datapath creates its maps and loads its programs. The build number is a
/// hash of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Flows to hold; the table has at least twice as many slots.
    pub flows: u32,
    /// Rule ids to count.
    pub rules: u32,
    /// Established flows on a policy change.
    pub on_policy_change: OnPolicyChange,
    /// Does only a SYN create a TCP flow? Otherwise a connection is picked up midstream where no policy
    /// isolates either end.
    pub tcp_strict: bool,
    /// Host, bridge or router.
    pub topology: Topology,
    /// How the parser treats frames.
    pub frames: Frames,
    /// Source addresses that are spoofed if they arrive on an external interface; at most
    /// [`INTERNAL_MAX`](bailey_bpf::abi::INTERNAL_MAX).
    pub internal: Vec<IpNet>,
    /// Kernel hook that filters egress traffic.
    pub egress_hook: EgressHook,
    /// Peers and ports that pass regardless of policy; at most
    /// [`FAILSAFE_MAX`](bailey_bpf::abi::FAILSAFE_MAX).
    pub failsafe: Vec<Failsafe>,
    /// Per-source flow limit (IPv4 /32, IPv6 /64). Flows beyond the limit pass and stay evictable like
    /// half-open ones; 0 disables the limit.
    pub flows_per_source: u32,
    /// Rates of new flows.
    pub flood: Flood,
    /// Seconds without a packet after which a live flow may be evicted, before a new flow is refused.
    pub evict_live_after_seconds: u32,
    /// Records per CPU and class of packets; a power of two, or 0: no recorder.
    pub records: u32,
    /// Ticks added to the clock of programs and sweeper, for tests of long times.
    #[doc(hidden)]
    pub clock_offset: u32,
    /// Iterations of a loop by which programs delay each store of the last-seen tick, for tests of late
    /// stores.
    #[doc(hidden)]
    pub seen_delay: u32,
    /// Timeouts of flows.
    pub timeouts: Timeouts,
}

impl Config {
    /// The settings of the datapath.
    pub fn settings(&self) -> Settings {
        Settings {
            flows: self.flow_table.flows,
            rules: self.limits.rules as u32,
            on_policy_change: self.on_policy_change,
            tcp_strict: self.tcp_strict,
            topology: self.topology,
            frames: self.frames.clone(),
            internal: self.sources.internal.clone(),
            egress_hook: self.egress_hook,
            failsafe: self.failsafe.clone(),
            flows_per_source: self.flow_table.flows_per_source,
            flood: self.flood.clone(),
            evict_live_after_seconds: self.flow_table.evict_live_after_seconds,
            records: self.recorder.records,
            clock_offset: 0,
            seen_delay: 0,
            timeouts: self.timeouts,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Config::default().settings()
    }
}
