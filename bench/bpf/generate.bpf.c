/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Sends frames from an array, as fast as it can or at a rate: BPF_PROG_TEST_RUN with
 * live frames runs it once per frame and transmits 64 of them at a time.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define FRAME_WORDS 8
#define BURST 64              /* TEST_XDP_BATCH of the kernel's net/bpf/test_run.c */
#define SKIP 16               /* to the next cache line, see below */
#define STAMP_AT 42           /* payload of a UDP datagram over IPv4 */
#define LOOKS (1 << 20)       /* at the clock, at most: 20 ms and more */

struct frame {
	__u64 words[FRAME_WORDS];
};

struct plan {
	__u32 next;
	__u32 mask;     /* frames - 1, a power of two - 1 */
	__u32 sent;
	__u32 stamp;    /* write when the burst was due into each frame */
	__u64 every;    /* nanoseconds from one burst to the next; 0: at once */
	__u64 due;
	__u64 begun, ended; /* when the first and the last burst were made */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct frame);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct plan);
} plan SEC(".maps");

static long is_due(__u64 look, const __u64 *due)
{
	return bpf_ktime_get_ns() >= *due;
}

/*
 * What was due earlier goes out at once and keeps its time: a generator that is late
 * must not hide what a packet would have waited (coordinated omission).
 */
static __always_inline void next_burst(struct plan *now)
{
	__u64 due;

	if (!now->begun)
		now->begun = now->due = bpf_ktime_get_ns();
	else
		now->due += now->every;
	due = now->due;
	if (now->every)
		bpf_loop(LOOKS, is_due, &due, 0);
	now->ended = bpf_ktime_get_ns();
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	__u32 zero = 0, index;
	struct plan *now = bpf_map_lookup_elem(&plan, &zero);
	struct frame *frame;
	__u64 *to;

	/* A NIC's frames begin with a cache line; these would begin 48 bytes after
	 * one (two struct xdp_buff and the headroom of 256), and headers be in two. */
	if (!now || bpf_xdp_adjust_head(ctx, SKIP))
		return XDP_ABORTED;
	to = (void *)(long)ctx->data;
	if ((void *)(to + FRAME_WORDS) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (now->sent++ % BURST == 0)
		next_burst(now);
	index = now->next++ & now->mask;
	frame = bpf_map_lookup_elem(&frames, &index);
	if (!frame)
		return XDP_ABORTED;
	/* All of it: frames come back as whoever had them last left them. */
#pragma unroll
	for (int word = 0; word < FRAME_WORDS; word++)
		to[word] = frame->words[word];
	if (now->stamp)
		__builtin_memcpy((void *)to + STAMP_AT, &now->due, sizeof(now->due));
	return XDP_TX;
}

/* Where frames arrive. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

#define SAMPLES (1 << 20)

/* Nanoseconds that stamped frames took; the first is how many there are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SAMPLES + 1);
	__type(key, __u32);
	__type(value, __u32);
} samples SEC(".maps");

static __always_inline void sample(void *data, void *end)
{
	__u64 due, now = bpf_ktime_get_ns();
	__u32 zero = 0, at, *count, *value;

	if (data + STAMP_AT + sizeof(due) > end)
		return;
	__builtin_memcpy(&due, data + STAMP_AT, sizeof(due));
	/* Whatever else arrives has no such number there. */
	if (due > now || now - due > 0xffffffff)
		return;
	count = bpf_map_lookup_elem(&samples, &zero);
	if (!count)
		return;
	at = __sync_fetch_and_add(count, 1) % SAMPLES + 1;
	value = bpf_map_lookup_elem(&samples, &at);
	if (value)
		*value = now - due;
}

SEC("xdp")
int arrive(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&arrived, &zero);

	if (count)
		*count += 1;
	sample((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return XDP_DROP;
}

/* The same where packets are only counted: reading a clock costs. */
SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *count = bpf_map_lookup_elem(&arrived, &zero);

	if (count)
		*count += 1;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
