use std::sync::{Arc, Mutex, PoisonError};

use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use bailey_compile::RuleIds;
use bailey_control::api::{self, Named, SCHEMA_VERSION};
use bailey_datapath::blocks::{self, Blocks};
use bailey_datapath::flows::sweep::SCALE_START;
use bailey_datapath::flows::table::{Census, FlowTable, state_name};
use bailey_datapath::maps::control::ControlWord;
use bailey_datapath::observe::counters::Counters;
use bailey_datapath::observe::status::{Loaded, LoadedInterface};
use bailey_datapath::{DatapathError, PinDir, flow_slots};
use bailey_policy::NetworkPolicy;
use ipnet::IpNet;

use crate::guard;
use crate::rule_names::RuleNames;
use bailey_config::{Config, Guard, Topology};

/// Words for what happens to flows.
mod events;
/// The flow table, as lines.
mod flows;
/// What is there beside policy.
mod live;
/// Rules and their names.
mod rules;

pub use flows::FlowList;

use events::EVENTS;

/// Reads what is pinned and says it in the words of the API; the daemon's server and the verbs that
/// find no daemon use the same.
#[derive(Debug)]
pub struct View {
    pins: PinDir,
    config: Config,
    /// The rules of the daemon's own memory; without a daemon they are in a file.
    known: Option<KnownRules>,
}

/// The rules in force, as the daemon knows them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct KnownRules(Arc<Mutex<InForce>>);

/// Rule ids, and the policies that have the rules.
type InForce = (Arc<RuleIds>, Vec<Arc<NetworkPolicy>>);

impl KnownRules {
    /// These are in force from now on; `policies` are sorted.
    pub fn set(&self, ids: Arc<RuleIds>, policies: Vec<Arc<NetworkPolicy>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (ids, policies);
    }

    /// Their names; nothing of what they say where an earlier process read that.
    fn names(&self) -> (RuleNames, bool) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ids, policies) = known.clone();
        drop(known);
        (RuleNames::of(&ids, &policies), !policies.is_empty())
    }
}

impl View {
    /// Of the Bailey with this configuration.
    pub fn new(config: Config) -> Self {
        Self {
            pins: PinDir::Path(config.paths.pins.clone()),
            config,
            known: None,
        }
    }

    /// The same, where rules are known without their file.
    #[must_use]
    pub fn with_rules(self, known: KnownRules) -> Self {
        Self {
            known: Some(known),
            ..self
        }
    }

    fn loaded(&self) -> Result<Loaded, DatapathError> {
        Loaded::read(&self.config.paths.pins)
    }

    fn stamp(&self) -> Result<api::Stamp, DatapathError> {
        Ok(stamp(ControlWord::read(&self.pins)?.generation))
    }

    /// The stamp of an answer that needs no Bailey.
    pub fn stamp_or_none(&self) -> api::Stamp {
        self.stamp().unwrap_or_else(|_| stamp(0))
    }

    /// Rule names; numbers, if the file cannot be read.
    fn names(&self) -> RuleNames {
        let read = || RuleNames::read(&self.config.paths.state);
        match self.known.as_ref().map(KnownRules::names) {
            Some((names, true)) => names,
            Some((names, false)) => read().unwrap_or(names),
            None => read().unwrap_or_default(),
        }
    }

    /// One screen of truth, without what only the daemon knows.
    ///
    /// # Errors
    /// If what is pinned cannot be read; likewise below.
    pub fn status(&self) -> Result<api::Status, DatapathError> {
        let loaded = self.loaded()?;
        let census = FlowTable::open(&self.pins)?.census();
        let blocks = Blocks::open(&self.pins)?.list()?;
        let shown = blocks.iter().take(api::STATUS_BLOCKS);
        let interfaces = loaded.interfaces.iter().map(|i| self.interface(i));
        let interfaces: Vec<api::Interface> = interfaces.collect();
        let guard = self.is_guarded();
        Ok(api::Status {
            stamp: stamp(loaded.control.generation),
            enforcing: loaded.is_enforcing(),
            guard,
            flow_table: self.flow_table(loaded.scale, &census),
            flood_seconds: loaded.flood_seconds,
            blocks: blocks.len() as u64,
            blocked: shown.map(block).collect(),
            problems: self.problems(&interfaces, loaded.control.generation, guard),
            interfaces,
            daemon: None,
        })
    }

    /// Is there a guard? Asked where there may be one.
    fn is_guarded(&self) -> bool {
        self.config.guard != Guard::Off && guard::is_there(&self.config.paths.pins)
    }

    /// What is wrong with what is pinned and written.
    fn problems(
        &self,
        interfaces: &[api::Interface],
        generation: u32,
        guarded: bool,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for interface in interfaces {
            let name = &interface.name;
            if interface.link == "gone" {
                problems.push(format!("interface {name}: there is no such interface"));
            } else if !interface.complete {
                problems.push(format!("interface {name}: a program is not attached"));
            }
        }
        if self.config.guard != Guard::Off && !guarded {
            problems
                .push("guard: its table is not there; a start of the daemon makes it".to_owned());
        }
        let state = &self.config.paths.state;
        if generation > 0
            && let Err(error) = RuleNames::read(state)
        {
            let path = RuleNames::path(state);
            problems.push(format!(
                "{}: {error}: after a restart counters and flows would have no names of rules; SIGHUP \
                 makes the daemon write it again, where the directory can be written to",
                path.display()
            ));
        }
        problems
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

    /// The limit is that of the configuration, if that is the one that the table was made with.
    fn flow_table(&self, scale: u64, census: &Census) -> api::FlowTable {
        let configured = flow_slots(&self.config.settings()) == census.slots;
        let limit = match configured {
            true => u64::from(self.config.flow_table.flows),
            false => census.slots / 2,
        };
        api::FlowTable {
            slots_used: census.taken,
            slots: census.slots,
            live: census.live(),
            limit,
            shrinking_from: limit * SCALE_START / 100,
            idle_time_percent: scale * 100 / u64::from(abi::SCALE_ONE),
        }
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
            stamp: self.stamp()?,
            flow_table: self.flow_table(self.loaded()?.scale, &census),
            states,
            events: events.collect(),
        })
    }

    /// All blocks.
    pub fn blocks(&self) -> Result<api::Blocks, DatapathError> {
        let blocks = Blocks::open(&self.pins)?.list()?;
        Ok(api::Blocks {
            stamp: self.stamp()?,
            blocks: blocks.iter().map(block).collect(),
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
            stamp: self.stamp()?,
            counters: rows,
        })
    }
}

fn stamp(generation: u32) -> api::Stamp {
    api::Stamp {
        schema_version: SCHEMA_VERSION,
        time: crate::clock::rfc3339(),
        node: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        generation,
    }
}

fn block(block: &blocks::Block) -> api::Block {
    api::Block {
        prefix: short_prefix(&block.prefix),
        seconds_left: block.seconds_left,
        added: block.added,
        reason: block.note.clone(),
    }
}

/// A full-length prefix is an address.
pub fn short_prefix(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

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
