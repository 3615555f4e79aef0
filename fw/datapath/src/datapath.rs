use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use aya::programs::{ProgramFd, SchedClassifier, TestRun, TestRunOptions, Xdp};
use bailey_bpf::abi;
use bailey_compile::{RuleIds, Tables};

use crate::attach::Attachments;
use crate::control::{Committed, ControlWord};
use crate::counters::Counters;
use crate::error::DatapathError;
use crate::flows::FlowTable;
use crate::generation::Generation;
use crate::pins::PinDir;
use crate::settings::Settings;
use crate::shared::{Programs, SHARED_MAPS, Shared, classifier, cpus, program, xdp};
use crate::sys;

/// Puts tables into force: what the daemon's loop needs of a datapath.
pub trait Enforcer {
    /// Builds a generation of these tables aside and commits it. On an error the generation that
    /// is in force stays.
    ///
    /// # Errors
    /// If anything about the new generation cannot be loaded or verified.
    fn install(&mut self, tables: &Tables) -> Result<Committed, DatapathError>;

    /// Which of these rule ids do live flows carry?
    ///
    /// # Errors
    /// If the flow table cannot be read.
    fn carried(&self, ids: &RuleIds) -> Result<Vec<u32>, DatapathError>;
}

/// The loaded programs. Dropping it detaches everything and removes the pins.
pub struct Datapath {
    attachments: Attachments,
    generations: VecDeque<Generation>,
    /// Ids whose counters belong to the generation in force.
    counted: RuleIds,
    pub(crate) shared: Shared,
}

/// The hook whose program a test run executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// `entry_xdp`.
    Xdp,
    /// `entry_tc`.
    Tc,
}

/// Generations kept loaded: the one in force, and the one before for a rollback.
const KEPT: usize = 2;

impl Datapath {
    /// Creates the maps and loads the entry programs. Nothing is attached, no policy is in force.
    ///
    /// # Errors
    /// If the kernel refuses a map or a program.
    pub fn create(pins: PinDir, settings: Settings) -> Result<Self, DatapathError> {
        Self::with(pins, settings, Programs::All)
    }

