//! The thread that writes the flow log. The reader of records never waits for it: records that the thread
//! cannot take are counted as lost.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use bailey_clock::wall;
use bailey_config::nearest::nearest;
use bailey_config::{Config, FlowLog as FlowLogConfig};
use bailey_control::api_records::RecordFilter;
use bailey_datapath::observe::records::PacketRecord;
use bailey_introspect::{CLASS_NAMES, LiveState, RecordNamer};
use bailey_telemetry::flow_log::{RotatingFile, flow_line};

use crate::health::Health;

/// Batches that wait for the thread: a second of records, at the busiest.
const QUEUED: usize = 50;
/// Time without records after which the thread looks at the file.
const IDLE: Duration = Duration::from_secs(2);
/// Subject of the flow log's problems.
const SUBJECT: &str = "flow log";

/// Losses and last write of the flow log. Clones share the content.
#[derive(Debug, Clone, Default)]
pub(crate) struct FlowLogState {
    lost: Arc<[AtomicU64; CLASS_NAMES.len()]>,
    last_write: Arc<Mutex<Option<SystemTime>>>,
    must_reopen: Arc<AtomicBool>,
}

impl FlowLogState {
    /// Records that are not in the file because it could not be written, by class.
    pub(crate) fn lost(&self) -> Vec<(&'static str, u64)> {
        let lost = self.lost.iter().map(|lost| lost.load(Ordering::Relaxed));
        CLASS_NAMES.into_iter().zip(lost).collect()
    }

    /// Time of the last write, or of the last look at the file without records; `None` without a flow log.
    pub(crate) fn last_write(&self) -> Option<SystemTime> {
        *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file again: another program may have moved it.
    pub(crate) fn reopen(&self) {
        self.must_reopen.store(true, Ordering::Release);
    }

    fn note_write(&self) {
        *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(wall());
    }

    fn add_lost(&self, records: &[PacketRecord]) {
        for record in records {
            self.lost[record.class].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread's input.
#[derive(Debug)]
pub(crate) struct FlowLogThread {
    batches: SyncSender<Vec<PacketRecord>>,
    state: FlowLogState,
}

impl FlowLogThread {
    /// Hands records over; counts them as lost if the thread has too many already.
    pub(crate) fn write(&self, records: Vec<PacketRecord>) {
        if records.is_empty() {
            return;
        }
        match self.batches.try_send(records) {
            Ok(()) => {}
            Err(TrySendError::Full(records) | TrySendError::Disconnected(records)) => {
                self.state.add_lost(&records);
            }
        }
    }

    /// Starts the thread. It ends with the sender of its input.
    ///
    /// # Errors
    /// If a filter is wrong, or the system cannot create a thread.
    pub(crate) fn start(
        config: &Config,
        live: LiveState,
        state: FlowLogState,
        health: Health,
    ) -> Result<Self, String> {
        let filter = filter_of(&config.flow_log)?;
        // Names of rules may come with a later generation; those of other objects are checked now.
        live.record_namer(filter.clone(), None)?;
        let (batches, queue) = sync_channel(QUEUED);
        let mut writer = Writer {
            file: RotatingFile::new(
                &config.flow_log.path,
                config.flow_log.size,
                config.flow_log.files,
            ),
            namer: None,
            filter,
            live,
            state: state.clone(),
            health,
        };
        let run = move || writer.run(&queue);
        let thread = thread::Builder::new().name("flow-log".into());
        thread.spawn(run).map_err(|error| error.to_string())?;
        Ok(Self { batches, state })
    }
}

/// The filter of the configuration.
fn filter_of(config: &FlowLogConfig) -> Result<RecordFilter, String> {
    let mut filter = serde_json::Map::new();
    let known = serde_json::to_value(RecordFilter::default()).unwrap_or_default();
    let known: Vec<&str> = known
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| &**name)
        .collect();
    for (name, values) in &config.filters {
        if !known.contains(&&*name.replace('-', "_")) {
            let near = nearest(name, known);
            return Err(format!("flow_log.filters: unknown filter {name:?}{near}"));
        }
        let values = values.iter().map(|value| match value.parse::<u64>() {
            // Ports and IP versions are numbers.
            Ok(number) if name.contains("port") || name == "ip_version" => number.into(),
            _ => serde_json::Value::from(value.as_str()),
        });
        filter.insert(name.replace('-', "_"), values.collect());
    }
    if !config.verdicts.is_empty() {
        filter.insert("verdict".to_owned(), config.verdicts.clone().into());
    }
    serde_json::from_value(filter.into()).map_err(|error| format!("flow_log.filters: {error}"))
}

struct Writer {
    file: RotatingFile,
    /// Names and inventory of a generation.
    namer: Option<RecordNamer>,
    filter: RecordFilter,
    live: LiveState,
    state: FlowLogState,
    health: Health,
}

impl Writer {
    fn run(&mut self, queue: &Receiver<Vec<PacketRecord>>) {
        let node = self.live.stamp_or_none().node;
        loop {
            self.health.beat("flow-log");
            let records = match queue.recv_timeout(IDLE) {
                Ok(records) => records,
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.state.must_reopen.swap(false, Ordering::AcqRel) {
                self.file.reopen();
            }
            let lines = self.lines(&records, &node);
            let written = match lines.is_empty() {
                true => self.file.check(),
                false => self.file.append(lines.as_bytes()),
            };
            self.report(written, &records);
        }
    }

    fn lines(&mut self, records: &[PacketRecord], node: &str) -> String {
        let mut lines = String::new();
        if records.is_empty() {
            return lines;
        }
        let version = self.live.names_version().unwrap_or_default();
        if self.namer.as_ref().map(RecordNamer::version) != Some(version) {
            self.namer = self
                .live
                .record_namer(self.filter.clone(), self.live.inventory())
                .ok();
        }
        let Some(namer) = &self.namer else {
            return lines;
        };
        for record in records.iter().filter(|record| namer.is_match(record)) {
            if let Some(line) = flow_line(&namer.name(record), node, version.0) {
                lines.push_str(&line);
                lines.push('\n');
            }
        }
        lines
    }

    fn report(&self, written: io::Result<()>, records: &[PacketRecord]) {
        match written {
            Ok(()) => {
                self.state.note_write();
                if self.health.problem_of(SUBJECT).is_some() {
                    tracing::info!("the flow log is written again");
                    self.health.clear_problem(SUBJECT);
                }
            }
            Err(error) => {
                self.state.add_lost(records);
                if self.health.problem_of(SUBJECT).is_none() {
                    tracing::error!(%error, "cannot write the flow log; its records are lost until it can");
                }
                let message = format!("cannot write: {error}; records are lost until it can");
                self.health.set_problem(SUBJECT, &message);
            }
        }
    }
}
