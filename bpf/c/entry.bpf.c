// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * What is attached: parse, look the flow up, act. A packet that the flow table
 * does not answer goes on to the policy program of the current generation.
 */
#include "guard/blocklist.h"
#include "forward/bridge.h"
#include "core/clock.h"
#include "guard/failsafe.h"
#include "verdict.h"
#include "flow/advance.h"
#include "parse/full.h"
#include "address/own.h"
#include "parse/fast.h"
#include "flow/fast_path.h"
#include "address/antispoof.h"

static __always_inline __u32 scale_at(__u64 word, __u32 now)
{
	__u32 age = (now - (__u32)(word >> SCALE_STAMP_SHIFT)) & TICK_MASK;

	return age < SCALE_TICKS ? word & SCALE_MASK : SCALE_ONE;
}

static __always_inline bool warm_at(__u64 until, __u32 now)
{
	return until && (((__u32)until - now - 1) & TICK_MASK) < WARM_TICKS_MAX;
}

/* A frame is to be read. */
static __always_inline struct pkt *frame_begin(__u32 hook)
{
	struct pkt *pkt = bpf_map_lookup_elem(&scratch, &hook);

	if (pkt)
		__builtin_memset(&pkt->bytes, 0,
				 __builtin_offsetof(struct pkt, control) -
					 __builtin_offsetof(struct pkt, bytes));
	return pkt;
}

/* What is in force where a frame came in. */
struct scene {
	struct control *control;
	__u64 interface; /* 0: not attached to */
};

static __always_inline bool scene_set(struct scene *scene, void *control_map,
				      __u32 ifindex)
{
	__u64 *interface;
	__u32 zero = 0;

	scene->control = bpf_map_lookup_elem(control_map, &zero);
	interface = interface_word(ifindex);
	scene->interface = interface ? *interface : 0;
	return scene->control;
}

/* What was read is to be judged. */
static __always_inline void pkt_begin(struct pkt *pkt, __u32 hook,
				      const struct scene *scene, __u32 ifindex)
{
	struct control *control = scene->control;
	__u64 now = clock_nanoseconds();

	__builtin_memset(&pkt->control, 0,
			 sizeof(*pkt) - __builtin_offsetof(struct pkt, control));
	pkt->control = READ_ONCE(control->word);
	pkt->hook = hook;
	pkt->packets = 1;
	pkt->now = clock_tick(now);
	pkt->part = clock_part(now);
	pkt->scale = scale_at(READ_ONCE(control->scale), pkt->now);
	pkt->ifindex = ifindex;
	pkt->warm = warm_at(READ_ONCE(control->warm_until), pkt->now);
	pkt->mac = scene->interface >> INTERFACE_MAC_SHIFT;
	pkt->slot = scene->interface & (INTERFACE_SLOTS - 1);
	pkt->outside = !!(scene->interface & INTERFACE_OUTSIDE);
	pkt->fib = (scene->interface & INTERFACE_RP_FILTER ? FIB_RP_FILTER : 0) |
		   (scene->interface & INTERFACE_STACK ? FIB_STACK : 0) |
		   (scene->interface & INTERFACE_STACK6 ? FIB_STACK6 : 0);
}

static __always_inline enum step flow_answer(struct pkt *pkt)
{
	enum find find = FIND_BUSY;
	__u64 words[2];
	int i;

	if (!pkt->plain && !flow_hash(pkt))
		return drop(pkt, REASON_DROP_MAP);
	/* A flow that another CPU is judging again is there a moment later; to
	 * take it for a new one would cost a reply. */
	for (i = 0; i < FLOW_TRIES && find == FIND_BUSY; i++)
		find = flow_find(pkt, words);
	if (find == FIND_HIT)
		return flow_hit(pkt);
	return pkt->related ? drop(pkt, REASON_DROP_ICMP_ERROR) : STEP_CONTINUE;
}

/* Whatever the flow table does not answer with an allow is asked of the failsafe
 * before anything else. */
