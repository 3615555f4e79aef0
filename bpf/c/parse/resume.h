/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The packet of a program that entry_xdp has called, in struct pkt. */
#ifndef BAILEY_PARSE_RESUME_H
#define BAILEY_PARSE_RESUME_H

#include "core/handover.h"
#include "core/ingress.h"
#include "parse/fast.h"

/* Fills struct pkt as the slow path of entry_xdp does. The fast parser has
 * accepted the frame before; false: the frame has changed since. */
static __always_inline bool pkt_from_handover(struct pkt *pkt,
					      struct xdp_md *ctx,
					      const struct handover *from)
{
	struct ingress_ctx in = { .control = &control,
				  .interface = from->interface };
	bool is_parsed;

	__builtin_memset(&pkt->in, 0, sizeof(pkt->in));
	is_parsed = parse_fast_xdp(pkt, ctx);
	pkt_begin_slow_path(pkt, HOOK_XDP, &in, ctx->ingress_ifindex,
			    from->now);
	pkt->env.control = from->control;
	pkt->env.is_fast_parsed = is_parsed;
	set_link_target(pkt, ctx);
	return is_parsed;
}

#endif
