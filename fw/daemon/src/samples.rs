//! The latest sample of all counters, and rates.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bailey_clock::now;
use bailey_control::api;
use bailey_introspect::{CounterKey, CounterRow, Sample};
use bailey_telemetry::forecast::Forecast;
use bailey_telemetry::rate_book::RateBook;

/// State that the threads write and the control socket reads. Clones share the content.
#[derive(Debug, Clone)]
pub(crate) struct Samples {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    started: Instant,
    sampled: Option<Instant>,
    sample: Arc<Sample>,
    /// Hits, packets and bytes, by rule id.
    rules: RateBook<u32, 3>,
    /// Packets and bytes.
    counters: RateBook<CounterKey, 2>,
    /// By number of the event.
    events: RateBook<u32, 1>,
    live: Forecast,
    used: Forecast,
}

/// Age at which a sample no longer stands for the present.
const FRESH: Duration = Duration::from_secs(2);

impl Samples {
    /// Nothing sampled yet.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                started: now(),
                sampled: None,
                sample: Arc::default(),
                rules: RateBook::default(),
                counters: RateBook::default(),
                events: RateBook::default(),
                live: Forecast::default(),
                used: Forecast::default(),
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves at worst the rates of one second wrong.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the sample of this second.
    pub(crate) fn record_sample(&self, sample: Sample) {
        let mut state = self.lock();
        let at = now();
        let elapsed = state.sampled.map_or(Duration::ZERO, |before| at - before);
        let rules = sample.rules.iter();
        let rules = rules.map(|(id, count)| (id, [count.hits, count.packets, count.bytes]));
        state.rules.sample(elapsed, rules);
        state.counters.sample(elapsed, sample.counters());
        let events = (0..)
            .zip(sample.events)
            .map(|(event, count)| (event, [count]));
        state.events.sample(elapsed, events);
        let age = at - state.started;
        let census = sample.rules.census();
        state.live.add(age, census.live());
        state.used.add(age, census.used_slots);
        state.sampled = Some(at);
        state.sample = Arc::new(sample);
    }

    /// The latest sample, if it is fresh.
    pub(crate) fn sample(&self) -> Option<Arc<Sample>> {
        let state = self.lock();
        let is_fresh = state.sampled.is_some_and(|at| now() - at < FRESH);
        is_fresh.then(|| Arc::clone(&state.sample))
    }

    /// Adds the rates of the last second to rules.
    pub(crate) fn add_rule_rates(&self, rules: &mut [api::Rule]) {
        let state = self.lock();
        for rule in rules {
            let rates = state.rules.rates(rule.name.id);
            rule.rates = rates.map(|[hits, packets, bytes]| api::RuleRates {
                hits,
                packets,
                bytes,
            });
        }
    }

    /// Adds the rates of the last second to counters.
    pub(crate) fn add_counter_rates(&self, rows: &mut [CounterRow]) {
        let state = self.lock();
        for (key, row) in rows {
            let rates = state.counters.rates(*key);
            row.packets_per_second = rates.map(|[packets, _]| packets);
        }
    }

    /// Adds the rates of the last 60 seconds: of packets to rules and counters, and of flow events.
    pub(crate) fn add_history(
        &self,
        rules: &mut [api::Rule],
        rows: &mut [CounterRow],
        stats: &mut api::FlowStats,
    ) {
        const PACKETS_OF_RULE: usize = 1;
        let state = self.lock();
        for rule in rules {
            rule.recent = state.rules.history(rule.name.id, PACKETS_OF_RULE);
        }
        for (key, row) in rows {
            row.recent = state.counters.history(*key, 0);
        }
        for (number, name) in Sample::event_names() {
            if let Some(event) = stats.events.iter_mut().find(|event| event.name == name) {
                event.recent = state.events.history(number, 0);
            }
        }
    }

    /// Adds rates of events and the forecast.
    pub(crate) fn add_flow_rates(&self, stats: &mut api::FlowStats) {
        let state = self.lock();
        for (number, name) in Sample::event_names() {
            if let Some(event) = stats.events.iter_mut().find(|event| event.name == name) {
                event.per_second = state.events.rates(number).map(|[rate]| rate);
            }
        }
        let table = &stats.flow_table;
        stats.forecast = Some(api::FlowForecast {
            live_per_second: state.live.slope(),
            seconds_to_shrink: state.live.seconds_until(table.timeout_scaling_from),
            seconds_to_refuse: state.used.seconds_until(table.slots),
        });
    }
}