static __always_inline enum step flow_step(struct pkt *pkt)
{
	enum step step;

	/* Who sends an error in a tunnel is not kept. */
	pkt->foreign = !(pkt->related && pkt->tunnel) &&
		       foreign(pkt->related ? pkt->sender_be : pkt->source_be,
			       pkt->hook, pkt->outside);

	if (carrier_blocked(pkt))
		return drop(pkt, REASON_DROP_BLOCKED);
	step = flow_answer(pkt);
	if (pkt->verdict != VERDICT_PASS && failsafe_passes(pkt)) {
		pkt->egress = RULE_NONE;
		pkt->ingress = RULE_NONE;
		return pass(pkt, REASON_PASS_FAILSAFE);
	}
	if (step != STEP_CONTINUE)
		return step;
	return blocked(pkt) ? drop(pkt, REASON_DROP_BLOCKED) : STEP_CONTINUE;
}

/* Before the long way: what the short way has left, but for a tag that did not
 * stand in the frame. */
static __always_inline void parse_restart(struct pkt *pkt, __u32 len,
					  __u32 tags, __u32 zone)
{
	packet_restart(pkt);
	pkt->tags = tags;
	pkt->zone = zone;
	pkt->end = len;
}

/* How much of a frame is copied, in terms that the verifier follows. */
static __always_inline __u32 headers_length(__u32 len)
{
	asm volatile("" : "+r"(len));
	return len > HEADERS_MAX ? HEADERS_MAX : len;
}

static __always_inline enum step parse_copied(struct pkt *pkt,
					      struct headers *copy)
{
	enum step step = parse_headers(pkt, copy);

	if (step == STEP_CONTINUE && pkt->fragment == FRAGMENT_LATER)
		step = fragment_follow(pkt);
	if (step == STEP_CONTINUE)
		key_set(pkt);
	return step;
}

/* The short way, for a frame that has been begun: all of pkt that it takes to look
 * the flow up. */
static __always_inline bool read_plain(struct pkt *pkt, void *data,
				       void *data_end, __u32 len)
{
	pkt->bytes = len;
	if (!plain_frame(pkt, data, data_end, len))
		return false;
	key_set(pkt);
	return flow_hash(pkt);
}

static __always_inline bool read_plain_xdp(struct pkt *pkt, struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;

	return read_plain(pkt, data, data_end, data_end - data);
}

/* The long way. */
static __always_inline enum step parse_xdp(struct pkt *pkt, struct xdp_md *ctx)
{
	__u32 len = bpf_xdp_get_buff_len(ctx); /* there may be further buffers */
	__u32 hook = pkt->hook, length;
	struct headers *copy;

	pkt->bytes = len;
	copy = bpf_map_lookup_elem(&headers, &hook);
	if (!copy)
		return drop(pkt, REASON_DROP_MAP);
	parse_restart(pkt, len, 0, 0);
	length = headers_length(len);
	if (length < ETH_HLEN)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	if (bpf_xdp_load_bytes(ctx, 0, copy->bytes, length))
		return drop(pkt, REASON_DROP_MAP);
	return parse_copied(pkt, copy);
}

/* A packet that comes in through a NIC never has this machine's address as its source, and
 * no packet has a broadcast address there. Duplicate address detection is the exception. */
static __always_inline bool forged(const struct pkt *pkt)
{
	bool elsewhere = pkt->related || pkt->tunnel;

	if (BRIDGE || (pkt->verdict == VERDICT_PASS && pkt->reason == REASON_PASS_ND))
		return false;
	return own_kind(elsewhere ? pkt->sender_be : pkt->source_be) &
		       (OWN_HOST | OWN_BROADCAST) ||
	       (pkt->tunnel && !pkt->related && own_address(pkt->source_be));
}

/* Is the packet DHCP, IGMP or MLD that passes without policy? */
static __always_inline bool control_passes(const struct pkt *pkt)
{
	return pkt->verdict == VERDICT_PASS &&
	       (pkt->reason == REASON_PASS_DHCP ||
		pkt->reason == REASON_PASS_MULTICAST_CONTROL);
}

/* Blocks hold for control packets too. */
static __always_inline bool control_blocked(struct pkt *pkt)
{
	if (!control_passes(pkt))
		return false;
	key_set(pkt);
	return blocked(pkt);
}

