//! The status: interfaces, flow table, blocks, problems. The daemon adds its own health.

use bailey_bpf::abi;
use bailey_config::{Guard, Topology};
use bailey_control::api;
use bailey_datapath::DatapathError;
use bailey_datapath::attach::nft_guard;
use bailey_datapath::blocks::Blocks;
use bailey_datapath::flows::sweep::SCALING_START_PERCENT;
use bailey_datapath::flows::table::{Census, FlowTable};
use bailey_datapath::maps::shape::flow_slots;
use bailey_datapath::observe::status::InterfaceStatus;
use bailey_state::rule_ids::RuleNames;

use crate::blocks::block_to_api;
use crate::live_state::{LiveState, stamp};

impl LiveState {
    /// The status, except for the fields that only the daemon knows.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn status(&self) -> Result<api::Status, DatapathError> {
        self.status_with(&self.census()?)
    }

    /// Flows by state.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn census(&self) -> Result<Census, DatapathError> {
        Ok(FlowTable::open(&self.pins)?.census())
    }

    /// As [`Self::status`], with flows that were counted before.
    ///
    /// # Errors
    /// If a pinned map cannot be read.
    pub fn status_with(&self, census: &Census) -> Result<api::Status, DatapathError> {
        let loaded = self.loaded()?;
        let blocks = Blocks::open(&self.pins)?.list()?;
        let shown = blocks.iter().take(api::STATUS_BLOCKS);
        let interfaces = loaded.interfaces.iter().map(|i| self.interface_to_api(i));
        let interfaces: Vec<api::Interface> = interfaces.collect();
        let guard = self.is_guarded();
        Ok(api::Status {
            stamp: stamp(loaded.control.generation),
            enforcing: loaded.is_enforcing(),
            guard,
            flow_table: self.flow_table_to_api(loaded.scale, census),
            flood_seconds: loaded.flood_seconds,
            warm_up: loaded.warming_up,
            capturing: loaded.capturing,
            blocks: blocks.len() as u64,
            blocked: shown.map(block_to_api).collect(),
            problems: self.problems(&interfaces, loaded.control.generation, guard),
            interfaces,
            daemon: None,
        })
    }

    /// True if the configuration asks for a guard and its table is loaded.
    pub(crate) fn is_guarded(&self) -> bool {
        self.config.guard != Guard::Off && nft_guard::is_loaded(&self.config.paths.pins)
    }

    /// Problems of interfaces, guard and `rules.json`.
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
            } else if !interface.fully_attached {
                problems.push(format!("interface {name}: a program is not attached"));
            }
        }
        if self.config.guard != Guard::Off && !guarded {
            problems
                .push("guard: the table is missing; a restart of the daemon creates it".to_owned());
        }
        let state = &self.config.paths.state;
        if generation > 0
            && let Some(error) = self.rule_file.error(state)
        {
            let path = RuleNames::path(state);
            problems.push(format!(
                "{}: {error}: after a restart counters and flows would have no rule names; SIGHUP \
                 makes the daemon write the file again if the directory is writable",
                path.display()
            ));
        }
        problems
    }

    fn interface_to_api(&self, loaded: &InterfaceStatus) -> api::Interface {
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
            fully_attached: loaded.xdp_program.is_some()
                && (loaded.tc_program.is_some() || self.config.topology == Topology::Bridge),
        }
    }

    /// Fill of the flow table. The limit is the configured one if the table was created with this
    /// configuration, else half of the slots.
    pub(crate) fn flow_table_to_api(&self, scale: u64, census: &Census) -> api::FlowTable {
        let configured = flow_slots(&self.config.settings()) == census.slots;
        let limit = match configured {
            true => u64::from(self.config.flow_table.flows),
            false => census.slots / 2,
        };
        api::FlowTable {
            slots_used: census.used_slots,
            slots: census.slots,
            live_flows: census.live(),
            limit,
            timeout_scaling_from: limit * SCALING_START_PERCENT / 100,
            timeout_percent: scale * 100 / u64::from(abi::SCALE_ONE),
        }
    }
}
