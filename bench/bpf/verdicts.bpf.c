/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Upper bounds of speed: programs that drop, return or redirect every frame
 * without parsing it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define memcpy __builtin_memcpy

SEC("xdp")
int drop_plain(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp.frags")
int drop_frags(struct xdp_md *ctx)
{
	return XDP_DROP;
}

/* Sends the frame back through its ingress interface, with swapped MACs. */
SEC("xdp")
int tx(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u8 *frame = data;
	__u8 mac[6];

	if (data + 14 > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	memcpy(mac, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, mac, 6);
	return XDP_TX;
}

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} other_side SEC(".maps");

/* Forwards the frame to the peer port. */
SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&other_side, ctx->ingress_ifindex, XDP_ABORTED);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
