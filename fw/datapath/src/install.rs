//! Installs generations: stage the programs, replace another attached build, reset counters,
//! commit.

use bailey_bpf::abi;
use bailey_compile::{RuleIds, Tables};

use crate::attach::attachments::Attachments;
use crate::attach::bridge;
use crate::attach::event::InterfaceEvent;
use crate::error::DatapathError;
use crate::flows::restamp;
use crate::kernel::bpf;
use crate::kernel::cpu::cpus;
use crate::maps::control_word::ControlWord;
use crate::maps::shape::rule_stride;
use crate::maps::shared::SharedMaps;
use crate::program::entry::EntryObject;
use crate::program::generation::LoadedGeneration;
use crate::upgrade::{CarriedFlows, Upgrade};

/// Makes tables active. The daemon's loop uses the datapath through this trait, and tests replace
/// it.
pub trait Enforcer {
    /// Builds a generation of these tables and commits it. On an error the active generation stays.
    ///
    /// # Errors
    /// If any part of the new generation cannot be loaded or verified.
    fn install(&mut self, tables: &Tables) -> Result<Committed, DatapathError>;

    /// The retired ids among `ids` that live flows still refer to.
    ///
    /// # Errors
    /// If the flow table cannot be read.
    fn ids_in_use(&self, ids: &RuleIds) -> Result<Vec<u32>, DatapathError>;
}

/// A committed generation.
#[derive(Debug)]
pub struct Committed {
    /// Number of the generation; the first of these maps is 1.
    pub generation: u32,
    /// Slot of the program arrays.
    pub slot: u32,
    /// Attached programs that were replaced.
    pub events: Vec<InterfaceEvent>,
    /// Flows of another layout that were taken over.
    pub carried: Option<CarriedFlows>,
}

/// The interfaces whose programs were replaced, and the flows that were taken over.
type Replaced = (Vec<InterfaceEvent>, Option<CarriedFlows>);

/// The parts of a datapath that an installation changes.
pub(crate) struct Installer<'a> {
    pub(crate) entry: &'a mut EntryObject,
    pub(crate) maps: &'a mut SharedMaps,
    pub(crate) attachments: &'a mut Attachments,
    /// Rule ids that the counters of the active generation belong to.
    pub(crate) counted: &'a mut RuleIds,
    /// Flows of another layout, until this build is attached.
    pub(crate) upgrade: &'a mut Option<Upgrade>,
}

impl Installer<'_> {
    /// As [`Enforcer::install`].
    pub(crate) fn install(&mut self, tables: &Tables) -> Result<Committed, DatapathError> {
        let needed = tables.rules.end();
        let available = rule_stride(&self.entry.settings);
        if needed > available {
            return Err(DatapathError::Unsupported(format!(
                "the tables need {needed} rule counters, {available} were created"
            )));
        }
        let word = ControlWord::load(&self.maps.control).next();
        self.stage(tables, word)?;
        let other_build_attached = !self.maps.is_attached_build() && !self.attachments.is_empty();
        let (events, carried) = if other_build_attached {
            self.replace_attached_build(tables)?
        } else {
            (Vec::new(), None)
        };
        self.reset_new_counters(&tables.rules)?;
        let word = restamp::commit(word, self.maps)?;
        word.store(&self.maps.probe_control);
        // No packet uses an older slot: `stage` waited for a grace period after the previous
        // commit.
        self.retire_old_slots(word);
        Ok(Committed {
            generation: word.generation,
            slot: word.slot,
            events,
            carried,
        })
    }

    /// Loads a generation and puts it into the slot of its word, once no packet can be in that
    /// slot.
    fn stage(&mut self, tables: &Tables, word: ControlWord) -> Result<(), DatapathError> {
        let mut generation = LoadedGeneration::load(tables, word, self.entry, self.maps)?;
        // A packet that read the control word when the slot was last active may still be running.
        grace_period()?;
        generation.fill_slot(self.entry)
    }

    /// Replaces the attached programs of another build with this build's.
    ///
    /// Until the next commit, packets reach the programs of both builds under the active word. So
    /// this build first gets policy programs under that word, in addition to those under the next.
    /// Each build has its own program arrays, so an entry program never calls a policy program of
    /// the other build.
    ///
    /// If the process is killed in here, the control map names no attached build, and the next
    /// process replaces the programs again. Flows of another layout are copied before and after: see
    /// `upgrade.rs`.
    fn replace_attached_build(&mut self, tables: &Tables) -> Result<Replaced, DatapathError> {
        let active = ControlWord::load(&self.maps.control);
        self.stage(tables, active)?;
        self.maps.rule_totals.note_end(tables.rules.end());
        if let Some(upgrade) = self.upgrade {
            upgrade.copy_ahead(self.maps);
            upgrade.begin_replacement();
        }
        self.maps.clear_attached_build();
        let mut events = self.attachments.replace_programs(self.entry, self.maps)?;
        // Packets inside the old programs still use the old program arrays.
        grace_period()?;
        // Must precede `set_attached_build`: after it, the old tracepoints would count as
        // ours, and a killed upgrade as undone.
        let upgrade = self.upgrade.take();
        let carried = upgrade.map(|upgrade| upgrade.finish(self.maps));
        events.extend(bridge::ensure_loss_counting(self.entry, self.maps));
        self.maps.set_attached_build();
        Ok((events, carried))
    }

    /// Retires all slots except the active one and the one before, which stays for a rollback.
    fn retire_old_slots(&mut self, word: ControlWord) {
        let before = (word.slot + abi::POLICY_SLOTS - 1) % abi::POLICY_SLOTS;
        self.entry
            .retire_slots(|slot| slot != word.slot && slot != before);
    }

    /// Resets the counters of ids that the new generation assigns to other rules.
    fn reset_new_counters(&mut self, rules: &RuleIds) -> Result<(), DatapathError> {
        let stride = rule_stride(&self.entry.settings) as usize;
        let cpus = cpus()? as usize;
        self.maps.rule_totals.begin_reset();
        let new = rules
            .iter()
            .filter(|(id, key)| self.counted.current_or_former_key(*id) != Some(key));
        for (id, _) in new {
            self.maps.limit_states.clear(id as usize);
            // The last region is that of user space.
            for region in 0..=cpus {
                self.maps.rule_counters.clear(region * stride + id as usize);
            }
            self.maps.rule_totals.clear(id);
        }
        self.maps.rule_totals.note_end(rules.end());
        *self.counted = rules.clone();
        Ok(())
    }
}

fn grace_period() -> Result<(), DatapathError> {
    bpf::grace_period().map_err(|source| DatapathError::System {
        operation: "membarrier (a nohz_full kernel is not supported)",
        source,
    })
}
