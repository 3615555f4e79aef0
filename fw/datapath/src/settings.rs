/// Peers and ports that pass whatever policy says.
mod failsafe;
/// Floods of new flows.
mod flood;
/// How frames are read.
mod frames;

use aya::util::KernelVersion;
use bailey_bpf::abi;
use ipnet::IpNet;

pub use failsafe::Failsafe;
pub use flood::Flood;
pub use frames::{Frames, Tunnel, TunnelKind};

/// Where the machine stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Topology {
    /// A node: XDP judges what it receives, tcx what it sends.
    #[default]
    Host,
    /// A bump in the wire: what passes XDP on one NIC leaves through the other.
    Bridge,
    /// A node whose NICs forward among each other in XDP.
    Router,
}

/// Where what the machine sends is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EgressHook {
    /// tcx, since Linux 6.6.
    Tcx,
    /// A filter of the clsact qdisc.
    Clsact,
}

impl Default for EgressHook {
    /// The best that the running kernel has.
    fn default() -> Self {
        let tcx = KernelVersion::new(6, 6, 0);
        if KernelVersion::current().is_ok_and(|running| running >= tcx) {
            Self::Tcx
        } else {
            Self::Clsact
        }
    }
}

/// What becomes of established flows when policy changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OnPolicyChange {
    /// Judged once more at their next packet.
    #[default]
    Revalidate,
    /// They live on under the rules that admitted them.
    Keep,
}

/// Everything that is fixed when the maps are created and the programs loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Flows to hold; the table has at least twice as many slots.
    pub flows: u32,
    /// Rule ids to count.
    pub rules: u32,
    /// Count packets and bytes of every flow?
    pub flow_counters: bool,
    /// Established flows on a policy change.
    pub on_policy_change: OnPolicyChange,
    /// Does only a SYN open a TCP flow? Otherwise a segment from the middle of a connection does,
    /// where no policy isolates either end.
    pub tcp_strict: bool,
    /// Host or bridge.
    pub topology: Topology,
    /// How frames are read.
    pub frames: Frames,
    /// Addresses that never come in through an interface that is outside; at most
    /// [`abi::INSIDE_MAX`].
    pub inside: Vec<IpNet>,
    /// Where what the machine sends is judged.
    pub egress_hook: EgressHook,
    /// What passes whatever policy says; at most [`abi::FAILSAFE_MAX`].
    pub failsafe: Vec<Failsafe>,
    /// Live flows that one source (/32, /64) may have before its next ones stay evictable; 0: any.
    pub source_flows: u32,
    /// What happens while more flows are opened than the table can take.
    pub flood: Flood,
    /// Seconds of idleness after which a live flow may be evicted, before a new one is refused.
    pub last_resort: u32,
    /// Ticks added to the clock of programs and sweeper: tests make months pass with it.
    #[doc(hidden)]
    pub clock_offset: u32,
    /// Idle times.
    pub timeouts: Timeouts,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            flows: 1 << 19,
            rules: 1 << 16,
            flow_counters: true,
            on_policy_change: OnPolicyChange::default(),
            tcp_strict: false,
            topology: Topology::default(),
            frames: Frames::default(),
            inside: Vec::new(),
            egress_hook: EgressHook::default(),
            failsafe: Vec::new(),
            source_flows: 1 << 16,
            flood: Flood::default(),
            last_resort: 300,
            clock_offset: 0,
            timeouts: Timeouts::default(),
        }
    }
}

/// Seconds after the last packet until a flow of this state is over. Defaults are those of the
/// kernel's conntrack, but for established TCP: 2 h 4 min, the least that RFC 5382 permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// A flow whose permission was revoked, after its last packet.
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

impl Settings {
    /// log2 of the number of buckets: eight slots each, two slots per flow, a power of two.
    pub(crate) fn bucket_bits(&self) -> u32 {
        let slots = self.flows.max(8).saturating_mul(2).next_power_of_two();
        (slots / abi::FLOW_LANES).ilog2().max(1)
    }

    /// Places in the flow table.
    pub fn flow_slots(&self) -> u64 {
        u64::from(abi::FLOW_LANES) << self.bucket_bits()
    }

    /// Rule counters per CPU: whole pages of them, so that two CPUs share none.
    pub(crate) fn rule_stride(&self) -> u32 {
        const PER_PAGE: u32 = 4096 / size_of::<abi::rule_counter>() as u32;
        self.rules.max(abi::RULE_FIRST).next_multiple_of(PER_PAGE)
    }
}
