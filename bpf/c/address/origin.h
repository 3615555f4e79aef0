/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_ADDRESS_ORIGIN_H
#define BAILEY_ADDRESS_ORIGIN_H

#include "address/own.h"

/* Did the packet come in through a NIC where XDP judged it? So says a number of an
 * interface: that of another network namespace may be the same, and the stack may have
 * translated or unpacked the packet since. It is no reason to pass, but what it passed
 * there is not counted again here. */
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

/* Does the machine send the frame, and no station beside it (a macvlan)? Only then does
 * the packet come from where the machine says it came in, and an address of the machine
 * is the machine's. Interfaces of another network namespace that share its address, such as
 * VLANs, cannot be told from it. */
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
