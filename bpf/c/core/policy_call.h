/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Tail call to the policy program of a slot.
 *
 * With a constant slot the JIT emits a direct jump, and the kernel patches the
 * jump when user space changes the slot. With a slot number from a register
 * the JIT emits an indirect jump through a retpoline.
 */
#ifndef BAILEY_CORE_POLICY_CALL_H
#define BAILEY_CORE_POLICY_CALL_H

#include "core/maps.h"

_Static_assert(POLICY_SLOTS == 8, "call_policy: one case per slot");

/* Returns only if the slot is empty or does not exist. */
static __always_inline void call_policy(void *ctx, const void *policies,
					__u32 slot)
{
	/* The program reads what was stored before the call. */
	asm volatile("" ::: "memory");
	switch (slot) {
	case 0:
		bpf_tail_call_static(ctx, policies, 0);
		break;
	case 1:
		bpf_tail_call_static(ctx, policies, 1);
		break;
	case 2:
		bpf_tail_call_static(ctx, policies, 2);
		break;
	case 3:
		bpf_tail_call_static(ctx, policies, 3);
		break;
	case 4:
		bpf_tail_call_static(ctx, policies, 4);
		break;
	case 5:
		bpf_tail_call_static(ctx, policies, 5);
		break;
	case 6:
		bpf_tail_call_static(ctx, policies, 6);
		break;
	case 7:
		bpf_tail_call_static(ctx, policies, 7);
		break;
	}
}

/* Returns the packet that the tail call hands over. */
static __always_inline struct pkt *pkt_resume(__u32 hook)
{
	return bpf_map_lookup_elem(&scratch, &hook);
}

#endif
