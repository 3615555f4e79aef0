//! Takes flows and rule counters over from layout 7, whose programs are attached. Uses `attach`,
//! `flows`, `program` and `maps`; `install` calls it.
//!
//! The maps of both layouts exist side by side, under one control word. In this order:
//!
//! ```text
//!   copy, again until few flows change ─▶ links updated one by one ─▶ copy once more ─▶ old pins go
//! ```
//!
//! A process that is killed in here leaves both sets of pins. Until the first link is updated, the
//! next process begins anew. After that (the control map names no attached build) it keeps the new
//! table, copies again what is later, and updates the links again. The former version can take the
//! links back with its own table until its pins are removed.

/// Copies between the tables.
pub(crate) mod flow_copy;
/// Entries of layout 7.
pub(crate) mod former_entry;
/// The flow table and the rule counters of layout 7.
pub(crate) mod former_table;
/// Writes to this layout's table.
pub(crate) mod new_table;
/// The choice of a slot.
pub(crate) mod placement;

use std::collections::BTreeSet;

use bailey_config::Settings;

use crate::error::DatapathError;
use crate::flows::retire::Retirer;
use crate::flows::table::is_live;
use crate::maps::control_word::ControlWord;
use crate::maps::pins::PinDir;
use crate::maps::shared::SharedMaps;
use crate::upgrade::flow_copy::{FlowCopy, Pass, Users};
use crate::upgrade::former_table::FormerTable;
use crate::upgrade::new_table::NewTable;

/// Passes at most until the links are updated, if many flows change all the time.
const MAX_PASSES: usize = 8;
/// A pass that changes fewer flows than this is the last one.
const FEW: usize = 64;
/// So is a pass that changes less than this part of all flows.
const FEW_SHARE: usize = 256;

/// An upgrade from layout 7 in progress.
pub(crate) struct Upgrade {
    former: FormerTable,
    new: NewTable,
    copy: FlowCopy,
    users: Users,
}

/// Flows that an upgrade has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedFlows {
    /// Flows that are in the table of this layout.
    pub flows: usize,
    /// Flows that found no place there.
    pub unplaced: usize,
}

impl Upgrade {
    /// Maps both tables. `is_resumed`: a killed process has copied flows, and programs of this layout
    /// may be attached.
    ///
    /// # Errors
    /// If the maps of layout 7 have an unknown shape.
    pub(crate) fn open(
        maps: &SharedMaps,
        settings: &Settings,
        is_resumed: bool,
    ) -> Result<Self, DatapathError> {
        let former = FormerTable::open(&maps.pins)?;
        let new = NewTable::open(maps)?;
        new.recover_claims(&Retirer::open(&maps.pins)?);
        let users = match is_resumed {
            true => Users::Programs,
            false => Users::None,
        };
        Ok(Self {
            copy: FlowCopy::new(&former, settings, is_resumed),
            former,
            new,
            users,
        })
    }

    /// Copies flows while the programs of layout 7 are attached, until few of them change.
    pub(crate) fn copy_ahead(&mut self, maps: &SharedMaps) {
        // Live flows get their slots first.
        self.run_pass(maps, is_live);
        for _ in 0..MAX_PASSES {
            let Pass { changed, .. } = self.run_pass(maps, |_| true);
            if changed <= FEW.max(self.copy.copied() / FEW_SHARE) {
                return;
            }
        }
    }

    /// To be called before the first link is updated: from now on, programs use the new table.
    pub(crate) fn begin_replacement(&mut self) {
        self.users = Users::Programs;
    }

    /// Copies what the former programs have changed since the last pass, and removes their pins. No
    /// packet may be inside these programs.
    pub(crate) fn finish(mut self, maps: &SharedMaps) -> CarriedFlows {
        let Pass { unplaced, .. } = self.run_pass(maps, |_| true);
        maps.pins.remove_former_layout();
        CarriedFlows {
            flows: self.copy.copied(),
            unplaced,
        }
    }

    /// The counts of rules first, because what flows have counted in them is subtracted later.
    fn run_pass(&mut self, maps: &SharedMaps, chosen: impl Fn(u32) -> bool) -> Pass {
        self.new.carry_rule_counts(&self.former.rule_counts());
        let epoch = ControlWord::load(&maps.control).epoch;
        let (former, new) = (&self.former, &self.new);
        self.copy.run_pass(former, new, epoch, self.users, chosen)
    }
}

/// Ids of the rules that flows and counters of layout 7 refer to, while no upgrade has removed them.
///
/// # Errors
/// If they are not pinned.
pub fn former_rule_ids(pins: &PinDir) -> Result<BTreeSet<u32>, DatapathError> {
    Ok(FormerTable::open(pins)?.used_rule_ids())
}
