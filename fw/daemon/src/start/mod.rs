//! From a configuration to attached programs. The loop that follows is `serve.rs`.
//!
//! ```text
//!   policy files ─▶ candidate ─▶ datapath loaded or adopted ─▶ generation installed ─▶ attached
//! ```
//!
//! Programs are attached last, so no packet ever meets a program without policy.

/// Rule ids that counters and flows of an earlier process refer to.
mod known_ids;
/// The log of a daemon that does not start.
mod not_started;
/// Waits for interfaces that do not exist yet.
mod wait;

use std::thread;
use std::time::Duration;

use bailey_clock::now;
use bailey_config::{Config, Interface, WithoutPolicy};
use bailey_datapath::observe::status::DatapathStatus;
use bailey_datapath::{Datapath, DatapathError, PinDir};
use bailey_source::Selection;
use bailey_state::lock::Lock;

use crate::error::ServeError;
use crate::health::Health;
use crate::lockout;
use crate::options::RunOptions;
use crate::reconcile::{Candidate, Reconciler, Refusal, ReloadOutcome};
use crate::report;

pub(crate) use self::not_started::report_not_started;
pub(crate) use self::wait::wait_for_interfaces;

/// The state that the loop works with.
pub(crate) struct RunningDaemon {
    pub(crate) datapath: Datapath,
    pub(crate) reconciler: Reconciler,
    pub(crate) interfaces: Vec<Interface>,
    /// Keeps other daemons off these pins.
    pub(crate) _pins_lock: Lock,
}

/// Reads the policies, loads or adopts the datapath, installs a generation, and attaches.
///
/// # Errors
/// If there is no active generation and the policies are invalid, or if the kernel refuses a step.
/// Programs that were attached before stay attached.
pub(crate) fn start(
    config: &Config,
    interfaces: Vec<Interface>,
    options: &RunOptions,
    health: &Health,
) -> Result<RunningDaemon, ServeError> {
    let fail = |error: DatapathError| ServeError::Datapath {
        message: with_remedy(config, &error),
        error,
    };

    // Files first: invalid policies end the start before it changes the kernel.
    let enforcing =
        DatapathStatus::read(&config.paths.pins).is_ok_and(|loaded| loaded.is_enforcing());
    let known = known_ids::read_known_ids(config);
    let had_policies = enforcing && known.may_have_policies;
    let mut reconciler = Reconciler::new(config.clone(), known.ids, had_policies);
    let candidate = prepare(config, &mut reconciler);
    if !enforcing && let Err(refusal) = &candidate {
        check_without_policy(config, refusal, options)?;
    }

    // The pin directory, its lock, and the datapath that is pinned there.
    let pins = PinDir::at(&config.paths.pins).map_err(fail)?;
    let pins_lock = Lock::take_directory(&config.paths.pins)?;
    let mut datapath =
        Datapath::open(pins, config.settings(), reconciler.ids().clone()).map_err(fail)?;

    // The first generation.
    let begun = now();
    match candidate {
        Ok(candidate) => {
            warn_of_lockout(&candidate, config);
            match reconciler.install(candidate, &mut datapath) {
                ReloadOutcome::Committed(generation) => {
                    let events = &generation.committed.events;
                    report::report_interfaces(events, &interfaces, health, begun);
                    report::report_generation(&generation);
                    report::report_selection(&Selection::default(), reconciler.selection());
                    health.record_commit(&generation.stages, &generation.warnings);
                }
                ReloadOutcome::Refused(refusal) if datapath.is_attached() => {
                    report_kept(&refusal, enforcing, options, health)
                }
                ReloadOutcome::Refused(refusal) => {
                    datapath.abandon();
                    // The files are valid; the kernel refused.
                    return Err(ServeError::Install(refusal.messages.join("; ")));
                }
                ReloadOutcome::Unchanged | ReloadOutcome::FilesChanged => {}
            }
        }
        Err(refusal) => report_kept(&refusal, enforcing, options, health),
    }

    // Warm-up only applies to a first start; adopted programs enforce already.
    if config.warm_up > 0 && !datapath.is_attached() {
        start_warm_up(&datapath, config.warm_up, health);
    }

    // Attach.
    let events = match datapath.attach(&interfaces, options.replace) {
        Ok(events) => events,
        Err(error) => {
            datapath.abandon();
            return Err(fail(error));
        }
    };
    report::report_interfaces(&events, &interfaces, health, begun);
    report::report_failsafe(&datapath, health);
    Ok(RunningDaemon {
        datapath,
        reconciler,
        interfaces,
        _pins_lock: pins_lock,
    })
}

