/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Start of a packet's processing: which interface and control state apply, and
 * which parts of struct pkt are cleared when. */
#ifndef BAILEY_CORE_INGRESS_H
#define BAILEY_CORE_INGRESS_H

#include "core/control_word.h"
#include "core/maps.h"
#include "core/ticks.h"

static __always_inline __u32 timeout_scale_at(__u64 word, __u32 now)
{
	__u32 age = (now - (__u32)(word >> SCALE_STAMP_SHIFT)) & TICK_MASK;

	return age < SCALE_TICKS ? word & SCALE_MASK : SCALE_ONE;
}

static __always_inline bool is_warm_up_at(__u64 until, __u32 now)
{
	return until && (((__u32)until - now - 1) & TICK_MASK) < WARM_TICKS_MAX;
}

/* Returns this CPU's packet of a hook, ready to be parsed. */
static __always_inline struct pkt *pkt_begin_parse(__u32 hook)
{
	struct pkt *pkt = bpf_map_lookup_elem(&scratch, &hook);

	if (pkt)
		__builtin_memset(&pkt->in, 0, sizeof(pkt->in));
	return pkt;
}

/* Control state and the attached interface's word, read once per packet. */
struct ingress_ctx {
	struct control *control;
	__u64 interface; /* 0: Bailey is not attached */
};

static __always_inline void
ingress_ctx_load(struct ingress_ctx *in, struct control *active, __u32 ifindex)
{
	__u64 *interface = interface_word(ifindex);

	in->control = active;
	in->interface = interface ? *interface : 0;
}

/* Clears and fills the parts of a packet that only the slow path uses. now: see
 * clock_tick(). */
static __always_inline void pkt_begin_slow_path(struct pkt *pkt, __u32 hook,
						const struct ingress_ctx *in,
						__u32 ifindex, __u64 now)
{
	struct control *control = in->control;
	struct environment *env = &pkt->env;

	__builtin_memset(env, 0, sizeof(*env));
	__builtin_memset(&pkt->full, 0, sizeof(pkt->full));
	__builtin_memset(&pkt->flow, 0, sizeof(pkt->flow));
	__builtin_memset(&pkt->out, 0, sizeof(pkt->out));
	env->mac = in->interface >> INTERFACE_MAC_SHIFT;
	env->control = READ_ONCE(control->word);
	env->hook = hook;
	env->packets = 1;
	env->now = clock_tick(now);
	env->tick_fraction = clock_part(now);
	env->timeout_scale =
		timeout_scale_at(READ_ONCE(control->scale), env->now);
	env->ifindex = ifindex;
	env->is_warm_up =
		is_warm_up_at(READ_ONCE(control->warm_until), env->now);
	env->interface_slot = in->interface & (INTERFACE_SLOTS - 1);
	env->from_external = !!(in->interface & INTERFACE_EXTERNAL);
	env->fib_flags =
		(in->interface & INTERFACE_RP_FILTER ? FIB_RP_FILTER : 0) |
		(in->interface & INTERFACE_STACK ? FIB_STACK : 0) |
		(in->interface & INTERFACE_STACK6 ? FIB_STACK6 : 0);
}

#endif
