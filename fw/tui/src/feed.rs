//! Data from the daemon: one thread per stream, which connects again when the daemon is gone. The screen never
//! waits for a socket.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bailey_clock::now;
use bailey_control::api::{self, FlowColumn, FlowQuery, SCHEMA_VERSION, Stamp, path};
use bailey_control::api_records::{EndpointName, PacketRecord, RecordsQuery, RecordsSummary};
use bailey_control::api_talkers::{FlowTalker, FlowTop, TalkersQuery};
use bailey_control::api_watch::{Update, WatchBegin};
use bailey_control::client;

use crate::answer;
use crate::change::Change;
use crate::data::{Data, Flow, Merger, Packet};
use crate::json_lines;
use crate::model::Question;
use crate::text::{escape, socket, time_of_day};

/// Records and flows that are kept.
pub const KEPT: usize = 400;
/// Rows of a list of flows by their ends.
const TOP_ROWS: usize = 100;
/// Time between two lists of flows.
const FLOWS_PAUSE: Duration = Duration::from_secs(4);
/// The problem while the daemon is gone.
const ENDED: &str = "the daemon has ended the connection";
/// First and longest pause before a new connection.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(2)];

/// News from the daemon.
#[derive(Debug)]
pub enum News {
    /// The state of a second; without packets and flows.
    State(Box<Data>),
    /// The packets come again from the begin: the connection is new.
    PacketsBegin,
    /// Packets, the oldest first.
    Packets(Vec<Packet>),
    /// The flows with most bytes.
    Flows(Vec<Flow>),
    /// Sources, targets and ports with their flows and bytes.
    FlowTop([Vec<FlowTalker>; 3]),
    /// Why there is no state, in a sentence.
    Problem(String),
    /// The outcome of a change, in a sentence.
    Said(String),
    /// The answer to a question: a title and lines.
    Answer(String, Vec<String>),
}

/// Runs a command of this program with arguments, and returns what it says.
type Run = dyn Fn(&[String]) -> String + Send + Sync;

/// Changes the firewall.
#[derive(Clone)]
pub struct Writer(pub Arc<Run>);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

/// The threads. They end with the process.
#[derive(Debug)]
pub struct Feed {
    news: Receiver<News>,
    sender: Sender<News>,
    socket: PathBuf,
    wants_flows: Arc<AtomicBool>,
}

impl Feed {
    /// Starts to read from the daemon behind this socket.
    pub fn start(socket: &Path) -> Self {
        let (sender, news) = channel();
        let wants_flows = Arc::new(AtomicBool::new(false));
        let spawn = |run: fn(&Path, &Sender<News>, &AtomicBool)| {
            let (socket, sender) = (socket.to_owned(), sender.clone());
            let wanted = Arc::clone(&wants_flows);
            thread::spawn(move || run(&socket, &sender, &wanted));
        };
        spawn(|socket, sender, _| follow_state(socket, sender));
        spawn(|socket, sender, _| follow_packets(socket, sender));
        spawn(list_flows);
        Self {
            news,
            sender,
            socket: socket.to_owned(),
            wants_flows,
        }
    }

    /// News since the last call.
    pub fn take(&self) -> Vec<News> {
        self.news.try_iter().collect()
    }

    /// Waits for news.
    pub fn wait(&self, timeout: Duration) -> Option<News> {
        self.news.recv_timeout(timeout).ok()
    }

    /// Asks the daemon; the answer comes as news.
    pub fn ask(&self, question: Question) {
        let (socket, sender) = (self.socket.clone(), self.sender.clone());
        thread::spawn(move || {
            let (title, lines) = answer::ask(&socket, &question);
            let _ = sender.send(News::Answer(title, lines));
        });
    }

    /// Changes the firewall in a thread; the outcome comes as news.
    pub fn change(&self, change: Change, writer: &Writer) {
        let (writer, sender) = (writer.clone(), self.sender.clone());
        thread::spawn(move || {
            let outcome = writer.0(&change.arguments());
            let _ = sender.send(News::Said(escape(outcome.trim())));
        });
    }

    /// Whether lists of flows are of use.
    pub fn want_flows(&self, wanted: bool) {
        self.wants_flows.store(wanted, Ordering::Relaxed);
    }
}

/// Connects again and again; pauses grow while `run` gets nothing.
fn again_and_again(mut run: impl FnMut() -> bool) {
    let mut pause = RETRY[0];
    loop {
        if run() {
            pause = RETRY[0];
        }
        thread::sleep(pause);
        pause = (pause * 2).min(RETRY[1]);
    }
}

