//! Readers of `/v1/watch`: the changes of each second are encoded once for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailey_control::api::{self, SCHEMA_VERSION};
use bailey_control::api_watch::{Update, WatchBegin};
use bailey_control::{Bytes, LineSink, LineStream, Problem};
use bailey_introspect::{CounterKey, NamesVersion, RuleBook, Sample, without_keys};

use crate::events::Events;
use crate::samples::Samples;

/// Lines that wait for a reader. One that is further behind has stopped reading, and is cut.
const QUEUED: usize = 5;
/// Talkers of each kind.
const TALKERS: usize = 20;

/// The readers, and the numbers of the last line. Clones share the content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchers {
    shared: Arc<Mutex<State>>,
    first: Arc<Mutex<Option<FirstLine>>>,
}

/// The complete line of a sample, for all readers that begin in its second.
#[derive(Debug)]
struct FirstLine {
    sample: Arc<Sample>,
    version: NamesVersion,
    line: Bytes,
}

#[derive(Debug, Default)]
struct State {
    readers: Vec<SyncSender<Bytes>>,
    /// The names of the last line.
    version: Option<NamesVersion>,
    /// Hits, packets and live flows at the last line, by rule.
    rules: BTreeMap<u32, [u64; 3]>,
    /// Packets at the last line.
    counters: BTreeMap<CounterKey, u64>,
    /// Rows that changed at the last line: their rates may be 0 now.
    restless: Restless,
}

#[derive(Debug, Default)]
struct Restless {
    rules: BTreeSet<u32>,
    counters: BTreeSet<CounterKey>,
}

/// The state at one moment, of which a line is made.
pub(crate) struct WatchSource<'a> {
    pub(crate) samples: &'a Samples,
    pub(crate) events: &'a Events,
    pub(crate) status: api::Status,
    pub(crate) sample: Arc<Sample>,
    pub(crate) book: Arc<RuleBook>,
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

    /// A new reader: the state that `read` returns, then the changes of each second.
    pub(crate) fn subscribe<'a>(
        &self,
        read: impl FnOnce() -> Result<WatchSource<'a>, Problem>,
    ) -> Result<LineStream, Problem> {
        // Before the first line is made: a change in between comes twice rather than never.
        let (sender, lines) = sync_channel(QUEUED);
        self.lock().readers.push(sender);
        let first = self.first_line(&read()?)?;
        let begin = WatchBegin {
            schema_version: SCHEMA_VERSION,
            interval_seconds: 1,
        };
        Ok(LineStream {
            common: serde_json::to_string(&begin)?,
            write: Box::new(move |sink| forward(first, &lines, sink)),
        })
    }

    /// The complete line of the present sample, encoded once.
    fn first_line(&self, source: &WatchSource<'_>) -> Result<Bytes, Problem> {
        let version = source.book.version();
        let mut known = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = &*known
            && Arc::ptr_eq(&first.sample, &source.sample)
            && first.version == version
        {
            return Ok(first.line.clone());
        }
        let line = line(&update(source, None))?;
        *known = Some(FirstLine {
            sample: Arc::clone(&source.sample),
            version,
            line: line.clone(),
        });
        Ok(line)
    }

    /// Sends the changes since the last call to all readers.
    pub(crate) fn publish(&self, source: &WatchSource<'_>) -> Result<(), Problem> {
        let mut state = self.lock();
        let version = Some(source.book.version());
        let is_new = std::mem::replace(&mut state.version, version) != version;
        let changed = state.changes(source);
        let bytes = line(&update(source, (!is_new).then_some(&changed)))?;
        state.restless = changed;
        // The line of an earlier sample begins no reader.
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
    fn changes(&mut self, source: &WatchSource<'_>) -> Restless {
        let mut changed = Restless::default();
        for id in source.book.ids() {
            let count = source.sample.rules.get(id);
            let numbers = [count.hits, count.packets, count.live];
            let before = self.rules.insert(id, numbers).unwrap_or_default();
            let has_changed = before != numbers;
            if has_changed || self.restless.rules.contains(&id) {
                changed.rules.insert(id);
            }
        }
        for (key, [packets, _]) in source.sample.counters() {
            let before = self.counters.insert(key, packets).unwrap_or_default();
            let has_changed = before != packets;
            if has_changed || self.restless.counters.contains(&key) {
                changed.counters.insert(key);
            }
        }
        changed
    }
}

/// The line of a sample; `changed`: only these rows.
fn update(source: &WatchSource<'_>, changed: Option<&Restless>) -> Update {
    let WatchSource {
        samples,
        events,
        status,
        sample,
        book,
    } = source;
    let ids: Vec<u32> = match changed {
        Some(changed) => changed.rules.iter().copied().collect(),
        None => book.ids().collect(),
    };
    let rows = ids.into_iter().map(|id| book.row(&sample.rules, id));
    let mut rules: Vec<api::Rule> = rows.collect();
    samples.add_rule_rates(&mut rules);
    let mut counters = sample.counter_rows();
    if let Some(changed) = changed {
        counters.retain(|(key, _)| changed.counters.contains(key));
    }
    samples.add_counter_rates(&mut counters);
    events.add_last_packets(&mut counters);
    let mut flow_stats = sample.flow_stats(status.stamp.clone(), status.flow_table);
    samples.add_flow_rates(&mut flow_stats);
    if changed.is_none() {
        samples.add_history(&mut rules, &mut counters, &mut flow_stats);
    }
    Update {
        complete: changed.is_none(),
        flow_stats,
        counters: without_keys(counters),
        rules,
        records_lost: events.lost().iter().map(|(_, lost)| lost).sum(),
        talkers: events.talkers(status.stamp.clone(), TALKERS, &|id| book.label(id)),
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
