//! Flow timeouts as a load-time constant.

use bailey_bpf::abi;
use bailey_config::Timeouts;

use crate::kernel::clock::ticks_of_seconds;

/// Timeouts by `enum flow_state`, in ticks.
pub(crate) fn by_state(timeouts: &Timeouts) -> [u32; abi::STATE_COUNT as usize] {
    let mut ticks = [0; abi::STATE_COUNT as usize];
    // An entry that a CPU is writing never expires.
    ticks[abi::STATE_BUSY as usize] = u32::MAX;
    for (state, seconds) in [
        (abi::STATE_TCP_SYN_SENT, timeouts.tcp_syn_sent),
        (abi::STATE_TCP_SYN_RECV, timeouts.tcp_syn_recv),
        (abi::STATE_TCP_ESTABLISHED, timeouts.tcp_established),
        (abi::STATE_TCP_FIN_WAIT, timeouts.tcp_fin_wait),
        (abi::STATE_TCP_TIME_WAIT, timeouts.tcp_time_wait),
        (abi::STATE_CLOSED, timeouts.tcp_closed),
        (abi::STATE_UDP_NEW, timeouts.udp_new),
        (abi::STATE_UDP_REPLIED, timeouts.udp_replied),
        (abi::STATE_ICMP_NEW, timeouts.icmp),
        (abi::STATE_ICMP_REPLIED, timeouts.icmp),
        (abi::STATE_SCTP_NEW, timeouts.sctp_new),
        (abi::STATE_SCTP_REPLIED, timeouts.sctp_replied),
        (abi::STATE_OTHER_NEW, timeouts.other),
        (abi::STATE_OTHER_REPLIED, timeouts.other),
        (abi::STATE_DENIED, timeouts.denied),
    ] {
        ticks[state as usize] = ticks_of_seconds(seconds);
    }
    ticks
}
