/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Frame generator and receiver. The generator sends frames from an array, at full
 * speed or at a rate: BPF_PROG_TEST_RUN with live frames runs it once per frame
 * and transmits 64 frames at a time.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#define FRAME_WORDS 8
#define BURST 64              /* TEST_XDP_BATCH in net/bpf/test_run.c */
#define SKIP 16               /* bytes to the next cache line, see generate() */
#define STAMP_AT 42           /* payload of a UDP datagram over IPv4 */
#define LOOKS (1 << 20)       /* maximum clock reads per burst: at least 20 ms */

struct frame {
	__u64 words[FRAME_WORDS];
};

struct plan {
	__u32 next;
	__u32 mask;     /* number of frames - 1; the number is a power of two */
	__u32 sent;
	__u32 stamp;    /* write the burst's due time into each frame */
	__u64 every;    /* nanoseconds between bursts; 0: full speed */
	__u64 due;
	__u64 begun, ended; /* times of the first and the last burst */
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
 * Waits until the next burst is due. A late burst leaves at once and keeps its due
 * time, so that a late generator does not hide waiting time (coordinated omission).
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

	/*
	 * A NIC's frames start at a cache line. Test-run frames start 48 bytes after
	 * one (two struct xdp_buff and 256 bytes of headroom), which would spread the
	 * headers over two lines.
	 */
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
	/* Write all bytes: a recycled frame keeps the changes of its last user. */
#pragma unroll
	for (int word = 0; word < FRAME_WORDS; word++)
		to[word] = frame->words[word];
	if (now->stamp)
		__builtin_memcpy((void *)to + STAMP_AT, &now->due, sizeof(now->due));
	return XDP_TX;
}

/* Frames that arrived at the receiving host. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

#define SAMPLES (1 << 20)

/* Latencies of stamped frames in nanoseconds; element 0 is their number. */
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
	/* Frames without a stamp have no plausible time there. */
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

/* Counts frames and records their latencies. */
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

/* Counts frames without latencies, because reading the clock takes time. */
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
