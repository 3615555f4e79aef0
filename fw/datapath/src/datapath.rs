//! The facade: opens the datapath, and forwards to the modules that do the work.

use std::collections::BTreeSet;

use bailey_compile::{RuleIds, Tables};
use bailey_config::{Interface, Settings};
use bailey_policy::Connection;

use crate::attach::attachments::Attachments;
use crate::attach::bridge;
use crate::attach::event::InterfaceEvent;
use crate::attach::hotplug::HotplugAttacher;
use crate::attach::stacked;
use crate::blocks::Blocks;
use crate::error::DatapathError;
use crate::flows::flood;
use crate::flows::sweep::Sweeper;
use crate::flows::table::FlowTable;
use crate::install::{Committed, Enforcer, Installer};
use crate::kernel::clock::Ticks;
use crate::maps::compat::NewTables;
use crate::maps::control_word::{self, ControlWord};
use crate::maps::pins::PinDir;
use crate::maps::shared::SharedMaps;
use crate::observe::capture::{Capture, CaptureChoice};
use crate::observe::counters::Counters;
use crate::observe::records::RecordReader;
use crate::program::entry::{EntryObject, Origin, Programs};
use crate::program::frame;
use crate::program::probe::{ProbeAnswer, probe_frame};
use crate::program::test_run::TestRun;
use crate::upgrade::{Upgrade, former_rule_ids};

/// The loaded programs. Pinned objects outlive it: flows, counters, the active generation and the
/// attached programs stay in the kernel until [`detach`](crate::detach()).
pub struct Datapath {
    attachments: Attachments,
    /// Rule ids that the counters of the active generation belong to.
    counted: RuleIds,
    /// Flows and counters of another layout that are to be taken over.
    upgrade: Option<Upgrade>,
    pub(crate) entry: EntryObject,
    pub(crate) maps: SharedMaps,
}

impl Datapath {
    /// Adopts the pinned maps, or creates them, and loads the entry programs. Attached programs are
    /// not changed. `known` are the rule ids that adopted counters belong to.
    ///
    /// # Errors
    /// If pinned maps have another shape and are in use, or the kernel refuses a map or a program.
    pub fn open(pins: PinDir, settings: Settings, known: RuleIds) -> Result<Self, DatapathError> {
        Self::with_programs(pins, settings, known, Programs::All)
    }

