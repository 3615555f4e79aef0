/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Packets to groups (multicast, broadcast) and link-local addresses.
 *
 * Policy selects endpoints by their listed addresses. A packet to a group
 * reaches endpoints that no rule names, and link-local addresses of endpoints
 * are not listed. While a policy isolates any endpoint, only control protocols
 * and configured exceptions pass; docs/packets.md has the table.
 */
#ifndef BAILEY_POLICY_SCOPE_H
#define BAILEY_POLICY_SCOPE_H

#include "address/antispoof.h"
#include "address/own.h"
#include "core/step.h"

volatile const __u32 ISOLATES = 0; /* ISOLATES_* of this generation */
volatile const __u32 GROUP_COUNT = 0;
volatile const struct group_prefix GROUPS[GROUPS_MAX] = {};
volatile const __u32 LINK_SERVICE_COUNT = 0;
volatile const struct link_service LINK_SERVICES[LINK_SERVICES_MAX] = {};

#define IPPROTO_EIGRP 88
#define IPPROTO_OSPF 89
#ifndef IPPROTO_PIM
#define IPPROTO_PIM 103
#endif
#define IPPROTO_VRRP 112
#define BFD_CONTROL 3784
#define BFD_ECHO 3785

/* Routing and redundancy protocols on a link: protocol, port, and the last byte
 * of the group, 224.0.0.x or ff02::x. HSRP version 2 and GLBP use
 * 224.0.0.102. */
struct control_group {
	__u8 protocol;
	__u8 v4;
	__u8 v6;
	__u16 port;
};

static const struct control_group CONTROL_GROUPS[] = {
	{ IPPROTO_OSPF, 5, 0x05, 0 },   { IPPROTO_OSPF, 6, 0x06, 0 },
	{ IPPROTO_EIGRP, 10, 0x0a, 0 }, { IPPROTO_PIM, 13, 0x0d, 0 },
	{ IPPROTO_VRRP, 18, 0x12, 0 },  { IPPROTO_UDP, 9, 0, 520 },
	{ IPPROTO_UDP, 0, 0x09, 521 },  { IPPROTO_UDP, 2, 0x02, 646 },
	{ IPPROTO_UDP, 2, 0, 1985 },    { IPPROTO_UDP, 102, 0, 1985 },
	{ IPPROTO_UDP, 0, 0x66, 2029 }, { IPPROTO_UDP, 102, 0x66, 3222 },
};

/* A global function, so that the verifier checks it once. */
__noinline int is_control_group(struct pkt *pkt)
{
	__u32 last, i;
	bool v4;

	if (!pkt)
		return 0;
	last = pkt->addr.destination_be[1] >> 56;
	v4 = pkt->in.kind == KIND_IPV4;
	if (v4 ? (pkt->addr.destination_be[1] >> 32 & 0xffffff) != 0x0000e0 :
		 pkt->addr.destination_be[0] !=
				    bpf_cpu_to_be64(0xff02ULL << 48) ||
			    pkt->addr.destination_be[1] << 8)
		return 0;
	for (i = 0; i < sizeof(CONTROL_GROUPS) / sizeof(CONTROL_GROUPS[0]);
	     i++) {
		const struct control_group *group = &CONTROL_GROUPS[i];

		if (pkt->in.protocol == group->protocol && last &&
		    last == (v4 ? group->v4 : group->v6) &&
		    pkt->in.destination_port == group->port)
			return 1;
	}
	return 0;
}

__noinline int is_allowed_group(struct pkt *pkt)
{
	__u32 i;

	if (!pkt)
		return 0;
	for (i = 0; i < GROUPS_MAX && i < GROUP_COUNT; i++) {
		const volatile struct group_prefix *group = &GROUPS[i];

		if (group->kind == pkt->in.kind &&
		    (pkt->addr.destination_be[0] & group->mask_be[0]) ==
			    group->addr_be[0] &&
		    (pkt->addr.destination_be[1] & group->mask_be[1]) ==
			    group->addr_be[1])
			return 1;
	}
	return 0;
}

