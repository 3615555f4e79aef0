/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Predicates of a flow's state, age and epoch. */
#ifndef BAILEY_FLOW_STATE_H
#define BAILEY_FLOW_STATE_H

#include "core/control_word.h"
#include "core/maps.h"
#include "core/meta_word.h"
#include "core/ticks.h"

static __always_inline bool is_live(__u32 state)
{
	const __u32 set = 1 << STATE_TCP_ESTABLISHED | 1 << STATE_TCP_FIN_WAIT |
			  1 << STATE_UDP_REPLIED | 1 << STATE_ICMP_REPLIED |
			  1 << STATE_SCTP_REPLIED | 1 << STATE_OTHER_REPLIED;

	return set >> state & 1;
}

/* Ticks since the last packet of the flow. */
static __always_inline __u64 flow_age(__u64 meta, __u32 now)
{
	return ticks_since(meta_seen(meta), now);
}

static __always_inline bool is_half_open(__u32 state)
{
	const __u32 set = 1 << STATE_TCP_SYN_SENT | 1 << STATE_TCP_SYN_RECV |
			  1 << STATE_UDP_NEW | 1 << STATE_ICMP_NEW |
			  1 << STATE_SCTP_NEW | 1 << STATE_OTHER_NEW;

	return set >> state & 1;
}

static __always_inline bool flow_closed(__u32 state)
{
	const __u32 set = 1 << STATE_TCP_TIME_WAIT | 1 << STATE_CLOSED |
			  1 << STATE_DENIED;

	return set >> state & 1;
}

/* In ticks. Shorter than configured while live flows fill the table, but never
 * so short that a tick edge alone could expire a flow. */
static __always_inline __u64 scaled_timeout(__u32 ticks, __u32 scale)
{
	return (__u64)ticks * scale / SCALE_ONE + ((SCALE_ONE - scale) >> 6);
}

static __always_inline bool flow_expired(struct pkt *pkt, __u64 meta)
{
	__u32 ticks = TIMEOUTS[meta_state(meta) & (STATE_COUNT - 1)];

	return flow_age(meta, pkt->env.now) >
	       scaled_timeout(ticks, pkt->env.timeout_scale);
}

static __always_inline bool is_from_opener(bool sender_is_lower, __u64 meta)
{
	return !!(meta_flags(meta) & FLOW_ORIG_LOW) == sender_is_lower;
}

/* Evaluated under the packet's epoch or a later one. */
static __always_inline bool flow_epoch_current(__u64 meta, __u64 control)
{
	__u32 lead = meta_epoch(meta) - control_epoch(control);

	_Static_assert(EPOCH_LAG_MAX + EPOCH_LEAD_MAX <
			       (META_EPOCH_MASK + 1) / 2,
		       "no stamp lags by half of the range");

	return meta_epoch(meta) && !(lead & (META_EPOCH_MASK + 1) >> 1);
}

#endif
