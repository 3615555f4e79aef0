use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use bailey_control::api::{self, Named, SCHEMA_VERSION};
use bailey_datapath::clock::Ticks;
use bailey_datapath::counters::Counters;
use bailey_datapath::flows::{Census, Flow, FlowTable, state_name};
use bailey_datapath::status::{Loaded, LoadedInterface};
use bailey_datapath::{DatapathError, PinDir};

use crate::config::{Config, Topology};
use crate::rule_names::RuleNames;

/// Reads what is pinned and says it in the words of the API; the daemon's server and the verbs that
/// find no daemon use the same.
#[derive(Debug)]
pub struct View {
    pins: PinDir,
    config: Config,
}

impl View {
    /// Of the Bailey with this configuration.
    pub fn new(config: Config) -> Self {
        Self {
            pins: PinDir::Path(config.paths.pins.clone()),
            config,
        }
    }

    fn loaded(&self) -> Result<Loaded, DatapathError> {
        Loaded::read(&self.config.paths.pins)
    }

    /// Rule names; numbers, if the file cannot be read.
    fn names(&self) -> RuleNames {
        RuleNames::read(&self.config.paths.state).unwrap_or_default()
    }

    /// One screen of truth, without what only the daemon knows.
    ///
    /// # Errors
    /// If what is pinned cannot be read; likewise below.
    pub fn status(&self) -> Result<api::Status, DatapathError> {
        let loaded = self.loaded()?;
        let census = FlowTable::open(&self.pins)?.census();
        Ok(api::Status {
            schema_version: SCHEMA_VERSION,
            enforcing: loaded.is_enforcing(),
            generation: loaded.control.generation,
            flow_table: self.flow_table(&loaded, &census),
            flood_seconds: loaded.flood_seconds,
            interfaces: loaded
                .interfaces
                .iter()
                .map(|i| self.interface(i))
                .collect(),
            daemon: None,
        })
    }

    fn interface(&self, loaded: &LoadedInterface) -> api::Interface {
        let renamed = loaded.name_now.as_ref().filter(|now| **now != loaded.name);
        let link = match (&loaded.name_now, loaded.running) {
            (None, _) => "gone",
            (_, true) => "up",
            (_, false) => "down",
        };
        api::Interface {
            name: loaded.name.clone(),
            renamed_to: renamed.cloned(),
            ifindex: loaded.index,
            link: link.to_owned(),
            xdp_mode: loaded.xdp_mode.name().to_owned(),
            xdp_program: loaded.xdp_program,
            tc_program: loaded.tc_program,
            complete: loaded.xdp_program.is_some()
                && (loaded.tc_program.is_some() || self.config.topology == Topology::Bridge),
        }
    }

    fn flow_table(&self, loaded: &Loaded, census: &Census) -> api::FlowTable {
        api::FlowTable {
            flows: census.taken,
            limit: u64::from(self.config.flow_table.flows),
            slots: census.slots,
            idle_time_percent: loaded.scale * 100 / u64::from(abi::SCALE_ONE),
        }
    }

    /// Every rule of the generation in force.
    pub fn rules(&self) -> Result<api::Rules, DatapathError> {
        let counters = Counters::open(&self.pins)?;
        let names = self.names();
        let fixed = [
            abi::RULE_NOT_ISOLATED,
            abi::RULE_OWN_NODE,
            abi::RULE_SELF,
            abi::RULE_UNKNOWN_ADDRESS,
        ];
        let now = Ticks::now();
        let ids = names.rules.iter().map(|rule| rule.id).chain(fixed);
        let rules = ids.map(|id| {
            let count = counters.rule(id);
            api::Rule {
                id,
                rule: names.label(id),
                hits: count.hits,
                packets: count.packets,
                bytes: count.bytes,
                limited: count.limited,
                idle_seconds: count.seen.map(|seen| now.seconds_since(seen)),
            }
        });
        Ok(api::Rules {
            schema_version: SCHEMA_VERSION,
            generation: self.loaded()?.control.generation,
            rules: rules.collect(),
        })
    }

    /// Every flow, sorted.
    pub fn flows(&self) -> Result<api::Flows, DatapathError> {
        let table = FlowTable::open(&self.pins)?;
        let names = self.names();
        let now = Ticks::now();
        let mut flows: Vec<api::Flow> = table.iter().map(|f| flow(&f, now, &names)).collect();
        flows.sort_by(|a, b| {
            let key = |f: &api::Flow| (f.protocol.clone(), f.source.clone(), f.destination.clone());
            (key(a), a.source_port).cmp(&(key(b), b.source_port))
        });
        Ok(api::Flows {
            schema_version: SCHEMA_VERSION,
            flows,
        })
    }

    /// Pressure on the flow table.
    pub fn flow_stats(&self) -> Result<api::FlowStats, DatapathError> {
        let census = FlowTable::open(&self.pins)?.census();
        let counted = Counters::open(&self.pins)?.events();
        let mut states: Vec<Named> = Vec::new();
        for (state, &count) in (0..).zip(&census.by_state) {
            let protocol = protocol_of(state);
            states.push(Named {
                name: format!("{protocol}{}", state_name(state)),
                count,
                help: String::new(),
            });
        }
        states.retain(|state| state.count > 0);
        let events = EVENTS.iter().map(|&(event, name, help)| Named {
            name: name.to_owned(),
            count: counted[event as usize],
            help: help.to_owned(),
        });
        Ok(api::FlowStats {
            schema_version: SCHEMA_VERSION,
            flow_table: self.flow_table(&self.loaded()?, &census),
            states,
            events: events.collect(),
        })
    }

