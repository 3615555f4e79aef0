/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * The addresses of this machine, as the daemon reads them from the kernel: never the
 * source of what comes in through a NIC, and not to be taken for those of an endpoint
 * beside it. A filter in front answers for nearly all others without a hash lookup.
 */
#ifndef BAILEY_ADDRESS_OWN_H
#define BAILEY_ADDRESS_OWN_H

#include "core/maps.h"

ARRAY(own_filter, struct own_filter, 1);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OWN_ADDRESSES);
	__type(key, struct own_address);
	__type(value, __u32);
} own_addresses SEC(".maps");

/* Can an address be something to this machine? False of nearly all that are not. */
static __always_inline bool may_be_host_address(const __u64 address_be[2])
{
	struct own_filter *filter;
	__u32 zero = 0, bit;

	filter = bpf_map_lookup_elem(&own_filter, &zero);
	if (!filter)
		return true;
	bit = (address_be[0] ^ address_be[1]) * OWN_FILTER_MUL >>
	      (64 - OWN_FILTER_BITS);
	return filter->word[bit / 64] >> (bit & 63) & 1;
}

/* Bits OWN_*, or 0 of an address that is nothing to this machine. A global function,
 * verified once. Linux 6.1 takes a key from the stack, not from an argument. */
__noinline int host_address_flags(const struct own_address *address)
{
	struct own_address key;
	__u32 *kind;

	if (!address)
		return 0;
	key = *address;
	if (!may_be_host_address(key.addr_be))
		return 0;
	kind = bpf_map_lookup_elem(&own_addresses, &key);
	return kind ? *kind : 0;
}

static __always_inline __u32 address_flags(const __u64 address_be[2])
{
	return host_address_flags((const struct own_address *)address_be);
}

/* Has an interface of this machine on an attached one this hardware address? */
static __always_inline bool is_host_mac(__u64 mac)
{
	const __u64 address_be[2] = { ~0ULL, mac };

	return address_flags(address_be) & OWN_STATION;
}

static __always_inline bool is_host_address(const __u64 address_be[2])
{
	return address_flags(address_be) & OWN_HOST;
}

#endif
