/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Register-only loop of 1000 instructions at full instruction-level parallelism.
 * Its run time doubles while the SMT sibling of the core is busy, so it measures
 * CPU contention.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("socket")
int pace(struct __sk_buff *skb)
{
	asm volatile("r1 = 0; r2 = 0; r3 = 0; r4 = 0; r5 = 0;"
		     ".rept 200;"
		     "r1 += 1; r2 += 1; r3 += 1; r4 += 1; r5 += 1;"
		     ".endr;" ::: "r1", "r2", "r3", "r4", "r5");
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