/* Does a control packet from the inside have a source outside its prefixes? The policy
 * program then asks whether an endpoint or a node has the address. */
static __always_inline bool control_foreign(struct pkt *pkt)
{
	pkt->foreign = control_passes(pkt) && !source_unspecified(pkt) &&
		       foreign(pkt->source_be, pkt->hook, pkt->outside);
	return pkt->foreign;
}

static __always_inline bool eth_readable(const struct xdp_md *ctx)
{
	return (void *)(long)ctx->data + ETH_HLEN <= (void *)(long)ctx->data_end;
}

SEC("xdp.frags")
int entry_xdp(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	enum step step = STEP_CONTINUE;
	struct pkt *pkt = frame_begin(HOOK_XDP);
	struct scene scene;
	struct quick quick;
	bool plain;
	int action;

	if (!pkt || !scene_set(&scene, &control, ifindex))
		return XDP_DROP;
	plain = read_plain_xdp(pkt, ctx);
	/* A router has a route to find. */
	if (plain && !ROUTER &&
	    quick_passes(pkt, READ_ONCE(scene.control->word), scene.interface,
			 HOOK_XDP, &quick)) {
		action = BRIDGE ? bpf_redirect_map(&bridge_ports, ifindex,
						   XDP_DROP)
				: XDP_PASS;
		if (action != XDP_DROP) {
			quick_count(pkt, scene.interface, HOOK_XDP, 1, &quick);
			return action;
		}
	}
	pkt_begin(pkt, HOOK_XDP, &scene, ifindex);
	pkt->plain = plain;
	if (!plain)
		step = parse_xdp(pkt, ctx);
	else if (eth_readable(ctx))
		pkt->link = link_of((void *)(long)ctx->data, pkt->mac);
	/* Also of what passes without policy, if it is IP. */
	if ((step == STEP_CONTINUE || pkt->verdict == VERDICT_PASS) && pkt->kind &&
	    (spoofed(pkt) || forged(pkt)))
		step = drop(pkt, REASON_DROP_SPOOFED);
	if (control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step == STEP_CONTINUE)
		step = flow_step(pkt);
	else if (control_foreign(pkt))
		step = STEP_CONTINUE;
	if (step != STEP_CONTINUE)
		return finish_xdp(ctx, pkt);
	bpf_tail_call(ctx, &policies_xdp, control_slot(pkt->control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_xdp(ctx, pkt);
}

/* Did the packet come in through a NIC where XDP judged it? So says a number of an
 * interface: that of another network namespace may be the same, and the stack may have
 * translated or unpacked the packet since. It is no reason to pass, but what it passed
 * there is not counted again here. */
static __always_inline bool judged(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ingress_ifindex;
	__u64 *interface;

	if (!ifindex)
		return false;
	interface = interface_word(ifindex);
	return interface && *interface & INTERFACE_JUDGED &&
	       !((*interface ^ ifindex / IFINDEX_MAX << INTERFACE_HIGH_SHIFT) &
		 INTERFACE_HIGH_MASK);
}

/* Does the machine send the frame, and no station beside it (a macvlan)? Only then does
 * the packet come from where the machine says it came in, and an address of the machine
 * is the machine's. Interfaces of another network namespace that share its address, such as
 * VLANs, cannot be told from it. */
static __always_inline bool by_machine(struct __sk_buff *skb, __u64 mac)
{
	struct ethhdr *eth = (void *)(long)skb->data;
	__u64 from = 0;

	if (!mac || (void *)(eth + 1) > (void *)(long)skb->data_end)
		return true;
	__builtin_memcpy(&from, eth->h_source, ETH_ALEN);
	return from == mac || own_station(from);
}

/* Guests leave the number of segments to be computed. */
static __always_inline __u32 segments(struct __sk_buff *skb)
{
	if (skb->gso_segs)
		return skb->gso_segs;
	return skb->gso_size ? (skb->len + skb->gso_size - 1) / skb->gso_size : 1;
}

static __always_inline enum step parse_skb(struct pkt *pkt,
					   struct __sk_buff *skb, __u32 tags,
					   __u32 zone)
{
	__u32 hook = HOOK_TC, length;
	struct headers *copy;

	copy = bpf_map_lookup_elem(&headers, &hook);
	if (!copy)
		return drop(pkt, REASON_DROP_MAP);
	parse_restart(pkt, skb->len, tags, zone);
	length = headers_length(skb->len);
	if (length < ETH_HLEN)
		return drop(pkt, REASON_DROP_ETH_TRUNCATED);
	if (bpf_skb_load_bytes(skb, 0, copy->bytes, length))
		return drop(pkt, REASON_DROP_MAP);
	return parse_copied(pkt, copy);
}

SEC("classifier")
int entry_tc(struct __sk_buff *skb)
{
	__u32 packets = segments(skb), ifindex = skb->ifindex, tags, zone;
	struct pkt *pkt = frame_begin(HOOK_TC);
	bool plain, seen = judged(skb);
	enum step step = STEP_CONTINUE;
	struct scene scene;
	struct quick quick;

	if (!pkt || !scene_set(&scene, &control, ifindex))
		return TC_ACT_SHOT;
	/* The outermost tag is not in the frame but beside it. */
	if (skb->vlan_present)
		vlan_enter(pkt, skb->vlan_tci);
	tags = pkt->tags;
	zone = pkt->zone;
	pkt->joined = skb->gso_size != 0;
	plain = read_plain(pkt, (void *)(long)skb->data,
			   (void *)(long)skb->data_end, skb->len);
	pkt->bytes = skb->wire_len ?: skb->len; /* 0 outside a qdisc */
	if (plain && quick_passes(pkt, READ_ONCE(scene.control->word), 0, HOOK_TC,
				  &quick)) {
		if (seen)
			reason_count_at(bpf_get_smp_processor_id(),
					scene.interface & (INTERFACE_SLOTS - 1),
					HOOK_TC, REASON_PASS_JUDGED, packets,
					pkt->bytes);
		else
			quick_count(pkt, scene.interface, HOOK_TC, packets,
				    &quick);
		return TC_ACT_UNSPEC;
	}
	pkt_begin(pkt, HOOK_TC, &scene, ifindex);
	pkt->packets = packets;
	pkt->plain = plain;
	pkt->judged = seen;
	pkt->forwarded = !!skb->ingress_ifindex;
	pkt->by_machine = by_machine(skb, pkt->mac);
	if (!plain)
		step = parse_skb(pkt, skb, tags, zone);
	if (control_blocked(pkt))
		step = drop(pkt, REASON_DROP_BLOCKED);
	if (step != STEP_CONTINUE)
		return finish_tc(pkt);
	if (flow_step(pkt) != STEP_CONTINUE)
		return finish_tc(pkt);
	bpf_tail_call(skb, &policies_tc, control_slot(pkt->control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_tc(pkt);
}

/* Judges a packet as a new connection under the generation that probe_control
 * names. Never attached, counts nothing, writes nothing but its answer. */
SEC("xdp.frags")
int entry_probe(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	struct pkt *pkt = frame_begin(HOOK_PROBE);
	struct scene scene;
	bool plain;

	if (!pkt || !scene_set(&scene, &probe_control, ifindex))
		return XDP_DROP;
	plain = read_plain_xdp(pkt, ctx);
	pkt_begin(pkt, HOOK_PROBE, &scene, ifindex);
	pkt->plain = plain;
	if (!plain && parse_xdp(pkt, ctx) != STEP_CONTINUE)
		return finish_probe(ctx, pkt);
	pkt->steps = PROBE_PARSED;
	if (failsafe_passes(pkt)) {
		pass(pkt, REASON_PASS_FAILSAFE);
		return finish_probe(ctx, pkt);
	}
	if (carrier_blocked(pkt) || blocked(pkt)) {
		drop(pkt, REASON_DROP_BLOCKED);
		return finish_probe(ctx, pkt);
	}
	bpf_tail_call(ctx, &policies_probe, control_slot(pkt->control));
	drop(pkt, REASON_DROP_NO_POLICY);
	return finish_probe(ctx, pkt);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
