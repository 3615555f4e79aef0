use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::{HashMap, Map};
use aya::programs::ProgramFd;
use bailey_bpf::abi;
use bailey_compile::{RuleIds, Tables};
use bailey_config::{Interface, Settings, Topology};

use crate::attach::attachments::Attachments;
use crate::attach::bridge;
use crate::attach::event::{Interface, InterfaceChange, InterfaceEvent};
use crate::attach::hotplug::HotplugAttacher;
use crate::attach::stacked;
use crate::blocks::Blocks;
use crate::error::DatapathError;
use crate::error::unusable;
use crate::flows::hash::FlowHash;
use crate::flows::sweep::Sweeper;
use crate::flows::table::FlowTable;
use crate::kernel::bpf;
use crate::kernel::clock::{Ticks, ticks_of_seconds};
use crate::kernel::cpu::cpus;
use crate::maps::control_word::{self, ControlWord};
use crate::maps::interfaces;
use crate::maps::pinned::{map_pinned, map_pinned_writable, open_pinned};
use crate::maps::pins::PinDir;
use crate::maps::shape::rule_stride;
use crate::observe::counters::Counters;
use crate::program::entry::{Programs, Shared};
use crate::program::generation::LoadedGeneration;
use crate::program::handles::{classifier, program_fd, xdp};
use crate::program::test_run::TestRun;
use crate::settings::{Settings, Topology};

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
    fn ids_in_use(&self, ids: &RuleIds) -> Result<Vec<u32>, DatapathError>;
}

/// The loaded programs. What is pinned stays when it is dropped: flows, counters, the generation in
/// force and the attached programs belong to the kernel until [`detach`](crate::detach()).
pub struct Datapath {
    attachments: Attachments,
    /// Ids whose counters belong to the generation in force.
    counted: RuleIds,
    pub(crate) shared: Shared,
}

/// What a commit made current.
#[derive(Debug)]
pub struct Committed {
    /// Counts installs of this datapath, from 1.
    pub generation: u32,
    /// Slot of the program arrays.
    pub slot: u32,
    /// Attached programs that were replaced on the way.
    pub events: Vec<InterfaceEvent>,
}

impl Datapath {
    /// Adopts what is pinned there, or creates it, and loads the entry programs. Nothing that is
    /// attached is touched. `known` are the rule ids that adopted counters belong to.
    ///
    /// # Errors
    /// If what is pinned has another shape and is in use, or the kernel refuses a map or a program.
    pub fn open(pins: PinDir, settings: Settings, known: RuleIds) -> Result<Self, DatapathError> {
        Self::with(pins, settings, known, Programs::All)
    }

