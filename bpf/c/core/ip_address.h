/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* IP addresses as two words in network byte order; IPv4 as ::ffff:a.b.c.d. */
#ifndef BAILEY_CORE_IP_ADDRESS_H
#define BAILEY_CORE_IP_ADDRESS_H

#include "core/abi.h"

static __always_inline bool is_v4_mapped(__u64 first, __u64 second)
{
	return !first && (__u32)second == V4_MAPPED_WORD;
}

/* fe80::/10, 169.254.0.0/16 */
static __always_inline bool is_link_local(const __u64 address_be[2])
{
	if (is_v4_mapped(address_be[0], address_be[1]))
		return (address_be[1] >> 32 & 0xffff) == 0xfea9;
	return (address_be[0] & 0xc0ff) == 0x80fe;
}

/* 224.0.0.0/4, 255.255.255.255, ff00::/8 */
static __always_inline bool is_group_address(const __u64 address_be[2])
{
	if (is_v4_mapped(address_be[0], address_be[1]))
		return (address_be[1] >> 32 & 0xf0) == 0xe0 ||
		       address_be[1] >> 32 == 0xffffffff;
	return (address_be[0] & 0xff) == 0xff;
}

static __always_inline __u64 v4_mapped_address(__be32 address)
{
	return (__u64)address << 32 | V4_MAPPED_WORD;
}

#endif
