/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Counts frames that a bridge loses after the program has returned XDP_REDIRECT
 * and counted them as passed. Two tracepoints report them. */
#ifndef BAILEY_FORWARD_BRIDGE_H
#define BAILEY_FORWARD_BRIDGE_H

#include "core/maps.h"

/* The fields of kernel types that are read; offsets come from kernel BTF. */
struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

/* Tracepoints fire for all network namespaces, but an ifindex is unique in one
 * only. */
volatile const __u32 NETWORK_NAMESPACE = 0;

static __always_inline void count_lost_frames(const struct net_device *from,
					      int frames)
{
	__u32 ifindex, slot;
	__u64 *word, *lost;

	if (frames <= 0 || from->nd_net.net->ns.inum != NETWORK_NAMESPACE)
		return;
	ifindex = from->ifindex;
	word = interface_word(ifindex);
	if (!word || !*word)
		return;
	slot = *word & (INTERFACE_SLOTS - 1);
	lost = bpf_map_lookup_elem(&bridge_lost, &slot);
	if (lost)
		__sync_fetch_and_add(lost, frames);
}

/* (from_dev, to_dev, sent, drops, err) */
SEC("tp_btf/xdp_devmap_xmit")
int bridge_xmit(__u64 *ctx)
{
	count_lost_frames((const struct net_device *)ctx[0], (int)ctx[3]);
	return 0;
}

/* (dev, xdp, tgt, err, map_type, map_id, index) */
SEC("tp_btf/xdp_redirect_err")
int bridge_error(__u64 *ctx)
{
	count_lost_frames((const struct net_device *)ctx[0], 1);
	return 0;
}

#endif
