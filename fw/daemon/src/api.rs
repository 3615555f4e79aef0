//! Answers of the control socket: `bailey_introspect` reads the maps, this file adds the daemon's
//! health.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bailey_config::Config;
use bailey_control::api_live::{Live, LiveQuery};
use bailey_control::api_records::RecordsQuery;
use bailey_control::api_talkers::{FlowTop, Talkers, TalkersQuery};
use bailey_control::{ApiBackend, LineStream, MetricsFormat, Problem, Server, api};
use bailey_datapath::flows::table::Census;
use bailey_introspect::{ActivePolicies, LiveState, RuleBook, Sample, without_keys};
use nix::unistd::Group;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::events::Events;
use crate::flow_log::FlowLogState;
use crate::health::{self, Health};
use crate::metrics::MetricsSource;
use crate::port_holder::port_holder;
use crate::samples::Samples;
use crate::start::RunningDaemon;
use crate::watch::{WatchSource, Watchers};

/// Serves the control socket, and the metrics over TCP, from now on.
///
/// # Errors
/// If the socket cannot be created.
pub(crate) fn serve_socket(config: &Config, api: Arc<DaemonApi>) -> io::Result<()> {
    let path = config.paths.socket();
    // This process holds the daemon's lock, so an existing socket belongs to a daemon that no
    // longer runs.
    let _ = fs::remove_file(&path);
    // The umask denies access between the creation of the socket and the change of its mode.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&path);
    umask(before);
    let listener = bound?;
    permit_group(&path, &config.control.group)?;
    let metrics = listen_for_scrapes(config, &api.health);
    Server::start(listener, metrics, api)
}

/// Opens the port for metrics. Without the port the daemon runs, and the metrics are on the control socket.
fn listen_for_scrapes(config: &Config, health: &Health) -> Option<TcpListener> {
    let address = config.metrics.address()?;
    let error = match TcpListener::bind(address) {
        Ok(listener) => return Some(listener),
        Err(error) => error,
    };
    let holder = match error.kind() {
        io::ErrorKind::AddrInUse => port_holder(address.port()),
        _ => None,
    };
    let holder = holder.map_or_else(String::new, |holder| format!(", held by {holder}"));
    let message = format!("cannot listen on {address}: {error}{holder}; see metrics.listen");
    tracing::error!("metrics: {message}");
    health.set_problem("metrics", &message);
    None
}

/// Sets mode 0660 for the group; 0600 if the group does not exist.
fn permit_group(path: &Path, group: &str) -> io::Result<()> {
    let found = Group::from_name(group).ok().flatten();
    let Some(found) = found else {
        tracing::warn!(
            socket = %path.display(),
            "no group {group:?}: only root can use the control socket"
        );
        return fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    };
    chown(path, None, Some(found.gid.as_raw()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
}

/// Answers from the pinned maps, from the daemon's health and from its threads.
pub(crate) struct DaemonApi {
    pub(crate) live: LiveState,
    pub(crate) health: Health,
    pub(crate) samples: Samples,
    pub(crate) events: Events,
    pub(crate) flow_log: FlowLogState,
    watchers: Watchers,
    book: Mutex<Option<Arc<RuleBook>>>,
    pub(crate) policies: ActivePolicies,
    pub(crate) metrics: MetricsSource,
}

impl DaemonApi {
    /// The answers of a running daemon.
    pub(crate) fn new(config: &Config, running: &RunningDaemon, health: &Health) -> Self {
        let policies = running.reconciler.active_policies();
        let flow_log = FlowLogState::default();
        let events = Events::new(config.metrics.rules as usize);
        Self {
            live: LiveState::new(config.clone()).with_policies(policies.clone()),
            health: health.clone(),
            samples: Samples::new(),
            events: events.clone(),
            flow_log: flow_log.clone(),
            watchers: Watchers::default(),
            book: Mutex::new(None),
            metrics: MetricsSource::new(
                health.clone(),
                events,
                flow_log,
                policies.clone(),
                config.metrics.rules as usize,
            ),
            policies,
        }
    }

    /// The state at this moment, for lines of `/v1/watch`.
    fn watch_source(&self) -> Result<WatchSource<'_>, Problem> {
        let sample = self.current_sample()?;
        Ok(WatchSource {
            samples: &self.samples,
            events: &self.events,
            status: self.status_at(sample.rules.census())?,
            sample,
            book: self.rule_book()?,
        })
    }

    /// Sends the changes of this second to the readers of `/v1/watch`, if there are any.
    pub(crate) fn publish(&self) {
        if self.watchers.is_empty() {
            return;
        }
        let source = self.watch_source();
        // A second without an answer is left out; the next line has its changes.
        let _ = source.and_then(|source| self.watchers.publish(&source));
    }

    /// The sample of the last second; without the thread `rates` a new one.
    fn current_sample(&self) -> Result<Arc<Sample>, Problem> {
        match self.samples.sample() {
            Some(sample) => Ok(sample),
            None => Ok(self.live.sampler()?.sample().into()),
        }
    }

    /// The names of all rules, made once for each version of the policies.
    fn rule_book(&self) -> Result<Arc<RuleBook>, Problem> {
        let version = self.live.names_version()?;
        let mut known = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(book) if book.version() == version => Ok(Arc::clone(book)),
            _ => {
                let book = Arc::new(self.live.rule_book()?);
                *known = Some(Arc::clone(&book));
                Ok(book)
            }
        }
    }

    /// The status, with flows that were counted before.
    fn status_at(&self, census: &Census) -> Result<api::Status, Problem> {
        let mut status = self.live.status_with(census)?;
        let daemon = self.health.to_api();
        let found = std::mem::take(&mut status.problems);
        // Maps and daemon may report the same subject; the daemon's text wins.
        let subject = |problem: &str| problem.split(": ").next().unwrap_or_default().to_owned();
        let known: Vec<String> = daemon.problems.iter().map(|p| subject(p)).collect();
        let other = found.into_iter().filter(|p| !known.contains(&subject(p)));
        status.problems = daemon.problems.iter().cloned().chain(other).collect();
        status.daemon = Some(daemon);
        Ok(status)
    }
}

