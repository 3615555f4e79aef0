/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Addresses of this machine, which the daemon reads from the kernel. They are
 * never the source of a packet that arrives on a NIC, and never those of an
 * endpoint beside the host. A filter answers for nearly all other addresses
 * without a hash lookup.
 */
#ifndef BAILEY_ADDRESS_OWN_H
#define BAILEY_ADDRESS_OWN_H

#include "core/maps.h"

SHARED_VALUE(struct own_filter, own_filter);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, OWN_ADDRESSES);
	__type(key, struct own_address);
	__type(value, __u32);
} own_addresses SEC(".maps");

/* False for nearly all addresses that do not belong to this machine. */
static __always_inline bool may_be_host_address(const __u64 address_be[2])
{
	__u32 bit = (address_be[0] ^ address_be[1]) * OWN_FILTER_MUL >>
		    (64 - OWN_FILTER_BITS);

	return READ_ONCE(own_filter.word[bit / 64]) >> (bit & 63) & 1;
}

/* Flags OWN_* of an address, 0: not of this machine. A global function, so that
 * the verifier checks it once. Linux 6.1 accepts map keys from the stack only,
 * not through an argument. */
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

/* Does an interface stacked on an attached one have this MAC address? */
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