    /// Opens the datapath with the probe only: it can evaluate packets, and cannot be attached.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_probe(pins: PinDir, settings: Settings) -> Result<Self, DatapathError> {
        Self::with_programs(pins, settings, RuleIds::default(), Programs::Probe)
    }

    fn with_programs(
        pins: PinDir,
        settings: Settings,
        known: RuleIds,
        programs: Programs,
    ) -> Result<Self, DatapathError> {
        let (entry, maps) = EntryObject::open(pins, settings, programs)?;
        let upgrade = match entry.origin {
            Origin::Former(tables) => {
                let is_resumed = tables == NewTables::InUse;
                Some(Upgrade::open(&maps, &entry.settings, is_resumed)?)
            }
            Origin::Created | Origin::Adopted => None,
        };
        Ok(Self {
            attachments: Attachments::adopt(&maps),
            upgrade,
            counted: known,
            entry,
            maps,
        })
    }

    /// Removes the pins that [`Self::open`] created, unless they existed before or programs are
    /// attached.
    pub fn abandon(self) {
        if !self.is_adopted() && !self.is_attached() {
            self.maps.pins.remove_all();
            self.maps.pins.remove_directory();
        }
    }

    /// Whether flows, counters and a generation were pinned before.
    pub fn is_adopted(&self) -> bool {
        self.entry.origin.is_adopted()
    }

    /// The settings that the datapath was opened with.
    pub fn settings(&self) -> &Settings {
        &self.entry.settings
    }

    /// Whether attached programs are those of this build with these constants.
    pub fn is_current_build(&self) -> bool {
        self.maps.is_attached_build()
    }

    /// Whether programs are attached.
    pub fn is_attached(&self) -> bool {
        !self.attachments.is_empty()
    }

    /// Whether the attached programs would stay if this process ended.
    pub fn outlives_process(&self) -> bool {
        self.is_attached()
            && self.attachments.are_pinned(&self.maps)
            && self.maps.missing_pin_count() == 0
    }

    /// Attaches missing programs to interfaces by name, and detaches those of interfaces that are
    /// not configured. With `replace`, another owner's XDP program is replaced.
    ///
    /// # Errors
    /// If nothing was attached before and an interface refuses; then nothing is attached. Otherwise
    /// a refusal is one of the events.
    pub fn attach(
        &mut self,
        interfaces: &[Interface],
        replace: bool,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        let wanted = stacked::resolve_wanted(interfaces, self.entry.settings.topology);
        let other_build_attached = !self.is_current_build() && self.is_attached();
        let (entry, maps) = (&self.entry, &mut self.maps);
        let mut events = self.attachments.attach(entry, maps, &wanted, replace)?;
        if !other_build_attached {
            // Nothing was attached, so the flows of the former layout are of no use.
            if self.upgrade.take().is_some() {
                self.maps.pins.remove_former_layout();
            }
            events.extend(bridge::ensure_loss_counting(&mut self.entry, &self.maps));
            self.maps.set_attached_build();
        }
        Ok(events)
    }

    /// Compares the attached programs with the configuration and repairs differences.
    pub fn reconcile(&mut self, interfaces: &[Interface]) -> Vec<InterfaceEvent> {
        let wanted = stacked::resolve_wanted(interfaces, self.entry.settings.topology);
        let (entry, maps) = (&self.entry, &mut self.maps);
        self.attachments.reconcile(entry, maps, &wanted, false)
    }

    /// The attacher of interfaces that appear, for a separate thread. `None` if it could not
    /// attach the same programs.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub fn hotplug_attacher(
        &self,
        interfaces: &[Interface],
    ) -> Result<Option<HotplugAttacher>, DatapathError> {
        HotplugAttacher::new(&self.entry, &self.maps, interfaces)
    }

    /// The ifindexes of interfaces whose received packets are filtered.
    pub fn filtered_interfaces(&self) -> BTreeSet<u32> {
        self.attachments.filtered()
    }

    /// Seconds since a flood of new flows began, if there is one.
    pub fn flood_seconds(&self) -> Option<u64> {
        flood::flood_seconds(&self.maps.pins).ok().flatten()
    }

    /// Starts a warm-up of this many seconds: policy drops nothing, and connections are picked up
    /// midstream.
    pub fn start_warm_up(&self, seconds: u32) {
        let now = Ticks::now().plus(self.entry.settings.clock_offset);
        control_word::start_warm_up(&self.maps.control, now, seconds);
    }

    /// The sweeper of the flow table, for a separate thread.
    ///
    /// # Errors
    /// If the maps cannot be mapped.
    pub fn sweeper(&self) -> Result<Sweeper, DatapathError> {
        Sweeper::open(&self.maps.pins, &self.entry.settings)
    }

    /// The counters.
    ///
    /// # Errors
    /// If they cannot be mapped.
    pub fn counters(&self) -> Result<Counters, DatapathError> {
        Counters::open(&self.maps.pins)
    }

    /// The recorder.
    ///
    /// # Errors
    /// If it cannot be mapped.
    pub fn records(&self) -> Result<RecordReader, DatapathError> {
        RecordReader::open(&self.maps.pins)
    }

    /// Captures frames until the result is dropped.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn capture(&self, choice: &CaptureChoice) -> Result<Capture, DatapathError> {
        Capture::start(&self.maps.pins, choice)
    }

    /// The flow table.
    ///
    /// # Errors
    /// If it cannot be mapped.
    pub fn flows(&self) -> Result<FlowTable, DatapathError> {
        FlowTable::open(&self.maps.pins)
    }

    /// The active control word.
    pub fn control(&self) -> ControlWord {
        ControlWord::load(&self.maps.control)
    }

    /// The emergency blocks.
    ///
    /// # Errors
    /// If their tables cannot be opened.
    pub fn blocks(&self) -> Result<Blocks, DatapathError> {
        Blocks::open(&self.maps.pins)
    }

    /// Evaluates the first packet of a connection with the active generation, as if the flow table
    /// were empty. Writes and counts nothing.
    ///
    /// # Errors
    /// If the kernel refuses the test run, or the program does not answer.
    pub fn probe(&self, connection: &Connection) -> Result<ProbeAnswer, DatapathError> {
        let answer = probe_frame(&self.entry, &frame::opening(connection))?;
        Ok(answer.into())
    }

    /// Test runs of the attached programs on frames, with all effects on flows and counters.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub fn test_run(&self) -> Result<TestRun, DatapathError> {
        TestRun::new(&self.entry.ebpf)
    }
}

impl Enforcer for Datapath {
    fn install(&mut self, tables: &Tables) -> Result<Committed, DatapathError> {
        let mut installer = Installer {
            entry: &mut self.entry,
            maps: &mut self.maps,
            attachments: &mut self.attachments,
            counted: &mut self.counted,
            upgrade: &mut self.upgrade,
        };
        installer.install(tables)
    }

    fn ids_in_use(&self, ids: &RuleIds) -> Result<Vec<u32>, DatapathError> {
        let mut used = self.flows()?.rule_ids();
        // Until an upgrade ends, flows of the former layout have ids too.
        if self.upgrade.is_some() {
            used.extend(former_rule_ids(&self.maps.pins)?);
        }
        let retired = ids.retired().map(|(id, _)| id);
        Ok(retired.filter(|id| used.contains(id)).collect())
    }
}
