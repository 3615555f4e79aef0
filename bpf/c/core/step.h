/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* Results of one processing step, and the verdicts that end processing. */
#ifndef BAILEY_CORE_STEP_H
#define BAILEY_CORE_STEP_H

#include "core/pkt.h"

/* A step either lets the next one continue or has set pkt->out.verdict and
 * pkt->out.reason. Only finish_*() turn these into a return code. */
enum step {
	STEP_CONTINUE = 0,
	STEP_DONE = 1,
	STEP_TUNNEL = 2, /* parse the packet inside the tunnel */
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

/* The program rewrites the frame into a reply and sends it back. */
static __always_inline enum step reply(struct pkt *pkt, enum reason reason)
{
	pkt->out.verdict = VERDICT_ANSWER;
	pkt->out.reason = reason;
	return STEP_DONE;
}

#endif
