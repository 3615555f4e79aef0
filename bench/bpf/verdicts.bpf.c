/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Upper bounds of speed: programs that drop, return or redirect every frame
 * without parsing it. The programs read_drop and read_redirect read the fields
 * that every firewall reads, and ignore their values.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define memcpy __builtin_memcpy

/* Offsets of the fields in a frame without VLAN tags and IP options. */
#define ETHERTYPE_AT 12
#define PROTOCOL_AT 23
#define SOURCE_AT 26
#define DESTINATION_AT 30
#define PORTS_AT 34
#define HEADER_BYTES 38

#define READ(type, at) (*(volatile type *)(at))

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

/*
 * Reads ethertype, protocol, addresses and ports. The answer needs all of them, so
 * neither the compiler nor the CPU can omit a read. No frame of the benchmark is
 * blank.
 */
static __always_inline bool is_blank(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (data + HEADER_BYTES > (void *)(long)ctx->data_end)
		return true;
	return !(READ(__u16, data + ETHERTYPE_AT) |
		 READ(__u8, data + PROTOCOL_AT) |
		 READ(__u32, data + SOURCE_AT) |
		 READ(__u32, data + DESTINATION_AT) |
		 READ(__u32, data + PORTS_AT));
}

SEC("xdp")
int read_drop(struct xdp_md *ctx)
{
	return is_blank(ctx) ? XDP_ABORTED : XDP_DROP;
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
static __always_inline int forward(struct xdp_md *ctx)
{
	return bpf_redirect_map(&other_side, ctx->ingress_ifindex, XDP_ABORTED);
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return forward(ctx);
}

SEC("xdp")
int read_redirect(struct xdp_md *ctx)
{
	return is_blank(ctx) ? XDP_ABORTED : forward(ctx);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
