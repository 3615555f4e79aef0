//! The daemon's life: start, loop, stop.
//!
//! ```text
//!   configuration, lock ─▶ guard ─▶ wait for interfaces ─▶ start ─▶ threads ─▶ loop ─▶ stop
//!
//!   loop: queue.wait() ─▶ stop, or
//!         interfaces, guard, flood ─▶ policies, if files may have changed ─▶ queue.wait()
//! ```

use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::{fs, io};

use bailey_clock::now;
use bailey_config::Config;
use bailey_datapath::attach::nft_guard::NftGuard;
use bailey_datapath::kernel::directory::make_public;
use bailey_datapath::kernel::netlink::Monitor;
use bailey_datapath::set_realtime_priority;
use bailey_introspect::LiveState;
use bailey_state::lock::Lock;
use bailey_telemetry::metrics::ApplyOutcome;
use sd_notify::NotifyState;

use crate::api::DaemonApi;
use crate::error::ServeError;
use crate::events::start_events_thread;
use crate::flow_log::{FlowLogState, FlowLogThread};
use crate::guard::{install_guard, update_guard};
use crate::health::{self, Health};
use crate::loop_thread::LoopThread;
use crate::options::RunOptions;
use crate::rates::start_rates_thread;
use crate::reconcile::ReloadOutcome;
use crate::start::{RunningDaemon, report_not_started, start, wait_for_interfaces};
use crate::sweep::start_sweep_thread;
use crate::wake::{EventQueue, Wake};
use crate::{api, report};

/// Enforces the policies and follows their files until a signal requests a stop. Attached programs
/// stay attached.
///
/// # Errors
/// If the daemon could not start; the log names the reason and the programs that protect the
/// interfaces meanwhile.
pub fn serve(config: &Config, options: &RunOptions) -> Result<(), ServeError> {
    run(config, options).inspect_err(|error| report_not_started(config, error))
}

fn run(config: &Config, options: &RunOptions) -> Result<(), ServeError> {
    // Configuration, signals and directories: nothing here changes the kernel's network.
    let interfaces = config.interfaces().map_err(ServeError::Configuration)?;
    let mut queue = EventQueue::start(config);
    queue.forward_signals().map_err(ServeError::Signals)?;
    for path in [&config.paths.run, &config.paths.state] {
        make_public(path)
            .map_err(|message| ServeError::Directory(format!("{}: {message}", path.display())))?;
    }
    let _lock = Lock::take(&config.paths.run)?;
    warn_without_failsafe(config);

    // The guard closes the interfaces before the daemon waits for them.
    let mut guard = install_guard(config, &interfaces).map_err(ServeError::Guard)?;
    let seconds = options.wait_for_interfaces_seconds;
    if !wait_for_interfaces(&interfaces, seconds, &mut queue) {
        return Err(ServeError::Stopped);
    }
    let health = Health::new();
    let mut running = start(config, interfaces, options, &health)?;

    // Threads beside the loop; enforcement continues without any of them.
    let _sweep_thread = start_sweeper(&running, &health);
    if let Err(error) = forward_interface_changes(&queue, &running) {
        tracing::warn!(%error, "no interface events; polling interfaces instead");
    }
    let api = Arc::new(DaemonApi::new(config, &running, &health));
    let _rates_thread = start_rates(&api, &health);
    let _events_thread = start_events(config, &api, &health);
    let flow_log = api.flow_log.clone();
    if let Err(error) = api::serve_socket(config, api) {
        let socket = config.paths.socket();
        tracing::error!("{}: {error}; no control socket", socket.display());
        health.set_problem("control socket", &error.to_string());
    }

    // Loop. The notifications have no effect without a service manager.
    let _ = sd_notify::notify(false, &[NotifyState::Ready]);
    run_loop(&mut queue, &mut running, &health, &flow_log, guard.as_mut());
    let _ = sd_notify::notify(false, &[NotifyState::Stopping]);

    // Stop.
    let _ = fs::remove_file(config.paths.socket());
    if running.datapath.outlives_process() {
        tracing::info!(
            "stopped: the attached programs continue to enforce; `bailey detach --yes-unfiltered` ends it"
        );
    } else {
        tracing::error!(
            "stopped: the pins are missing, so the kernel detaches the programs when this process \
             exits; the interfaces are UNPROTECTED"
        );
    }
    Ok(())
}