/* port: of the flow's destination. */
__noinline int is_link_service(struct pkt *pkt, __u32 port)
{
	__u32 i;

	if (!pkt)
		return 0;
	if (pkt->in.protocol == IPPROTO_OSPF ||
	    pkt->in.protocol == IPPROTO_EIGRP ||
	    pkt->in.protocol == IPPROTO_PIM ||
	    pkt->in.protocol == IPPROTO_VRRP ||
	    (pkt->in.protocol == IPPROTO_UDP &&
	     (port == BFD_CONTROL || port == BFD_ECHO)))
		return 1;
	for (i = 0; i < LINK_SERVICES_MAX && i < LINK_SERVICE_COUNT; i++)
		if (LINK_SERVICES[i].protocol == pkt->in.protocol &&
		    (LINK_SERVICES[i].any || LINK_SERVICES[i].port == port))
			return 1;
	return 0;
}

/* tc: is this machine itself the sender? */
static __always_inline bool is_sent_by_host(const struct pkt *pkt,
					    const __u64 sender_be[2])
{
	return pkt->env.hook == HOOK_TC && pkt->env.is_from_host &&
	       is_host_address(sender_be);
}

/* Link-local traffic of an endpoint, not of this machine. On a bridge all of it
 * is. Forwarded packets come from a network that this machine routes. */
static __always_inline bool is_foreign_link_local(const struct pkt *pkt)
{
	bool from = is_link_local(pkt->addr.source_be),
	     to = is_link_local(pkt->addr.destination_be);

	if (BRIDGE)
		return from || to;
	if (pkt->env.hook == HOOK_TC)
		return (from || (to && !pkt->env.is_forwarded)) &&
		       !is_sent_by_host(pkt, pkt->addr.source_be);
	/* An endpoint beside this machine may use the host's address. */
	return (from || to) && (pkt->in.link_target == LINK_OTHER ||
				!is_host_address(pkt->addr.destination_be));
}

/* Packets to a group address, and any packet in a group frame, such as one to
 * the broadcast address of a subnet. At tc egress the senders behind this
 * machine may send to groups, except from link-local addresses. */
static __always_inline bool is_group_restricted(const struct pkt *pkt)
{
	bool group = pkt->in.link_target == LINK_GROUP ||
		     is_group_address(pkt->addr.destination_be);

	if (!group)
		return false;
	if (pkt->env.hook == HOOK_TC)
		return ISOLATES & ISOLATES_EGRESS &&
		       is_link_local(pkt->addr.source_be) &&
		       !is_sent_by_host(pkt, pkt->addr.source_be);
	return ISOLATES & ISOLATES_INGRESS;
}

static __always_inline enum step scope_step(struct pkt *pkt, __u32 port)
{
	/* The probe acts for no host, but may act for a bridge. */
	if (!ISOLATES || (pkt->env.hook == HOOK_PROBE && !BRIDGE))
		return STEP_CONTINUE;
	if (is_group_address(pkt->addr.destination_be) ||
	    pkt->in.link_target == LINK_GROUP)
		return !is_group_restricted(pkt) || is_control_group(pkt) ||
				       is_allowed_group(pkt) ?
			       STEP_CONTINUE :
			       drop(pkt, REASON_DROP_GROUP);
	/* The broadcast address of a host's subnet, in a unicast frame. */
	if (ISOLATES & ISOLATES_INGRESS && !BRIDGE &&
	    pkt->env.hook == HOOK_XDP &&
	    address_flags(pkt->addr.destination_be) & OWN_BROADCAST)
		return drop(pkt, REASON_DROP_GROUP);
	return !is_foreign_link_local(pkt) || is_link_service(pkt, port) ?
		       STEP_CONTINUE :
		       drop(pkt, REASON_DROP_LINK_LOCAL);
}

#endif