    /// The same with the probe only: it can judge, and cannot be attached.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_probe(pins: PinDir, settings: Settings) -> Result<Self, DatapathError> {
        Self::with(pins, settings, RuleIds::default(), Programs::Probe)
    }

    fn with(
        pins: PinDir,
        settings: Settings,
        known: RuleIds,
        programs: Programs,
    ) -> Result<Self, DatapathError> {
        let shared = Shared::open(pins, settings, programs)?;
        let attachments = Attachments::adopt(&shared);
        Ok(Self {
            attachments,
            counted: known,
            shared,
        })
    }

    /// Takes back what opening created, where nothing came of it: no program is attached, and nothing
    /// was there before.
    pub fn abandon(self) {
        if !self.is_adopted() && !self.is_attached() {
            self.shared.pins.remove_all();
            self.shared.pins.remove_directory();
        }
    }

    /// Were flows, counters and a generation there before?
    pub fn is_adopted(&self) -> bool {
        self.shared.adopted
    }

    /// What it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Are the attached programs, if any are, those of this build and these constants?
    pub fn is_current_build(&self) -> bool {
        self.shared.is_attached_build()
    }

    /// Are programs attached?
    pub fn is_attached(&self) -> bool {
        !self.attachments.is_empty()
    }

    /// Loads a generation and puts it into the slot of its word, once no packet can be there.
    fn stage(&mut self, tables: &Tables, word: ControlWord) -> Result<(), DatapathError> {
        let mut generation = LoadedGeneration::load(tables, word, &self.shared)?;
        // A packet that read the control word before the slot was last used may still run.
        grace_period()?;
        self.fill_slot(&mut generation)
    }

    /// Programs of another build are attached: puts this build's in their place. Until the next
    /// commit both builds are asked for the word in force, so this build first gets a program under
    /// that word too, as well as under the next. A packet never meets the entry program of one build
    /// and the policy program of another: each build has its own program arrays.
    ///
    /// Killed anywhere in here, the word says that no build is the attached one, and whichever build
    /// starts next takes over.
    fn replace_attached_build(
        &mut self,
        tables: &Tables,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        let in_force = ControlWord::load(&self.shared.control);
        self.stage(tables, in_force)?;
        self.shared.set_no_attached_build();
        let mut events = self.attachments.replace_programs(&self.shared)?;
        // Packets inside the old programs still need their arrays.
        grace_period()?;
        // Before the word says that all is this build's.
        events.extend(self.count_bridge_losses());
        self.shared.set_attached_build();
        Ok(events)
    }

    fn count_bridge_losses(&mut self) -> Option<InterfaceEvent> {
        if self.shared.settings.topology == Topology::Host {
            return None;
        }
        let error = bridge::count_redirect_failures(&mut self.shared).err()?;
        Some(InterfaceEvent::new(
            "bridge",
            InterfaceChange::LossUncounted(error),
        ))
    }

    /// Every slot but those of the word in force and of the one before, which stays for a rollback.
    fn clear_old_slots(&mut self, word: ControlWord) {
        let before = (word.slot + abi::POLICY_SLOTS - 1) % abi::POLICY_SLOTS;
        self.clear_slots(|slot| slot != word.slot && slot != before);
    }

    fn clear_slots(&mut self, chosen: impl Fn(u32) -> bool) {
        for slot in (0..abi::POLICY_SLOTS).filter(|&slot| chosen(slot)) {
            for array in &mut self.shared.policies {
                let _ = array.clear_index(&slot);
            }
        }
    }

    fn fill_slot(&mut self, generation: &mut LoadedGeneration) -> Result<(), DatapathError> {
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
        let stride = rule_stride(&self.shared.settings) as usize;
        let words = size_of::<abi::rule_counter>() / 8;
        let counters = self.shared.rule_counters.words();
        let limit_words = size_of::<abi::limit_state>() / 8;
        let limits = self.shared.limit_states.words();
        let cpus = cpus()? as usize;
        let new = rules
            .iter()
            .filter(|(id, key)| self.counted.current_or_former_key(*id) != Some(key));
        let clear = |words: &[AtomicU64], at: usize, count: usize| {
            for word in words.get(at..at + count).unwrap_or_default() {
                word.store(0, Ordering::Relaxed);
            }
        };
        for (id, _) in new {
            clear(limits, id as usize * limit_words, limit_words);
            for cpu in 0..cpus {
                clear(counters, (cpu * stride + id as usize) * words, words);
            }
        }
        self.counted = rules.clone();
        Ok(())
    }

    /// Attaches to interfaces by name, where that is not done already, and takes off what is no
    /// longer configured. With `replace`, another's XDP program makes way.
    ///
    /// # Errors
    /// If any refuses and nothing was attached before; then nothing is. Where something was, a refusal
    /// is among the events.
    pub fn attach(
        &mut self,
        interfaces: &[Interface],
        replace: bool,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        let interfaces = &stacked::resolve_wanted(interfaces, self.shared.settings.topology)[..];
        let foreign_build = !self.shared.is_attached_build() && !self.attachments.is_empty();
        let mut events = self
            .attachments
            .attach(&mut self.shared, interfaces, replace)?;
        if !foreign_build {
            events.extend(self.count_bridge_losses());
            self.shared.set_attached_build();
        }
        Ok(events)
    }

    /// Compares what is attached with what should be, and sets right what can be.
    pub fn tend(&mut self, interfaces: &[Interface]) -> Vec<InterfaceEvent> {
        let interfaces = stacked::resolve_wanted(interfaces, self.shared.settings.topology);
        self.attachments.tend(&mut self.shared, &interfaces, false)
    }

    /// What attaches to interfaces that come back, for a thread of its own; none where it could not
    /// attach the same.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub fn hotplug_attacher(
        &self,
        interfaces: &[Interface],
    ) -> Result<Option<HotplugAttacher>, DatapathError> {
        HotplugAttacher::new(&self.shared, interfaces)
    }

    /// The numbers of interfaces whose packets are judged.
    pub fn protected(&self) -> BTreeSet<u32> {
        self.attachments.judged()
    }

    /// Seconds since a flood of new flows began, if there is one.
    pub fn flood_seconds(&self) -> Option<u64> {
        crate::flows::flood::seconds(&self.shared.pins)
            .ok()
            .flatten()
    }

    /// Would what is attached go on without this process?
    pub fn outlives_process(&self) -> bool {
        !self.attachments.is_empty()
            && self.attachments.are_pinned(&self.shared)
            && self.shared.lost_pins() == 0
    }

    /// The sweeper of the flow table, for a thread of its own.
    ///
    /// # Errors
    /// If the maps cannot be mapped.
    pub fn sweeper(&self) -> Result<Sweeper, DatapathError> {
        Sweeper::open(&self.shared.pins, &self.shared.settings)
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

    /// The hash of its flow table.
    ///
    /// # Errors
    /// If its keys cannot be read.
    pub fn flow_hash(&self) -> Result<FlowHash, DatapathError> {
        FlowHash::open(&self.shared.pins)
    }

    /// Live flows by cell of their source, see [`FlowHash::source_cells`].
    ///
    /// # Errors
    /// If the counts cannot be read.
    pub fn source_counts(&self) -> Result<Vec<u64>, DatapathError> {
        let (cells, _) = map_pinned(&self.shared.pins, "source_flows", 8)?;
        let words = cells.words().iter();
        Ok(words.map(|word| word.load(Ordering::Relaxed)).collect())
    }

    /// Leaves no policy program to be called. For tests.
    #[doc(hidden)]
    pub fn empty_slots(&mut self) {
        self.clear_slots(|_| true);
    }

    /// Takes a line as a sweeper does, and does not give it back. For tests.
    #[doc(hidden)]
    pub fn take_line(&self, slot: (usize, usize)) {
        if let Ok(sweeper) = self.sweeper() {
            sweeper.take(slot);
        }
    }

    /// The emergency blocks.
    ///
    /// # Errors
    /// If their tables cannot be opened.
    pub fn blocks(&self) -> Result<Blocks, DatapathError> {
        Blocks::open(&self.shared.pins)
    }

    /// For so many seconds from now policy drops nothing, and connections are taken up where they are.
    pub fn warm_up(&self, seconds: u32) {
        let ticks = ticks_of_seconds(seconds).min(abi::WARM_TICKS_MAX);
        let now = Ticks::now().plus(self.shared.settings.clock_offset);
        // 0 would mean none.
        let until = now.plus(ticks).0.max(1);
        self.shared.control.words()[control_word::WARM_UNTIL]
            .store(until.into(), Ordering::Release);
    }

    /// Says of the interface that test runs come in through, loopback, whether it is outside.
    #[doc(hidden)]
    pub fn set_test_interface_external(&self, external: bool) {
        const LOOPBACK: u32 = 1;
        interfaces::set_external(&self.shared.table, LOOPBACK, external);
    }

    /// Empties the flow table and forgets fragments. For tests, while no packet is on its way.
    ///
    /// # Errors
    /// If its maps cannot be opened.
    #[doc(hidden)]
    pub fn forget_flows(&self) -> Result<(), DatapathError> {
        for (name, value) in [
            ("flow_tags", size_of::<u64>()),
            ("flows", size_of::<abi::flow_bucket>()),
            ("source_flows", size_of::<u64>()),
        ] {
            let map = map_pinned_writable(&self.shared.pins, name, value)?;
            for word in map.words() {
                word.store(0, Ordering::Relaxed);
            }
        }
        type Key = [u8; size_of::<abi::fragment_key>()];
        type Record = [u8; size_of::<abi::fragment_record>()];
        let (map, _) = open_pinned(&self.shared.pins, "fragments", size_of::<Record>())?;
        let fragments = HashMap::<_, Key, Record>::try_from(Map::LruHashMap(map));
        let mut fragments = fragments.map_err(unusable("fragments"))?;
        let known: Vec<Key> = fragments.keys().flatten().collect();
        for key in known {
            let removed = fragments.remove(&key);
            removed.map_err(unusable("fragments"))?;
        }
        Ok(())
    }

    /// Lets epochs pass as so many commits would. For tests.
    #[doc(hidden)]
    pub fn skip_epochs(&self, epochs: u32) {
        let mut word = ControlWord::load(&self.shared.control);
        word.epoch = (word.epoch + epochs) & abi::CONTROL_EPOCH_MASK;
        word.store(&self.shared.control);
    }

    /// Instructions that the verifier processed of each entry program, and of the policy programs
    /// that are in this process's program arrays.
    pub fn verified_instructions(&self) -> Vec<(String, u32)> {
        let names = [
            "entry_xdp",
            "entry_tc",
            "entry_probe",
            "policy_xdp",
            "policy_tc",
            "policy_probe",
        ];
        let mut newest: Vec<(String, u32)> = Vec::new();
        for info in aya::programs::loaded_programs().flatten() {
            let name = info.name_as_str().unwrap_or_default().to_owned();
            let Some(count) = info.verified_instruction_count() else {
                continue;
            };
            if names.contains(&name.as_str()) {
                newest.retain(|(known, _)| *known != name);
                newest.push((name, count));
            }
        }
        newest
    }

    /// Runs the attached programs on frames.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub fn test_run(&self) -> Result<TestRun, DatapathError> {
        Ok(TestRun {
            xdp: program_fd(&self.shared.entry, "entry_xdp")?,
            tc: program_fd(&self.shared.entry, "entry_tc")?,
        })
    }
}

