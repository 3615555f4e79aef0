//! The thread that reads the records of packets as they come: for talkers, metrics and the flow log.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bailey_clock::now;
use bailey_control::api;
use bailey_control::api_talkers::{TalkerLists, Talkers as TalkersAnswer};
use bailey_datapath::observe::records::PacketRecord;
use bailey_introspect::{
    ActivePolicies, CLASS_NAMES, CounterKey, CounterRow, EventBatch, EventReader, is_known,
    workload_of,
};
use bailey_policy::{Endpoint, Snapshot};
use bailey_telemetry::talkers::{TalkerEvent, Talkers};
use bailey_telemetry::traffic::{TrafficCounts, TrafficEvent};

use crate::flow_log::FlowLogThread;
use crate::health::Health;
use crate::loop_thread::{LoopThread, StopFlag};

/// Sums over the records of this daemon's lifetime. Clones share the content.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    talkers: Talkers,
    traffic: TrafficCounts,
    /// Time of the last record.
    last: HashMap<CounterKey, SystemTime>,
    lost: [u64; CLASS_NAMES.len()],
}

impl Events {
    /// No records yet. `limit`: most workloads with a series of their own.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                started: now(),
                talkers: Talkers::new(0),
                traffic: TrafficCounts::new(limit),
                last: HashMap::new(),
                lost: [0; CLASS_NAMES.len()],
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves at worst one record uncounted.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, batch: &EventBatch, inventory: Option<&Snapshot>) {
        let mut state = self.lock();
        let age = (now() - state.started).as_secs();
        state.talkers.advance(age);
        for (sum, lost) in state.lost.iter_mut().zip(batch.lost) {
            *sum += lost;
        }
        for record in &batch.records {
            let weight = batch.weights[record.class] * record.segments;
            state.talkers.add(&talker_event(record, weight));
            if let Some(event) = traffic_event(record, inventory, weight) {
                state.traffic.add(&event);
            }
            state.last.insert(counter_key(record), record.time);
        }
    }

    /// Talkers of dropped and new traffic.
    pub(crate) fn talkers(
        &self,
        stamp: api::Stamp,
        limit: usize,
        rule_name: &dyn Fn(u32) -> String,
    ) -> TalkersAnswer {
        let state = self.lock();
        let age = (now() - state.started).as_secs();
        let lists =
            |is_dropped| -> TalkerLists { state.talkers.lists(is_dropped, limit, age, rule_name) };
        TalkersAnswer {
            stamp,
            seconds: state.talkers.seconds(age),
            dropped: lists(true),
            new: lists(false),
        }
    }

    /// Adds the time of the last record to counters.
    pub(crate) fn add_last_packets(&self, rows: &mut [CounterRow]) {
        let state = self.lock();
        for (key, row) in rows {
            let last = state.last.get(key);
            row.last_packet = last.map(|time| bailey_clock::rfc3339_milliseconds(*time));
        }
    }

    /// Counts by namespace and workload.
    pub(crate) fn traffic(&self) -> TrafficCounts {
        self.lock().traffic.clone()
    }

    /// Records that this thread has lost, by class.
    pub(crate) fn lost(&self) -> Vec<(&'static str, u64)> {
        CLASS_NAMES.into_iter().zip(self.lock().lost).collect()
    }
}

/// The key of the counter that has counted a recorded packet.
fn counter_key(record: &PacketRecord) -> CounterKey {
    (record.slot as u8, record.hook as u8, record.reason as u8)
}

fn talker_event(record: &PacketRecord, weight: u64) -> TalkerEvent {
    let connection = record.connection.as_ref();
    let cells = [record.egress, record.ingress];
    let cells = || cells.into_iter().flatten();
    let deciding = cells()
        .find(|(_, denies)| *denies)
        .or_else(|| cells().next());
    TalkerEvent {
        ends: connection.map(|c| (c.source, c.destination)),
        port: connection
            .filter(|c| c.protocol.has_ports())
            .map(|c| (c.destination_port, c.protocol.0)),
        rule: deciding.map(|(rule, _)| rule),
        is_dropped: !record.passes(),
        weight,
    }
}

fn traffic_event<'a>(
    record: &PacketRecord,
    inventory: Option<&'a Snapshot>,
    weight: u64,
) -> Option<TrafficEvent<'a>> {
    let connection = record.connection.as_ref()?;
    let inventory = inventory?;
    let name = |endpoint: &'a Endpoint| (&*endpoint.id.namespace, workload_of(endpoint));
    let find = |address| inventory.endpoint_at(address).map(name);
    Some(TrafficEvent {
        source: find(connection.source),
        destination: find(connection.destination),
        destination_address: connection.destination,
        is_destination_known: is_known(inventory, connection.destination),
        destination_port: connection.destination_port,
        passes: record.passes(),
        is_denied_at_source: record.egress.is_some_and(|(_, denies)| denies),
        is_opening: record.is_opening(),
        weight,
    })
}

/// Readings between two looks at the names of interfaces.
const READINGS_PER_REFRESH: u32 = 20;

/// Starts the thread.
///
/// # Errors
/// If the system cannot create a thread.
pub(crate) fn start_events_thread(
    mut reader: EventReader,
    events: Events,
    policies: ActivePolicies,
    health: Health,
    flow_log: Option<FlowLogThread>,
) -> io::Result<LoopThread> {
    LoopThread::start("events", move |stop: &StopFlag| {
        let mut readings = 0_u32;
        while !stop.is_set() {
            if readings.is_multiple_of(READINGS_PER_REFRESH) {
                reader.refresh_names();
                health.beat("events");
            }
            readings = readings.wrapping_add(1);
            let batch = reader.read();
            let pause = batch.pause;
            events.record(&batch, policies.snapshot().as_deref());
            if let Some(flow_log) = &flow_log {
                flow_log.write(batch.records);
            }
            stop.wait(pause);
        }
        reader.reset_sampling();
    })
}
