/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Ingress source filtering (BCP 38): drops a packet that arrives on an external
 * interface with an internal source address, or on any interface with a source
 * address of this machine. Runs before flow lookup; otherwise a spoofed packet
 * could match a flow that the internal side created.
 */
#ifndef BAILEY_ADDRESS_ANTISPOOF_H
#define BAILEY_ADDRESS_ANTISPOOF_H

#include "address/own.h"
#include "core/ip_address.h"

volatile const struct internal_prefix INTERNAL[INTERNAL_MAX] = {};

static __always_inline bool is_internal_address(__u64 a, __u64 b)
{
	__u32 i;

	for (i = 0; i < INTERNAL_MAX && i < INTERNAL_COUNT; i++) {
		const volatile struct internal_prefix *prefix = &INTERNAL[i];

		if ((a & prefix->mask_be[0]) == prefix->addr_be[0] &&
		    (b & prefix->mask_be[1]) == prefix->addr_be[1] &&
		    (prefix->kind == KIND_IPV4) == is_v4_mapped(a, b))
			return true;
	}
	return false;
}

/* Do both addresses lie in the same internal prefix? */
static __always_inline bool share_internal_prefix(const __u64 a[2],
						  const __u64 b[2])
{
	__u32 i;

	for (i = 0; i < INTERNAL_MAX && i < INTERNAL_COUNT; i++) {
		const volatile struct internal_prefix *prefix = &INTERNAL[i];

		if (prefix->kind == KIND_IPV6 &&
		    !(((a[0] & prefix->mask_be[0]) ^ prefix->addr_be[0]) |
		      ((a[1] & prefix->mask_be[1]) ^ prefix->addr_be[1]) |
		      ((b[0] & prefix->mask_be[0]) ^ prefix->addr_be[0]) |
		      ((b[1] & prefix->mask_be[1]) ^ prefix->addr_be[1])))
			return true;
	}
	return false;
}

/*
 * If the configuration names the external NICs of a bridge or router, all other
 * NICs are internal. The source of a packet from an internal NIC is normally
 * link-local or in an internal prefix. Any other source is foreign: the policy
 * program looks it up for every packet, even of a current flow. The class tells
 * whether an endpoint or a node has the address.
 */
static __always_inline bool is_foreign_source(const __u64 sender_be[2],
					      __u32 hook, bool from_external)
{
	return INTERNAL_COUNT && (BRIDGE || ROUTER) && hook == HOOK_XDP &&
	       !from_external &&
	       !is_internal_address(sender_be[0], sender_be[1]) &&
	       !is_link_local(sender_be);
}

static __always_inline bool is_spoofed(const struct pkt *pkt)
{
	bool has_outer_sender = pkt->full.icmp_error || pkt->full.tunnel;

	if (!INTERNAL_COUNT || !pkt->env.from_external)
		return false;
	return has_outer_sender ? is_internal_address(pkt->addr.sender_be[0],
						      pkt->addr.sender_be[1]) :
				  is_internal_address(pkt->addr.source_be[0],
						      pkt->addr.source_be[1]);
}

/* A packet that arrives on a NIC never has an address of this machine or a
 * broadcast address as its source. Duplicate address detection is the
 * exception. */
static __always_inline bool has_host_source(const struct pkt *pkt)
{
	bool has_outer_sender = pkt->full.icmp_error || pkt->full.tunnel;

	if (BRIDGE || (pkt->out.verdict == VERDICT_PASS &&
		       pkt->out.reason == REASON_PASS_ND))
		return false;
	return address_flags(has_outer_sender ? pkt->addr.sender_be :
						pkt->addr.source_be) &
		       (OWN_HOST | OWN_BROADCAST) ||
	       (pkt->full.tunnel && !pkt->full.icmp_error &&
		is_host_address(pkt->addr.source_be));
}

/* The outer sender of an ICMP error inside a tunnel is not recorded. Such a
 * packet therefore never has a foreign source. */
static __always_inline void set_foreign_source(struct pkt *pkt)
{
	const __u64 *sender_be = pkt->full.icmp_error ? pkt->addr.sender_be :
							pkt->addr.source_be;

	pkt->env.has_foreign_source =
		!(pkt->full.icmp_error && pkt->full.tunnel) &&
		is_foreign_source(sender_be, pkt->env.hook,
				  pkt->env.from_external);
}

#endif