/// Applies `boot.without_policy`, if no generation is active and the files are invalid.
fn check_without_policy(
    config: &Config,
    refusal: &Refusal,
    options: &RunOptions,
) -> Result<(), ServeError> {
    match config.boot.without_policy {
        WithoutPolicy::Open => {
            (options.show_diagnostics)(&refusal.diagnostics);
            let message = report::join_first(&refusal.messages);
            Err(ServeError::Policies(message))
        }
        WithoutPolicy::FailsafeOnly => {
            tracing::error!(
                "NO POLICY: only failsafe traffic passes until the files are valid \
                 (boot.without_policy)"
            );
            Ok(())
        }
    }
}

/// Starts warm-up (audit) mode, and reports it as a problem until it ends: policy is not enforced
/// meanwhile.
fn start_warm_up(datapath: &Datapath, seconds: u32, health: &Health) {
    const SUBJECT: &str = "warm-up";
    datapath.start_warm_up(seconds);
    tracing::warn!(
        seconds,
        "WARM-UP: policy only observes; packets that it denies pass, counted as warm-up"
    );
    health.set_problem(
        SUBJECT,
        "policy only observes until the warm-up ends; packets that it denies pass",
    );
    let health = health.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(seconds.into()));
        health.clear_problem(SUBJECT);
        tracing::info!("the warm-up has ended: policy is enforced");
    });
}

/// Prepares a candidate; tries again for some seconds while files change.
fn prepare(config: &Config, reconciler: &mut Reconciler) -> Result<Candidate, Refusal> {
    const TRIES: u32 = 50;
    const PAUSE: Duration = Duration::from_millis(100);
    for _ in 0..TRIES {
        match reconciler.prepare() {
            Ok(candidate) => return Ok(candidate),
            Err(ReloadOutcome::FilesChanged) => thread::sleep(PAUSE),
            Err(ReloadOutcome::Refused(refusal)) => return Err(refusal),
            Err(_) => return Err(Refusal::without_file("no policies to enforce")),
        }
    }
    let paths: Vec<String> = config
        .policies
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let message = format!("{}: the files change continuously", paths.join(", "));
    Err(Refusal::without_file(message))
}

/// Logs a warning if the candidate would cut off the SSH session of the operator.
fn warn_of_lockout(candidate: &Candidate, config: &Config) {
    let settings = config.settings();
    let Some(session) = lockout::SshSession::detect() else {
        return;
    };
    let (failsafe, strict) = (&settings.failsafe, settings.tcp_strict);
    if let Some(warning) = lockout::find_warning(candidate.snapshot(), session, failsafe, strict) {
        tracing::warn!("{warning}");
    }
}

/// Reports a refusal that does not end the start: the earlier generation, if any, stays active.
fn report_kept(refusal: &Refusal, enforcing: bool, options: &RunOptions, health: &Health) {
    (options.show_diagnostics)(&refusal.diagnostics);
    report::report_refusal(refusal, health);
    if enforcing {
        tracing::error!("the generation of the earlier process stays active");
    }
}

/// The error's text with its remedy.
fn with_remedy(config: &Config, error: &DatapathError) -> String {
    match error {
        DatapathError::Layout { .. } => format!(
            "{error}. Either restore the option, or discard flows and counters: `bailey detach \
             --yes-unfiltered`, then start again (pins: {})",
            config.paths.pins.display()
        ),
        _ => error.with_missing_right(),
    }
}