fn grace_period() -> Result<(), DatapathError> {
    bpf::grace_period().map_err(|source| DatapathError::System {
        operation: "membarrier (a nohz_full kernel is not supported)",
        source,
    })
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
        let held = rule_stride(&self.shared.settings);
        if needed > held {
            return Err(DatapathError::Unsupported(format!(
                "the tables need {needed} rule counters, {held} were created"
            )));
        }
        let word = ControlWord::load(&self.shared.control).next();
        self.stage(tables, word)?;
        let foreign = !self.shared.is_attached_build() && !self.attachments.is_empty();
        let events = if foreign {
            self.replace_attached_build(tables)?
        } else {
            Vec::new()
        };
        self.clear_new_counters(&tables.rules)?;
        let word = word.commit(&self.shared.control);
        word.store(&self.shared.probe_control);
        // A grace period has passed since the generation before was committed.
        self.clear_old_slots(word);
        Ok(Committed {
            generation: word.generation,
            slot: word.slot,
            events,
        })
    }

    fn ids_in_use(&self, ids: &RuleIds) -> Result<Vec<u32>, DatapathError> {
        let carried = self.flows()?.rule_ids();
        let resting = ids.retired().map(|(id, _)| id);
        Ok(resting.filter(|id| carried.contains(id)).collect())
    }
}