fn follow_state(socket: &Path, sender: &Sender<News>) {
    again_and_again(|| {
        let mut merger = Merger::default();
        let mut last: Option<Instant> = None;
        let is_other_schema = std::cell::Cell::new(None);
        let streamed = client::stream_lines(
            socket,
            path::WATCH,
            &(),
            true,
            |begin: WatchBegin| {
                if begin.schema_version != SCHEMA_VERSION {
                    is_other_schema.set(Some(begin.schema_version));
                }
            },
            |lines| {
                is_other_schema.get().is_none()
                    && lines
                        .split(|byte| *byte == b'\n')
                        .filter(|line| !line.is_empty())
                        .all(|line| {
                            let Ok(update) = serde_json::from_slice::<Update>(line) else {
                                return false;
                            };
                            let at = now();
                            let seconds = last.map_or(0.0, |before| (at - before).as_secs_f64());
                            last = Some(at);
                            let data = merger.merge(update, seconds);
                            sender.send(News::State(Box::new(data))).is_ok()
                        })
            },
        );
        let problem = match (is_other_schema.get(), streamed) {
            (Some(other), _) => {
                let older = if other > SCHEMA_VERSION {
                    "this console"
                } else {
                    "the daemon"
                };
                format!(
                    "the daemon speaks version {other}, this console {SCHEMA_VERSION}: {older} is older"
                )
            }
            // The connection was there before.
            (None, Err(_)) if last.is_some() => ENDED.to_owned(),
            (None, Err(error)) => error.to_string(),
            (None, Ok(())) => ENDED.to_owned(),
        };
        let _ = sender.send(News::Problem(escape(&problem)));
        last.is_some()
    });
}

fn follow_packets(socket: &Path, sender: &Sender<News>) {
    let query = RecordsQuery {
        last: Some(KEPT),
        follow: true,
        ..RecordsQuery::default()
    };
    again_and_again(|| {
        let mut has_any = false;
        // The state tells why there is no daemon.
        let _ = client::stream_lines(
            socket,
            path::RECORDS,
            &query,
            true,
            |_: RecordsSummary| {
                // A screen that has ended needs none.
                let _ = sender.send(News::PacketsBegin);
            },
            |lines| {
                has_any = true;
                let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
                // Of a flood only the newest are ever shown.
                let newest = &lines[lines.len().saturating_sub(KEPT + 1)..];
                let records = newest
                    .iter()
                    .filter_map(|line| serde_json::from_slice(line).ok());
                sender
                    .send(News::Packets(
                        records.map(|record| packet_of(&record)).collect(),
                    ))
                    .is_ok()
            },
        );
        has_any
    });
}

fn list_flows(socket: &Path, sender: &Sender<News>, wanted: &AtomicBool) {
    let query = FlowQuery {
        sort: Some(FlowColumn::Bytes),
        limit: Some(KEPT),
        ..FlowQuery::default()
    };
    loop {
        if !wanted.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(100));
            continue;
        }
        let mut flows = Vec::new();
        let listed = client::stream_lines(
            socket,
            path::FLOWS,
            &query,
            false,
            |_: Stamp| {},
            |lines| {
                let parsed = json_lines::parsed::<api::Flow>(lines);
                flows.extend(parsed.map(|flow| flow_of(&flow)));
                true
            },
        );
        if listed.is_ok() && sender.send(News::Flows(flows)).is_err() {
            return;
        }
        let rows = TalkersQuery {
            limit: Some(TOP_ROWS),
        };
        let top: Result<FlowTop, _> = client::get(socket, path::FLOW_TOP, &rows);
        if let Ok(top) = top {
            let _ = sender.send(News::FlowTop([top.sources, top.targets, top.ports]));
        }
        thread::sleep(FLOWS_PAUSE);
    }
}

fn packet_of(record: &PacketRecord) -> Packet {
    let name = |endpoint: &Option<EndpointName>| {
        endpoint
            .as_ref()
            .map_or_else(String::new, |endpoint| escape(&endpoint.to_string()))
    };
    let end = |address: &Option<String>, port: Option<u16>| {
        (
            address.clone().unwrap_or_else(|| "-".to_owned()),
            port.unwrap_or_default(),
        )
    };
    Packet {
        time: time_of_day(&record.time),
        interface: escape(record.interface.as_deref().unwrap_or("-")),
        passes: record.verdict == "pass",
        reason: record.reason.clone(),
        number: 0,
        source: end(&record.source, record.source_port),
        source_name: name(&record.source_endpoint),
        destination: end(&record.destination, record.destination_port),
        destination_name: name(&record.destination_endpoint),
        protocol: record.protocol.clone().unwrap_or_else(|| "-".to_owned()),
        flags: record.tcp_flags.clone(),
        bytes: record.bytes,
        rules: record.deciders().iter().map(|rule| rule.name.id).collect(),
        rule: escape(&record.decider_names()),
    }
}

fn flow_of(flow: &api::Flow) -> Flow {
    let rules = [&flow.ingress_rule, &flow.egress_rule];
    let rule = rules
        .into_iter()
        .find(|rule| rule.kind == "rule" || rule.kind == "default-deny");
    Flow {
        protocol: flow.protocol.clone(),
        source: socket(&flow.source, flow.source_port),
        destination: socket(&flow.destination, flow.destination_port),
        state: flow.state.clone(),
        idle: flow.idle_seconds,
        left: flow.left_seconds,
        bytes: flow.bytes + flow.reply_bytes,
        packets: flow.packets + flow.reply_packets,
        ends: (
            flow.source.clone(),
            flow.destination.clone(),
            flow.destination_port,
        ),
        rate: flow.bytes_per_second,
        rule: escape(rule.map_or(&flow.ingress_rule.rule, |rule| &rule.rule)),
    }
}
