/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* . */
#ifndef BAILEY_CORE_STEP_H
#define BAILEY_CORE_STEP_H

#include "core/pkt.h"

/* A step either lets the next one go on or has set pkt->out.verdict and
 * pkt->out.reason; only finish() turns those into a return code. */
enum step {
	STEP_CONTINUE = 0,
	STEP_DONE = 1,
	STEP_TUNNEL = 2, /* a tunnel: read what is inside */
};

static __always_inline enum step pass(struct pkt *pkt, enum reason reason)
{
	pkt->out.verdict = VERDICT_PASS;
	pkt->out.reason = reason;
	return STEP_DONE;
}

static __always_inline enum step drop(struct pkt *pkt, enum reason reason)
{
	pkt->out.verdict = VERDICT_DROP;
	pkt->out.reason = reason;
	return STEP_DONE;
}

/* The frame is to go back as the answer to itself. */
static __always_inline enum step reply(struct pkt *pkt, enum reason reason)
{
	pkt->out.verdict = VERDICT_ANSWER;
	pkt->out.reason = reason;
	return STEP_DONE;
}

#endif
