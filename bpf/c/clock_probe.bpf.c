/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Writes both clocks of core/clock.h over the frame, for calibration; never
 * attached. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct reading {
	__u64 jiffies;
	__u64 nanoseconds;
};

SEC("xdp")
int clocks(struct xdp_md *ctx)
{
	struct reading *reading = (void *)(long)ctx->data;

	if ((void *)(reading + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	reading->jiffies = bpf_jiffies64();
	reading->nanoseconds = bpf_ktime_get_coarse_ns();
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
