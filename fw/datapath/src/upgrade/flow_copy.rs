//! Copies flows from the table of layout 7 into this layout's, while the programs of either may use
//! theirs. Does not know when programs are replaced.

use bailey_bpf::abi;
use bailey_config::Settings;

use crate::flows::meta_word::MetaWord;
use crate::kernel::clock::Ticks;
use crate::program::entry::COPY_BYTES_PER_SLOT;
use crate::program::timeout_constants::by_state;
use crate::upgrade::former_entry::FormerFlow;
use crate::upgrade::former_table::FormerTable;
use crate::upgrade::new_table::{Inserted, NewTable};

/// State of the copy of one slot of the former table.
#[derive(Debug, Clone, Copy, Default)]
struct Record {
    /// Metadata word at the last copy.
    former: u64,
    /// Index of the new slot, plus 1; 0: no copy.
    place: u32,
    /// Metadata word that the copy wrote; BUSY: another process or a program wrote the entry.
    written: u64,
}

// The check for memory counts them.
const _: () = assert!(size_of::<Record>() as u64 == COPY_BYTES_PER_SLOT);

/// A copy in progress.
pub(crate) struct FlowCopy {
    records: Vec<Record>,
    /// Ticks, by `enum flow_state`.
    timeouts: [u32; abi::STATE_COUNT as usize],
    clock_offset: u32,
    /// Whether an earlier process has copied flows, of which no records are left.
    is_resumed: bool,
}

/// The result of a pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Flows that the pass has inserted or updated.
    pub(crate) changed: usize,
    /// Flows that found no place.
    pub(crate) unplaced: usize,
}

/// Users of the new table during a pass, besides the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    /// No program: the pass also updates the counters of flows.
    None,
    /// Programs that count packets of its flows.
    Programs,
}

impl FlowCopy {
    pub(crate) fn new(former: &FormerTable, settings: &Settings, is_resumed: bool) -> Self {
        Self {
            records: vec![Record::default(); former.len()],
            timeouts: by_state(&settings.timeouts),
            clock_offset: settings.clock_offset,
            is_resumed,
        }
    }

    /// Number of flows that have a copy.
    pub(crate) fn copied(&self) -> usize {
        self.records.iter().filter(|r| r.place != 0).count()
    }

    /// Copies the flows whose metadata word has changed since the last pass, and among them those that
    /// `chosen` accepts by their state. `epoch`: the epoch of the control word, now or earlier.
    pub(crate) fn run_pass(
        &mut self,
        former: &FormerTable,
        new: &NewTable,
        epoch: u32,
        users: Users,
        chosen: impl Fn(u32) -> bool,
    ) -> Pass {
        let mut pass = Pass::default();
        for slot in former.used() {
            let meta = former.meta(slot);
            let record = self.records[slot];
            let is_copied = record.place != 0 && record.former == meta.0;
            if is_copied || meta.is_changing() || !chosen(meta.state()) {
                continue;
            }
            let now = Ticks::now().plus(self.clock_offset);
            let flow = former.read(slot);
            let Some(flow) = flow.filter(|flow| !self.is_expired(flow, now)) else {
                continue;
            };
            let copied = self.copy(record, &flow, new, epoch, users, now);
            pass.changed += usize::from(copied.place != 0);
            pass.unplaced += usize::from(copied.place == 0);
            self.records[slot] = copied;
        }
        pass
    }

    /// Expired flows by unscaled timeouts: the programs scale them by the fill, and decide the rest.
    fn is_expired(&self, flow: &FormerFlow, now: Ticks) -> bool {
        now.since(flow.meta.seen()) > self.timeouts[flow.meta.state() as usize]
    }

    fn copy(
        &self,
        record: Record,
        flow: &FormerFlow,
        new: &NewTable,
        epoch: u32,
        users: Users,
        now: Ticks,
    ) -> Record {
        let next = flow.encode(epoch);
        let copied = |slot: usize, written: u64| Record {
            former: flow.meta.0,
            place: slot as u32 + 1,
            written,
        };
        let place = record.place.checked_sub(1).map(|place| place as usize);
        let known = place.and_then(|place| Some((place, new.meta_of(place, &flow.key)?)));
        let (slot, meta, written) = match known {
            Some((slot, meta)) => (slot, meta, record.written),
            // No copy yet, or its slot has another flow by now.
            None => match new.insert(&next, now) {
                Inserted::At(slot, word) => return copied(slot, word.0),
                Inserted::Full => return Record::default(),
                Inserted::Present(slot) => match new.meta_of(slot, &flow.key) {
                    Some(meta) => (slot, meta, 0),
                    None => return Record::default(),
                },
            },
        };
        // The former entry is newer than a copy that no program has changed. While no program uses the
        // table, an entry without a record is a copy too: the connection has had another former slot.
        // After a kill, an entry without a record may be either; its last packet decides.
        let is_own = meta.0 == written || written == 0 && users == Users::None;
        let is_unknown = self.is_resumed && written == 0;
        let is_later = flow.meta.seen() != meta.seen() && flow.meta.seen().is_after(meta.seen());
        let is_newer = is_own || is_unknown && is_later;
        if !is_newer {
            return copied(slot, written);
        }
        let has_new_counts = users == Users::None && is_own;
        let word = new.update(slot, meta, &next, has_new_counts, now);
        copied(slot, word.map_or(written, |MetaWord(word)| word))
    }
}
