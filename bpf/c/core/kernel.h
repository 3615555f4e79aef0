/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Kernel and libbpf headers, and volatile access. */
#ifndef BAILEY_CORE_KERNEL_H
#define BAILEY_CORE_KERNEL_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))

#endif
