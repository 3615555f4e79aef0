/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Gives each run of a program under test a different packet: writes the next tuple
 * into the frame and tail-calls the program. BPF_PROG_TEST_RUN alone repeats one
 * packet, and all of its data stays in the first-level cache.
 *
 * The cost of this program is the same for every program under test. The benchmark
 * measures it with an XDP_DROP program as the callee, and subtracts it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define ETH_BYTES 14
#define ADDRESSES4 (ETH_BYTES + 12)
#define ADDRESSES6 (ETH_BYTES + 8)

/* Both addresses and both ports, in the layout of a frame without IP options. */
struct tuple {
	__u8 bytes[40];
} __attribute__((aligned(8)));

struct cursor {
	__u32 next;
	__u32 mask;    /* number of tuples - 1; the number is a power of two */
	__u32 swap;    /* write the tuple of the reply */
	__u32 no_ports; /* write addresses only */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tuple);
} tuples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cursor);
} cursor SEC(".maps");

/* A program array cannot mix programs with and without fragment (frags) support. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject_plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject_frags SEC(".maps");

/*
 * Copies in words of the size that the programs load. A load that spans several
 * smaller stores defeats store forwarding, a delay that frames from a NIC do not
 * have.
 */
static __always_inline void copy(void *to, const void *from, const __u32 bytes)
{
	__u32 i;

	if (bytes % 8 == 0) {
#pragma unroll
		for (i = 0; i < bytes / 8; i++)
			((__u64 *)to)[i] = ((const __u64 *)from)[i];
	} else {
#pragma unroll
		for (i = 0; i < bytes / 4; i++)
			((__u32 *)to)[i] = ((const __u32 *)from)[i];
	}
}

static __always_inline bool write_next(struct xdp_md *ctx, const __u32 at,
				       const __u32 address)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	void *to = data + at;
	__u16 *ports = to + 2 * address, *from;
	__u32 zero = 0, index;
	struct cursor *now = bpf_map_lookup_elem(&cursor, &zero);
	struct tuple *tuple;

	if (!now || data + at + 2 * address + 4 > end)
		return false;
	index = now->next++ & now->mask;
	tuple = bpf_map_lookup_elem(&tuples, &index);
	if (!tuple)
		return false;
	from = (__u16 *)(tuple->bytes + 2 * address);
	if (now->swap) {
		copy(to, tuple->bytes + address, address);
		copy(to + address, tuple->bytes, address);
		ports[0] = from[1];
		ports[1] = from[0];
		return true;
	}
	copy(to, tuple->bytes, address);
	copy(to + address, tuple->bytes + address, address);
	if (!now->no_ports)
		copy(ports, from, 4);
	return true;
}

#define MUTATOR(name, section, subject, at, address)       \
	SEC(section)                                       \
	int name(struct xdp_md *ctx)                       \
	{                                                  \
		if (write_next(ctx, at, address))          \
			bpf_tail_call(ctx, &subject, 0);   \
		return XDP_ABORTED;                        \
	}

MUTATOR(mutate4_plain, "xdp", subject_plain, ADDRESSES4, 4)
MUTATOR(mutate6_plain, "xdp", subject_plain, ADDRESSES6, 16)
MUTATOR(mutate4_frags, "xdp.frags", subject_frags, ADDRESSES4, 4)
MUTATOR(mutate6_frags, "xdp.frags", subject_frags, ADDRESSES6, 16)

char LICENSE[] SEC("license") = "Dual MIT/GPL";