/// Starts the sweeper. Without it, expired flows stay until new flows need their slots.
fn start_sweeper(running: &RunningDaemon, health: &Health) -> Option<LoopThread> {
    let start = || {
        let sweeper = running.datapath.sweeper().map_err(|e| e.to_string())?;
        start_sweep_thread(sweeper, health.clone()).map_err(|e| e.to_string())
    };
    start()
        .inspect_err(|error| {
            tracing::error!("{error}: the flow table is not swept");
            health.set_problem("sweeper", error);
        })
        .ok()
}

/// Starts the sampler. Without it there are no rates, and metrics read the maps at each scrape.
fn start_rates(api: &Arc<DaemonApi>, health: &Health) -> Option<LoopThread> {
    let start = || {
        let sampler = api.live.sampler().map_err(|e| e.to_string())?;
        let publisher = Arc::clone(api);
        let publish = move || publisher.publish();
        let samples = api.samples.clone();
        let started = start_rates_thread(sampler, samples, health.clone(), publish);
        started.map_err(|e| e.to_string())
    };
    start()
        .inspect_err(|error| {
            tracing::error!("{error}: no rates");
            health.set_problem("rates", error);
        })
        .ok()
}

/// Starts the reader of records, unless the recorder is off. Without it there are no talkers.
fn start_events(config: &Config, api: &DaemonApi, health: &Health) -> Option<LoopThread> {
    let start = || {
        let Some(reader) = api.live.event_reader().map_err(|e| e.to_string())? else {
            return Ok(None);
        };
        let (events, policies) = (api.events.clone(), api.policies.clone());
        let flow_log = start_flow_log(config, api, health);
        let started = start_events_thread(reader, events, policies, health.clone(), flow_log);
        started.map(Some).map_err(|e| e.to_string())
    };
    start()
        .inspect_err(|error: &String| {
            tracing::error!("{error}: records of packets are not read");
            health.set_problem("records", error);
        })
        .ok()
        .flatten()
}

/// Starts the flow log, if the configuration names a file.
fn start_flow_log(config: &Config, api: &DaemonApi, health: &Health) -> Option<FlowLogThread> {
    if !config.flow_log.is_on() {
        return None;
    }
    let live = LiveState::new(config.clone()).with_policies(api.policies.clone());
    let state = api.flow_log.clone();
    FlowLogThread::start(config, live, state, health.clone())
        .inspect_err(|error| {
            tracing::error!("{error}: no flow log");
            health.set_problem("flow log", error);
        })
        .ok()
}

fn warn_without_failsafe(config: &Config) {
    if config.failsafe.is_empty() {
        tracing::warn!(
            "no failsafe: a policy can lock you out; add the address that you manage this machine \
             from, for example failsafe = [{{ cidr = \"192.0.2.0/24\", port = 22 }}]"
        );
    }
}

/// Starts the thread that follows interfaces. It attaches to a recreated interface at once, before
/// it wakes the loop. It also wakes the loop periodically, because netlink does not report programs
/// that another process detaches.
fn forward_interface_changes(queue: &EventQueue, running: &RunningDaemon) -> io::Result<()> {
    const POLL: Duration = Duration::from_millis(900);
    let monitor = Monitor::new()?;
    let notify_queue = queue.interface_notifier();
    let attacher = running.datapath.hotplug_attacher(&running.interfaces);
    let attacher = attacher.unwrap_or_else(|error| {
        tracing::warn!(%error, "recreated interfaces are attached by the loop only, with a delay");
        None
    });
    thread::spawn(move || {
        if let Err(error) = set_realtime_priority() {
            tracing::info!(
                %error,
                "no real-time priority: on a busy machine, a recreated interface is unprotected \
                 for longer"
            );
        }
        while monitor.wait(POLL).is_ok() {
            if let Some(attacher) = &attacher {
                attacher.attach_new();
            }
            if !notify_queue() {
                break;
            }
        }
    });
    Ok(())
}

