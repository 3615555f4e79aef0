use std::thread;
use std::time::Duration;

use bailey_config::Config;
use bailey_datapath::attach::nft_guard::NftGuard;
use bailey_datapath::kernel::directory::make_public;
use bailey_datapath::kernel::netlink::Monitor;
use bailey_datapath::set_realtime_priority;
use bailey_state::lock::Lock;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::ServeError;
use crate::health::{self, Health};
use crate::options::RunOptions;
use crate::reconcile::Outcome;
use crate::start::{Started, guard, report_not_started, start, wait_for_interfaces};
use crate::sweep::SweepThread;
use crate::wake::{EventQueue, Input, Wake};
use crate::{api, report};

/// Enforces the policies and follows their files until a signal asks to stop. Attached programs stay
/// attached.
///
/// # Errors
/// If the daemon could not start; the log says why, and which programs protect the interfaces meanwhile.
pub fn serve(config: &Config, options: &RunOptions) -> Result<(), ServeError> {
    run(config, options).inspect_err(|error| report_not_started(config, error))
}

fn run(config: &Config, options: &RunOptions) -> Result<(), ServeError> {
    // Configuration, signals and directories: nothing here touches the kernel's network.
    let interfaces = config.interfaces().map_err(ServeError::Configuration)?;
    let mut queue = EventQueue::start(config);
    forward_signals(&queue).map_err(ServeError::Signals)?;
    for path in [&config.paths.run, &config.paths.state] {
        make_public(path)
            .map_err(|message| ServeError::Directory(format!("{}: {message}", path.display())))?;
    }
    let _lock = Lock::take(&config.paths.run)?;
    warn_without_failsafe(config);

    // The guard closes the interfaces before the daemon waits for them.
    let mut guard = guard(config, &interfaces).map_err(ServeError::Guard)?;
    let seconds = options.wait_for_interfaces_seconds;
    if !wait_for_interfaces(&interfaces, seconds, &mut queue) {
        return Err(ServeError::Stopped);
    }
    let health = Health::new();
    let mut started = start(config, interfaces, options, &health)?;

    // Helpers of the loop; enforcement goes on without any of them.
    let _sweep_thread = sweep(&started, &health);
    if let Err(error) = forward_interfaces(&queue, &started) {
        tracing::warn!(%error, "no interface events; interfaces are polled instead");
    }
    if let Err(error) = api::start(config, health.clone(), started.reconciler.known_rules()) {
        let socket = config.paths.socket();
        tracing::error!("{}: {error}; no control socket", socket.display());
        health.problem("control socket", &error.to_string());
    }
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(false, &[NotifyState::Ready]);
    run_loop(&mut queue, &mut started, &health, guard.as_mut());
    let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
    let _ = std::fs::remove_file(config.paths.socket());
    if started.datapath.outlives_process() {
        tracing::info!(
            "stopped; what is attached stays in force, `bailey detach --yes-unfiltered` ends it"
        );
    } else {
        tracing::error!(
            "stopped, and what was attached ends with this process, since its pins are gone: the \
             interfaces are UNPROTECTED"
        );
    }
    Ok(())
}

/// Without the sweeper expired flows go when their places are needed.
fn sweep(started: &Started, health: &Health) -> Option<SweepThread> {
    let sweeper = started.datapath.sweeper().map_err(|e| e.to_string());
    let sweep_thread =
        sweeper.and_then(|sweeper| SweepThread::start(sweeper).map_err(|e| e.to_string()));
    sweep_thread
        .inspect_err(|error| {
            tracing::error!("{error}: the flow table is not swept");
            health.problem("sweeper", error);
        })
        .ok()
}

fn warn_without_failsafe(config: &Config) {
    if config.failsafe.is_empty() {
        tracing::warn!(
            "no failsafe: a policy can lock you out; name where you manage this machine from, as in \
             failsafe = [{{ cidr = \"192.0.2.0/24\", port = 22 }}]"
        );
    }
}

fn forward_signals(queue: &EventQueue) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let sender = queue.sender();
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(Input::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// An interface that comes back is attached to here, before anything else is done; the loop is told
/// afterwards. It is told every second all the same: what somebody takes off is no news of netlink.
fn forward_interfaces(queue: &EventQueue, started: &Started) -> std::io::Result<()> {
    const LOOK: Duration = Duration::from_millis(900);
    let monitor = Monitor::new()?;
    let changed = queue.interface_changes();
    let guardian = started.datapath.hotplug_attacher(&started.interfaces);
    let guardian = guardian.unwrap_or_else(|error| {
        tracing::warn!(%error, "an interface that comes back is attached to later than it could be");
        None
    });
    thread::spawn(move || {
        if let Err(error) = set_realtime_priority() {
            tracing::info!(
                %error,
                "no real-time priority: on a busy machine an interface that comes back stays open for longer"
            );
        }
        while monitor.wait(LOOK).is_ok() {
            if let Some(guardian) = &guardian {
                guardian.attach_new();
            }
            if !changed() {
                break;
            }
        }
    });
    Ok(())
}

fn run_loop(
    queue: &mut EventQueue,
    started: &mut Started,
    health: &Health,
    mut guard: Option<&mut NftGuard>,
) {
    report::guard(
        &started.datapath,
        &started.interfaces,
        guard.as_deref_mut(),
        health,
    );
    let mut again = false;
    let mut flooded = false;
    loop {
        let wake = queue.wait();
        if wake == Wake::Stop {
            return;
        }
        const WRITTEN: &str = "policy files";
        match queue.written() {
            Some(path) => health.problem(
                WRITTEN,
                &format!(
                    "{} is being written, and no change is read until that ends, or for {} s from \
                     its first write; SIGHUP reads now",
                    path.display(),
                    queue.patience().as_secs()
                ),
            ),
            None => health.solved(WRITTEN),
        }
        report::flood(started.datapath.flood_seconds(), &mut flooded);
        let events = started.datapath.reconcile(&started.interfaces);
        report::interfaces(&events, &started.interfaces, health);
        report::guard(
            &started.datapath,
            &started.interfaces,
            guard.as_deref_mut(),
            health,
        );
        let current = || started.reconciler.is_current();
        if matches!(wake, Wake::Interfaces | Wake::Postponed)
            || (wake == Wake::Rescan && !again && current())
        {
            continue;
        }
        queue.rewatch();
        let at_once = wake == Wake::Asked;
        again = matches!(
            apply(started, queue, health, at_once),
            Outcome::FilesChanged
        );
    }
}

/// Reloads once, and says what it came to.
fn apply(started: &mut Started, queue: &mut EventQueue, health: &Health, at_once: bool) -> Outcome {
    let Started {
        datapath,
        reconciler,
        interfaces,
        ..
    } = started;
    let before = reconciler.selection().clone();
    let outcome = if at_once {
        reconciler.reload_at_once(datapath)
    } else {
        reconciler.reload(datapath, || queue.is_quiet())
    };
    match &outcome {
        Outcome::Committed(generation) => {
            report::interfaces(&generation.committed.events, interfaces, health);
            report::generation(generation);
            report::selected(&before, reconciler.selection());
            health.committed(&generation.warnings);
            health.solved(health::POLICY);
            report::failsafe(datapath, health);
        }
        Outcome::Unchanged => {
            health.solved(health::POLICY);
            tracing::debug!("the files say what is in force already");
        }
        Outcome::FilesChanged => tracing::debug!("files changed while they were read; once more"),
        Outcome::Refused(refusal) => {
            report::refusal(refusal, health);
            tracing::error!("the last good generation stays in force");
        }
    }
    outcome
}