    /// The same with the probe only: it can judge, and cannot be attached.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_probe(pins: PinDir, settings: Settings) -> Result<Self, DatapathError> {
        Self::with(pins, settings, Programs::Probe)
    }

    fn with(pins: PinDir, settings: Settings, programs: Programs) -> Result<Self, DatapathError> {
        Ok(Self {
            attachments: Attachments::default(),
            generations: VecDeque::new(),
            counted: RuleIds::default(),
            shared: Shared::create(pins, settings, programs)?,
        })
    }

    /// Loads a generation and puts it into its slot; not yet in force.
    fn stage(&self, tables: &Tables) -> Result<Generation, DatapathError> {
        let word = ControlWord::load(&self.shared.control).next();
        let generation = Generation::load(tables, word, &self.shared)?;
        // A packet that read the control word before the slot was last used may still run.
        sys::grace_period().map_err(|source| DatapathError::System {
            operation: "membarrier (a nohz_full kernel is not supported)",
            source,
        })?;
        Ok(generation)
    }

    fn fill_slot(&mut self, generation: &mut Generation) -> Result<(), DatapathError> {
        let slot = generation.word.slot;
        let programs = &mut generation.programs;
        let failed = |error| DatapathError::program("policy")(error);
        let all = self.shared.programs == Programs::All;
        let [xdp_array, tc_array, probe_array] = &mut self.shared.policies;
        let mut filled = vec![(
            probe_array,
            clone_fd(xdp(programs, "policy_probe")?.fd().map_err(failed)?)?,
        )];
        if all {
            let fd = clone_fd(xdp(programs, "policy_xdp")?.fd().map_err(failed)?)?;
            filled.push((xdp_array, fd));
            let fd = clone_fd(classifier(programs, "policy_tc")?.fd().map_err(failed)?)?;
            filled.push((tc_array, fd));
        }
        for (array, fd) in &mut filled {
            array.set(slot, fd, 0).map_err(|error| DatapathError::Map {
                name: "policies".into(),
                operation: "put a program into its slot",
                source: std::io::Error::other(error),
            })?;
        }
        Ok(())
    }

    /// Counters of ids that the new generation gives to other rules begin at zero.
    fn clear_new_counters(&mut self, rules: &RuleIds) -> Result<(), DatapathError> {
        let stride = self.shared.settings.rule_stride() as usize;
        let words = size_of::<abi::rule_counter>() / 8;
        let counters = self.shared.rule_counters.words();
        let cpus = cpus()? as usize;
        let new = rules
            .iter()
            .filter(|(id, key)| self.counted.key(*id) != Some(key));
        for (id, _) in new {
            for cpu in 0..cpus {
                let at = (cpu * stride + id as usize) * words;
                for word in counters.get(at..at + words).unwrap_or_default() {
                    word.store(0, Ordering::Relaxed);
                }
            }
        }
        self.counted = rules.clone();
        Ok(())
    }

    /// Attaches to interfaces by name.
    ///
    /// # Errors
    /// If any refuses; then none is attached.
    pub fn attach(&mut self, interfaces: &[crate::attach::Interface]) -> Result<(), DatapathError> {
        self.attachments.attach(&mut self.shared, interfaces)
    }

    /// The counters.
    ///
    /// # Errors
    /// If they cannot be mapped.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        Counters::open(&self.shared.pins)
    }

    /// The flow table.
    ///
    /// # Errors
    /// If it cannot be mapped.
    pub fn flows(&self) -> Result<FlowTable, DatapathError> {
        FlowTable::open(&self.shared.pins)
    }

    /// Which word is in force.
    pub fn control(&self) -> ControlWord {
        ControlWord::load(&self.shared.control)
    }

    /// Runs an attached program on a frame, with all its effects on flows and counters, and
    /// returns its return code. For tests and benchmarks.
    ///
    /// # Errors
    /// If the kernel refuses the frame.
    pub fn test_run(&self, hook: Hook, frame: &[u8], repeat: u32) -> Result<u32, DatapathError> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame);
        options.repeat = repeat;
        let entry = &self.shared.entry;
        let result = match hook {
            Hook::Xdp => program::<Xdp>(entry, "entry_xdp")?.test_run(options),
            Hook::Tc => program::<SchedClassifier>(entry, "entry_tc")?.test_run(options),
        };
        result
            .map(|run| run.return_value)
            .map_err(DatapathError::program("test run"))
    }
}

fn clone_fd(fd: &ProgramFd) -> Result<ProgramFd, DatapathError> {
    fd.try_clone().map_err(|source| DatapathError::System {
        operation: "dup",
        source,
    })
}

impl Enforcer for Datapath {
    fn install(&mut self, tables: &Tables) -> Result<Committed, DatapathError> {
        let needed = tables.rules.end();
        let held = self.shared.settings.rule_stride();
        if needed > held {
            return Err(DatapathError::Unsupported(format!(
                "the tables need {needed} rule counters, {held} were created"
            )));
        }
        let mut generation = self.stage(tables)?;
        self.fill_slot(&mut generation)?;
        self.clear_new_counters(&tables.rules)?;
        let word = generation.word;
        word.store(&self.shared.control);
        word.store(&self.shared.probe_control);
        self.generations.push_back(generation);
        // A grace period has passed since the generation after it was committed.
        if self.generations.len() > KEPT
            && let Some(old) = self.generations.pop_front()
        {
            for array in &mut self.shared.policies {
                let _ = array.clear_index(&old.word.slot);
            }
        }
        Ok(Committed {
            generation: word.generation,
            slot: word.slot,
        })
    }

    fn carried(&self, ids: &RuleIds) -> Result<Vec<u32>, DatapathError> {
        let mut carried: Vec<u32> = self
            .flows()?
            .iter()
            .flat_map(|flow| [flow.egress_rule, flow.ingress_rule])
            .collect();
        carried.sort_unstable();
        carried.dedup();
        let resting: Vec<u32> = ids.resting().collect();
        carried.retain(|id| resting.binary_search(id).is_ok());
        Ok(carried)
    }
}

impl Drop for Datapath {
    fn drop(&mut self) {
        self.attachments.detach();
        self.shared.pins.remove(&SHARED_MAPS);
    }
}