fn run_loop(
    queue: &mut EventQueue,
    running: &mut RunningDaemon,
    health: &Health,
    flow_log: &FlowLogState,
    mut guard: Option<&mut NftGuard>,
) {
    let guarded = guard.as_deref_mut();
    update_guard(&running.datapath, &running.interfaces, guarded, health);
    let mut must_read_again = false;
    let mut is_flood_reported = false;
    loop {
        health.beat("main");
        let wake = queue.wait();
        if wake == Wake::StopRequested {
            return;
        }

        if wake == Wake::ReloadRequested {
            flow_log.reopen();
        }

        // Interfaces, guard and reports: at every wake-up.
        report_blocking_file(queue, health);
        report::report_flood(running.datapath.flood_seconds(), &mut is_flood_reported);
        let begun = now();
        let events = running.datapath.reconcile(&running.interfaces);
        report::report_interfaces(&events, &running.interfaces, health, begun);
        let guarded = guard.as_deref_mut();
        update_guard(&running.datapath, &running.interfaces, guarded, health);

        // Policies: only if the files may have changed.
        let has_work = match wake {
            Wake::InterfacesChanged | Wake::FilesOpen => false,
            Wake::RescanDue => must_read_again || !running.reconciler.is_current(),
            _ => true,
        };
        if has_work {
            queue.rewatch();
            let outcome = reload(running, queue, health, wake == Wake::ReloadRequested);
            must_read_again = matches!(outcome, ReloadOutcome::FilesChanged);
        }
    }
}

/// Sets or clears the problem of a policy file that delays a reload because a process still writes
/// it.
fn report_blocking_file(queue: &EventQueue, health: &Health) {
    const SUBJECT: &str = "policy files";
    let Some(path) = queue.blocking_file() else {
        health.clear_problem(SUBJECT);
        return;
    };
    let text = format!(
        "{} is being written; changes are read when its writer closes it, or {} s after its first \
         write; SIGHUP reads them now",
        path.display(),
        queue.write_timeout().as_secs()
    );
    health.set_problem(SUBJECT, &text);
}

/// Reloads the policies once, and reports the outcome.
fn reload(
    running: &mut RunningDaemon,
    queue: &mut EventQueue,
    health: &Health,
    at_once: bool,
) -> ReloadOutcome {
    let RunningDaemon {
        datapath,
        reconciler,
        interfaces,
        ..
    } = running;

    let begun = now();
    let before = reconciler.selection().clone();
    let outcome = if at_once {
        reconciler.reload_at_once(datapath)
    } else {
        reconciler.reload(datapath, || queue.is_quiet())
    };

    match &outcome {
        ReloadOutcome::Committed(generation) => {
            let events = &generation.committed.events;
            report::report_interfaces(events, interfaces, health, begun);
            report::report_generation(generation);
            report::report_selection(&before, reconciler.selection());
            health.record_commit(&generation.stages, &generation.warnings);
            health.clear_problem(health::POLICY);
            report::report_failsafe(datapath, health);
        }
        ReloadOutcome::Unchanged => {
            health.metrics().record_apply(ApplyOutcome::Unchanged);
            health.clear_problem(health::POLICY);
            tracing::debug!("policies unchanged: the active generation stays active");
        }
        ReloadOutcome::FilesChanged => {
            tracing::debug!("files changed while they were read; reading them again");
        }
        ReloadOutcome::Refused(refusal) => {
            report::report_refusal(refusal, health);
            tracing::error!("the last good generation stays active");
        }
    }
    outcome
}