impl ApiBackend for DaemonApi {
    fn status(&self) -> Result<api::Status, Problem> {
        match self.samples.sample() {
            Some(sample) => self.status_at(sample.rules.census()),
            None => self.status_at(&self.live.census()?),
        }
    }

    fn rules(&self, query: api::RulesQuery) -> Result<api::Rules, Problem> {
        let mut rules = match query.name {
            None => self.live.rules()?,
            Some(name) => self
                .live
                .rules_named(&name)?
                .map_err(Problem::bad_request)?,
        };
        self.samples.add_rule_rates(&mut rules.rules);
        Ok(rules)
    }

    fn flows(&self, query: api::FlowQuery) -> Result<LineStream, Problem> {
        let list = self.live.flow_list(query)?.map_err(Problem::bad_request)?;
        Ok(LineStream {
            common: serde_json::to_string(list.stamp())?,
            write: Box::new(move |sink| list.write(|lines| sink.send(lines.into()))),
        })
    }

    fn records(&self, query: RecordsQuery) -> Result<LineStream, Problem> {
        let list = self.live.record_list(&query, self.policies.snapshot())?;
        let list = list.map_err(Problem::bad_request)?;
        Ok(LineStream {
            common: serde_json::to_string(list.summary())?,
            write: Box::new(move |sink| list.write(sink)),
        })
    }

    fn flow_stats(&self) -> Result<api::FlowStats, Problem> {
        let mut stats = self.live.flow_stats()?;
        self.samples.add_flow_rates(&mut stats);
        Ok(stats)
    }

    fn counters(&self) -> Result<api::Counters, Problem> {
        let mut rows = self.live.counter_rows()?;
        self.samples.add_counter_rates(&mut rows);
        self.events.add_last_packets(&mut rows);
        Ok(api::Counters {
            stamp: self.live.stamp_or_none(),
            counters: without_keys(rows),
        })
    }

    fn blocks(&self) -> Result<api::Blocks, Problem> {
        Ok(self.live.blocks()?)
    }

    fn live(&self, query: LiveQuery) -> Result<Live, Problem> {
        let daemon = self.health.to_api();
        let mut live = self.live.live(&query, daemon.failsafe.is_some())?;
        live.policy_problem = self.health.problem_of(health::POLICY);
        Ok(live)
    }

    fn talkers(&self, query: TalkersQuery) -> Result<Talkers, Problem> {
        let book = self.rule_book()?;
        let name_of = |id: u32| book.label(id);
        Ok(self
            .events
            .talkers(self.live.stamp_or_none(), query.rows(), &name_of))
    }

    fn flow_top(&self, query: TalkersQuery) -> Result<FlowTop, Problem> {
        Ok(self.live.flow_top(query)?)
    }

    fn watch(&self) -> Result<LineStream, Problem> {
        self.watchers.subscribe(|| self.watch_source())
    }

    fn metrics(&self, accept: &str) -> Result<MetricsFormat, Problem> {
        let sample = self.current_sample()?;
        let status = self.status_at(sample.rules.census())?;
        let book = self.rule_book()?;
        Ok(self.metrics.render(&status, &sample, &book, accept))
    }
}
