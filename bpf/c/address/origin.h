/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Origin of a packet at tc egress: XDP on another NIC, or this machine. */
#ifndef BAILEY_ADDRESS_ORIGIN_H
#define BAILEY_ADDRESS_ORIGIN_H

#include "address/own.h"

/*
 * Did XDP on the ingress NIC evaluate this packet? Known by ifindex only: an
 * interface of another network namespace may have the same one, and the kernel
 * may have translated or decapsulated the packet since. Therefore this is no
 * reason to pass the packet; it only avoids counting the packet twice.
 */
static __always_inline bool was_evaluated_at_xdp(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ingress_ifindex;
	__u64 *interface;

	if (!ifindex)
		return false;
	interface = interface_word(ifindex);
	return interface && *interface & INTERFACE_EVALUATED &&
	       !((*interface ^ ifindex / IFINDEX_MAX << INTERFACE_HIGH_SHIFT) &
		 INTERFACE_HIGH_MASK);
}

/*
 * Does this machine send the frame, and not a station beside it (a macvlan)?
 * Only then are the ingress interface and a source address of this machine
 * trustworthy. Interfaces of another network namespace with this machine's MAC
 * address, such as VLANs, are indistinguishable from the machine.
 */
static __always_inline bool is_frame_from_host(struct __sk_buff *skb, __u64 mac)
{
	struct ethhdr *eth = (void *)(long)skb->data;
	__u64 from = 0;

	if (!mac || (void *)(eth + 1) > (void *)(long)skb->data_end)
		return true;
	__builtin_memcpy(&from, eth->h_source, ETH_ALEN);
	return from == mac || is_host_mac(from);
}

#endif
