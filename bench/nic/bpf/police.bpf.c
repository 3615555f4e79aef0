// A device under test with known limits: forwards frames to another interface
// through a token bucket.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

// Time that the token bucket grants one frame; 0 is unlimited.
const volatile __u64 interval_ns = 0;
// Frames that the bucket holds, one interval each.
const volatile __u64 bucket = 1;
// Drop every n-th frame, or flip a bit of every n-th frame; 0 is never.
const volatile __u64 lose_every = 0;
const volatile __u64 damage_every = 0;
// ifindex of the egress interface.
const volatile __u32 to = 0;

// When the bucket will be empty, in nanoseconds of bpf_ktime_get_ns().
static __u64 empty_at;
static __u64 frames;

SEC("xdp")
int police(struct xdp_md *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	__u8 *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;

	frames++;
	if (lose_every && frames % lose_every == 0)
		return XDP_DROP;
	if (damage_every && frames % damage_every == 0 && (void *)(data + 60) <= end)
		data[59] ^= 1;
	if (empty_at < now)
		empty_at = now;
	if (empty_at - now > bucket * interval_ns)
		return XDP_DROP;
	empty_at += interval_ns;
	return bpf_redirect(to, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
