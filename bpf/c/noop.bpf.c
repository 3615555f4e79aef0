/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* XDP_PASS for the peer of a veth pair: a veth delivers frames sent by XDP only
 * if its peer has an XDP program. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
