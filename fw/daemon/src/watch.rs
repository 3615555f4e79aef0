//! Readers of `/v1/watch`: the changes of each second are encoded once for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailey_control::api::{self, SCHEMA_VERSION};
use bailey_control::api_watch::{Update, WatchBegin};
use bailey_control::{Bytes, LineSink, LineStream, Problem};
use bailey_introspect::{LiveState, RuleBook, Sample};

use crate::events::Events;
use crate::samples::Samples;

/// Lines that wait for a reader. One that is further behind has stopped reading, and is cut.
const QUEUED: usize = 5;
/// Talkers of each kind.
const TALKERS: usize = 20;

/// The readers, and what they know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchers {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    readers: Vec<SyncSender<Bytes>>,
    book: Option<Arc<RuleBook>>,
    /// Hits, packets and live flows at the last line, by rule.
    rules: BTreeMap<u32, [u64; 3]>,
    /// Packets at the last line, by interface, hook and reason.
    counters: BTreeMap<[String; 3], u64>,
    /// Rows that changed at the last line: their rates may be 0 now.
    restless: Restless,
}

#[derive(Debug, Default)]
struct Restless {
    rules: BTreeSet<u32>,
    counters: BTreeSet<[String; 3]>,
}

/// Everything that a line is made from.
pub(crate) struct WatchSource<'a> {
    pub(crate) live: &'a LiveState,
    pub(crate) samples: &'a Samples,
    pub(crate) events: &'a Events,
    pub(crate) status: api::Status,
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves at worst rows that are sent once more.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are readers.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().readers.is_empty()
    }

    /// A new reader: everything, then the changes of each second.
    pub(crate) fn subscribe(&self, source: &WatchSource<'_>) -> Result<LineStream, Problem> {
        // Before the first line is made: a change in between comes twice rather than never.
        let (sender, lines) = sync_channel(QUEUED);
        self.lock().readers.push(sender);
        let sample = match source.samples.sample() {
            Some(sample) => sample,
            None => source.live.sampler()?.sample().into(),
        };
        let book = source.live.rule_book()?;
        let first = line(&update(source, &sample, &book, None))?;
        let begin = WatchBegin {
            schema_version: SCHEMA_VERSION,
            interval_seconds: 1,
        };
        Ok(LineStream {
            common: serde_json::to_string(&begin)?,
            write: Box::new(move |sink| forward(first, &lines, sink)),
        })
    }

    /// Sends the changes since the last call to all readers.
    pub(crate) fn publish(&self, source: &WatchSource<'_>, sample: &Sample) -> Result<(), Problem> {
        let mut state = self.lock();
        let version = source.live.names_version()?;
        let known = state.book.clone();
        let (book, is_new) = match known.filter(|book| book.version() == version) {
            Some(book) => (book, false),
            None => (Arc::new(source.live.rule_book()?), true),
        };
        state.book = Some(Arc::clone(&book));
        let changed = state.changes(&book, sample);
        let bytes = line(&update(
            source,
            sample,
            &book,
            (!is_new).then_some(&changed),
        ))?;
        state.restless = changed;
        state.readers.retain(|reader| {
            !matches!(
                reader.try_send(bytes.clone()),
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_))
            )
        });
        Ok(())
    }
}

impl State {
    /// Rows that have changed since the last call, or had changed then.
    fn changes(&mut self, book: &RuleBook, sample: &Sample) -> Restless {
        let mut changed = Restless::default();
        for id in book.ids() {
            let count = sample.rules.get(id);
            let numbers = [count.hits, count.packets, count.live];
            let before = self.rules.insert(id, numbers).unwrap_or_default();
            let has_changed = before != numbers;
            if has_changed || self.restless.rules.contains(&id) {
                changed.rules.insert(id);
            }
        }
        for (_, row) in sample.counter_rows() {
            let packets = row.packets;
            let key = counter_key(row);
            let before = self.counters.insert(key.clone(), packets);
            let has_changed = before.unwrap_or_default() != packets;
            if has_changed || self.restless.counters.contains(&key) {
                changed.counters.insert(key);
            }
        }
        changed
    }
}

fn counter_key(row: api::Counter) -> [String; 3] {
    [row.interface, row.hook, row.reason]
}

/// The line of a sample; `changed`: only these rows.
fn update(
    source: &WatchSource<'_>,
    sample: &Sample,
    book: &RuleBook,
    changed: Option<&Restless>,
) -> Update {
    let WatchSource {
        live,
        samples,
        events,
        status,
    } = source;
    let ids: Vec<u32> = match changed {
        Some(changed) => changed.rules.iter().copied().collect(),
        None => book.ids().collect(),
    };
    let rows = ids.into_iter().map(|id| book.row(&sample.rules, id));
    let mut rules: Vec<api::Rule> = rows.collect();
    samples.add_rule_rates(&mut rules);
    let rows = sample.counter_rows().into_iter().map(|(_, row)| row);
    let mut counters: Vec<api::Counter> = rows.collect();
    if let Some(changed) = changed {
        counters.retain(|row| changed.counters.contains(&counter_key(row.clone())));
    }
    samples.add_counter_rates(&mut counters);
    events.add_last_packets(&mut counters);
    let scale = status.flow_table.timeout_percent * u64::from(bailey_bpf::abi::SCALE_ONE) / 100;
    let census = sample.rules.census();
    let mut flow_stats = live.flow_stats_of(status.stamp.clone(), scale, census, &sample.events);
    samples.add_flow_rates(&mut flow_stats);
    Update {
        complete: changed.is_none(),
        flow_stats,
        counters,
        rules,
        talkers: events.talkers(status.stamp.clone(), TALKERS, &|id| book.name(id)),
        status: status.clone(),
    }
}

fn line(update: &Update) -> Result<Bytes, Problem> {
    let mut line = serde_json::to_vec(update)?;
    line.push(b'\n');
    Ok(line.into())
}

/// Hands lines to a reader until it is gone or cut.
fn forward(first: Bytes, lines: &Receiver<Bytes>, sink: &mut dyn LineSink) {
    const PAUSE: Duration = Duration::from_secs(1);
    let mut goes_on = sink.send(first);
    while goes_on {
        goes_on = match lines.recv_timeout(PAUSE) {
            Ok(line) => sink.send(line),
            Err(RecvTimeoutError::Timeout) => sink.is_open(),
            Err(RecvTimeoutError::Disconnected) => false,
        };
    }
}
