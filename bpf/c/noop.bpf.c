/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* For the other end of a veth pair: it delivers what XDP sends only to somebody
 * who receives by XDP. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