    /// Packets by interface, hook, verdict and reason.
    pub fn counters(&self) -> Result<api::Counters, DatapathError> {
        let mut rows = Vec::new();
        for counts in Counters::open(&self.pins)?.interfaces() {
            let name = if counts.name.is_empty() {
                "-"
            } else {
                &counts.name
            };
            for (&(hook, number), count) in &counts.reasons {
                let reason = Reason::of(number);
                let passes = reason.is_some_and(|reason| reason.passes);
                rows.push(api::Counter {
                    interface: name.to_owned(),
                    hook: if hook == abi::HOOK_XDP { "xdp" } else { "tc" }.to_owned(),
                    verdict: if passes { "pass" } else { "drop" }.to_owned(),
                    reason: reason.map_or_else(|| number.to_string(), |r| r.name.to_owned()),
                    packets: count.packets,
                    bytes: count.bytes,
                    help: reason.map_or("", |reason| reason.help).to_owned(),
                });
            }
            if counts.lost > 0 {
                rows.push(api::Counter {
                    interface: name.to_owned(),
                    hook: "bridge".to_owned(),
                    verdict: "drop".to_owned(),
                    reason: "redirect-failed".to_owned(),
                    packets: counts.lost,
                    bytes: 0,
                    help: "passed here, and the other side could not send it".to_owned(),
                });
            }
        }
        Ok(api::Counters {
            schema_version: SCHEMA_VERSION,
            counters: rows,
        })
    }
}

/// `enum flow_event`, in words.
const EVENTS: &[(u32, &str, &str)] = &[
    (abi::FLOW_INSERTED, "inserted", "flows opened"),
    (
        abi::FLOW_SWEPT,
        "expired",
        "idle for too long, and retired by the sweeper",
    ),
    (
        abi::FLOW_EVICTED_EXPIRED,
        "evicted-expired",
        "idle for too long, and replaced by a new flow",
    ),
    (
        abi::FLOW_EVICTED_OVER,
        "evicted-over",
        "closed or revoked, and replaced by a new flow",
    ),
    (
        abi::FLOW_EVICTED_HALF_OPEN,
        "evicted-half-open",
        "unanswered or over its source's limit, and replaced by a new flow",
    ),
    (
        abi::FLOW_EVICTED_IDLE,
        "evicted-idle",
        "live, idle for long, and replaced as the last resort",
    ),
    (
        abi::FLOW_SOURCE_LIMITED,
        "source-limited",
        "packets of flows that stay evictable because their source has enough",
    ),
    (
        abi::FLOW_REFUSED_FULL,
        "refused-full",
        "new flows that found no place: dropped",
    ),
    (
        abi::FLOW_REFUSED_CONTENTION,
        "refused-contention",
        "new flows that lost a race again and again: dropped",
    ),
    (
        abi::FLOW_RESTAMPED,
        "restamped",
        "idle flows whose epoch was so old that it could come round",
    ),
    (
        abi::FLOW_RECOVERED,
        "recovered",
        "places that a killed process had left unusable",
    ),
    (
        abi::FLOW_FLOOD_BEGAN,
        "flood-began",
        "times that a CPU saw more new flows than it may open",
    ),
    (
        abi::FLOW_FLOOD_ENDED,
        "flood-ended",
        "times that this was over",
    ),
    (
        abi::FLOW_PROVEN,
        "proven",
        "TCP clients that answered a challenge",
    ),
    (
        abi::FLOW_RETRIED,
        "retried",
        "SYNs that were let through because they came again",
    ),
    (
        abi::FLOW_COOKIE,
        "cookie-returned",
        "connections opened by the answer to a SYN cookie",
    ),
];

fn protocol_of(state: u32) -> &'static str {
    match state {
        abi::STATE_UDP_NEW | abi::STATE_UDP_REPLIED => "UDP ",
        abi::STATE_ICMP_NEW | abi::STATE_ICMP_REPLIED => "ICMP ",
        abi::STATE_SCTP_NEW | abi::STATE_SCTP_REPLIED => "SCTP ",
        abi::STATE_OTHER_NEW | abi::STATE_OTHER_REPLIED => "other ",
        abi::STATE_DENIED | abi::STATE_BUSY => "",
        _ => "TCP ",
    }
}

fn flow(flow: &Flow, now: Ticks, names: &RuleNames) -> api::Flow {
    api::Flow {
        protocol: flow.protocol.to_string(),
        source: flow.source.to_string(),
        source_port: flow.source_port,
        destination: flow.destination.to_string(),
        destination_port: flow.destination_port,
        state: state_name(flow.state).to_owned(),
        idle_seconds: now.seconds_since(flow.seen),
        packets: flow.original.packets,
        bytes: flow.original.bytes,
        reply_packets: flow.reply.packets,
        reply_bytes: flow.reply.bytes,
        egress_rule: names.label(flow.egress_rule),
        ingress_rule: names.label(flow.ingress_rule),
    }
}
