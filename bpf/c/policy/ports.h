/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* (protocol, port) to port class. */
#ifndef BAILEY_POLICY_PORTS_H
#define BAILEY_POLICY_PORTS_H

#include "core/maps.h"

ARRAY(port_classes, struct port_chunk, 1);

static __always_inline __u32 port_class(__u8 protocol, __u16 port)
{
	struct port_chunk *chunk;
	__u32 which;

	if (protocol == IPPROTO_TCP)
		which = PORT_TCP;
	else if (protocol == IPPROTO_UDP)
		which = PORT_UDP;
	else if (protocol == IPPROTO_SCTP)
		which = PORT_SCTP;
	else
		return 0;
	chunk = bpf_map_lookup_elem(&port_classes, &which);
	return chunk ? chunk->v[port] : 0;
}

#endif
