/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * As many instructions at a time as a core can do, and no memory: takes twice as long
 * while the core's other thread is busy.
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
