use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use bailey_bpf::abi;
use bailey_clock::now;
use bailey_compile::RuleIds;
use bailey_config::{Config, Guard, Interface, WithoutPolicy};
use bailey_datapath::attach::nft_guard::{self, NftGuard};
use bailey_datapath::flows::table::FlowTable;
use bailey_datapath::kernel::netlink;
use bailey_datapath::observe::counters::Counters;
use bailey_datapath::observe::status::DatapathStatus;
use bailey_datapath::{Datapath, DatapathError, PinDir, protected_interfaces, with_stacked};
use bailey_source::Selection;
use bailey_state::lock::{Lock, LockError};
use bailey_state::rule_ids::RuleNames;

use crate::closable::{closable, indices};
use crate::error::ServeError;
use crate::health::Health;
use crate::lockout;
use crate::options::RunOptions;
use crate::reconcile::{Candidate, Outcome, Reconciler, Refusal};
use crate::report;
use crate::wake::EventQueue;

/// What the loop works with.
pub(crate) struct Started {
    pub(crate) datapath: Datapath,
    pub(crate) reconciler: Reconciler,
    pub(crate) interfaces: Vec<Interface>,
    /// Nobody else may use these pins.
    pub(crate) _pins_lock: Lock,
}

/// Logs why the daemon did not start, and which program protects each configured interface meanwhile.
pub(crate) fn report_not_started(config: &Config, error: &ServeError) {
    tracing::error!("{error}");
    // The other daemon may well protect the interfaces.
    if matches!(error, ServeError::Locked(LockError::Held(..))) {
        return;
    }
    if let Ok(loaded) = DatapathStatus::read(&config.paths.pins)
        && loaded.is_enforcing()
    {
        tracing::error!(
            generation = loaded.control.generation,
            "bailey did not start; what was in force before goes on: `bailey status`"
        );
    }
    let interfaces = config.interfaces().unwrap_or_default();
    let protectors = match protected_interfaces() {
        Ok(protectors) => protectors,
        Err(error) => {
            tracing::error!("{error}; whether anything is enforced is not known");
            return;
        }
    };
    // An interface may be named by another of its names.
    let now = |name: &String| {
        let state = netlink::interface_by_name(name).ok().flatten();
        state.map_or_else(|| name.clone(), |state| state.name)
    };
    let names: Vec<String> = interfaces.iter().map(|wanted| now(&wanted.name)).collect();
    let (guarded, open): (Vec<_>, Vec<_>) = names
        .iter()
        .partition(|name| protectors.iter().any(|p| p.interface == **name));
    for protector in protectors
        .iter()
        .filter(|p| guarded.contains(&&p.interface))
    {
        tracing::error!("{protector}");
    }
    if config.interfaces.is_empty() {
        tracing::error!("bailey did not start; the configuration names no interface to protect");
    } else if !open.is_empty() {
        let index = |name: &str| {
            netlink::interface_by_name(name)
                .ok()
                .flatten()
                .map(|s| s.index)
        };
        let (closed, open): (Vec<&str>, Vec<&str>) = open
            .into_iter()
            .map(String::as_str)
            .partition(|name| nft_guard::closes(&config.paths.pins, name, index(name)));
        if !closed.is_empty() {
            let closed = closed.join(", ");
            tracing::error!("closed by the guard, but for the failsafe: {closed}");
        }
        if !open.is_empty() {
            tracing::error!("UNPROTECTED: {}", open.join(", "));
        }
    }
}

/// Makes the guard, if the configuration asks for one: before anything is attached all interfaces are
/// closed that have no program. Without it, the one that an earlier start made is removed.
pub(crate) fn guard(config: &Config, interfaces: &[Interface]) -> Result<Option<NftGuard>, String> {
    if config.guard == Guard::Off {
        if nft_guard::is_loaded(&config.paths.pins) {
            nft_guard::remove(&config.paths.pins).map_err(|error| format!("guard: {error}"))?;
            tracing::warn!("the guard of an earlier start is removed: guard = \"off\"");
        }
        return Ok(None);
    }
    let protected = match DatapathStatus::read(&config.paths.pins) {
        Ok(loaded) => loaded.filtered_interfaces(),
        Err(DatapathError::NotLoaded(_)) => BTreeSet::new(),
        // Another version's, perhaps: the kernel still says what it protects.
        Err(_) => indices(
            protected_interfaces()
                .unwrap_or_default()
                .iter()
                .map(|p| p.interface.as_str()),
        ),
    };
    let mut guard = NftGuard::new(
        &config.paths.pins,
        closable(interfaces),
        with_stacked(&protected).map_or(protected, |near| near.into_keys().collect()),
        config.settings().failsafe,
    );
    let made = guard.install();
    made.map_err(|error| format!("guard = \"nftables\": {error}"))?;
    Ok(Some(guard))
}

/// Loads or adopts, installs a generation, and attaches; in this order, so that no packet ever meets
/// a program without policy.
pub(crate) fn start(
    config: &Config,
    interfaces: Vec<Interface>,
    options: &RunOptions,
    health: &Health,
) -> Result<Started, ServeError> {
    let fail = |error: DatapathError| ServeError::Datapath {
        message: explain(config, &error),
        error,
    };
    // Files first: an invalid policy is found without touching the kernel.
    let enforcing =
        DatapathStatus::read(&config.paths.pins).is_ok_and(|loaded| loaded.is_enforcing());
    let mut reconciler = Reconciler::new(config.clone(), known_ids(config), enforcing);
    let candidate = prepare(config, &mut reconciler);
    if !enforcing && let Err(refusal) = &candidate {
        match config.boot.without_policy {
            WithoutPolicy::Open => {
                (options.show_diagnostics)(&refusal.diagnostics);
                return Err(ServeError::Policies(report::first(&refusal.messages)));
            }
            WithoutPolicy::FailsafeOnly => tracing::error!(
                "NO POLICY: only the failsafe passes (boot.without_policy), until the files are valid"
            ),
        }
    }
    let pins = PinDir::at(&config.paths.pins).map_err(fail)?;
    let pins_lock = Lock::on_directory(&config.paths.pins)?;
    let mut datapath =
        Datapath::open(pins, config.settings(), reconciler.ids().clone()).map_err(fail)?;
    match candidate {
        Ok(candidate) => {
            warn_of_lockout(&candidate, config);
            match reconciler.install(candidate, &mut datapath) {
                Outcome::Committed(generation) => {
                    report::interfaces(&generation.committed.events, &interfaces, health);
                    report::generation(&generation);
                    report::selected(&Selection::default(), reconciler.selection());
                    health.committed(&generation.warnings);
                }
                Outcome::Refused(refusal) if datapath.is_attached() => {
                    keep(&refusal, enforcing, options, health)
                }
                Outcome::Refused(refusal) => {
                    datapath.abandon();
                    // About the kernel: what is about files was found before.
                    let message = refusal.messages.join("; ");
                    return Err(ServeError::Install(message));
                }
                Outcome::Unchanged | Outcome::FilesChanged => {}
            }
        }
        Err(refusal) => keep(&refusal, enforcing, options, health),
    }
    if config.warm_up > 0 && !datapath.is_attached() {
        datapath.start_warm_up(config.warm_up);
        tracing::warn!(
            seconds = config.warm_up,
            "WARM-UP: policy only observes; what it would drop passes, counted as warm-up"
        );
        warm_up_ends(config.warm_up, health);
    }
    let events = match datapath.attach(&interfaces, options.replace) {
        Ok(events) => events,
        Err(error) => {
            datapath.abandon();
            return Err(fail(error));
        }
    };
    report::interfaces(&events, &interfaces, health);
    report::failsafe(&datapath, health);
    Ok(Started {
        datapath,
        reconciler,
        interfaces,
        _pins_lock: pins_lock,
    })
}

/// Until then something is wrong: policy is not enforced.
fn warm_up_ends(seconds: u32, health: &Health) {
    const WARM_UP: &str = "warm-up";
    health.problem(
        WARM_UP,
        "policy only observes yet; nothing that it would drop is dropped",
    );
    let health = health.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(seconds.into()));
        health.solved(WARM_UP);
        tracing::info!("the warm-up is over: policy is enforced");
    });
}

/// The rule ids that counters and flows of an earlier process belong to. An id that is in use and
/// that no file knows is nobody's, and is not given to another rule.
fn known_ids(config: &Config) -> RuleIds {
    // Nothing counted anything where nothing is pinned.
    let used = used_ids(config).unwrap_or_default();
    let ids = match RuleNames::read(&config.paths.state) {
        Ok(names) => names.ids(),
        Err(error) => {
            if !used.is_empty() {
                let path = RuleNames::path(&config.paths.state);
                tracing::warn!(
                    "{}: {error}; counters of {} rules go on under \"removed rule\", and rules \
                     count from zero",
                    path.display(),
                    used.len()
                );
            }
            RuleIds::default()
        }
    };
    // An id that no map has room for counted nothing, and no flow carries it.
    ids.with_retired(&used)
        .without_ids_from(config.limits.rules as u32)
}

/// Ids that counted something or that a flow carries.
fn used_ids(config: &Config) -> Result<Vec<u32>, DatapathError> {
    let pins = PinDir::Path(config.paths.pins.clone());
    let counters = Counters::open(&pins)?;
    let mut used = FlowTable::open(&pins)?.rule_ids();
    let ids = abi::RULE_FIRST..config.settings().rules;
    used.extend(ids.filter(|&id| counters.rule(id).packets > 0));
    Ok(used.range(abi::RULE_FIRST..).copied().collect())
}

/// Reads until the files hold still, for a while.
fn prepare(config: &Config, reconciler: &mut Reconciler) -> Result<Candidate, Refusal> {
    const TRIES: u32 = 50;
    for _ in 0..TRIES {
        match reconciler.prepare() {
            Ok(candidate) => return Ok(candidate),
            Err(Outcome::FilesChanged) => thread::sleep(Duration::from_millis(100)),
            Err(Outcome::Refused(refusal)) => return Err(refusal),
            Err(_) => return Err(Refusal::of("there is nothing to enforce")),
        }
    }
    let paths: Vec<String> = config
        .policies
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Err(Refusal::of(format!("{} keep changing", paths.join(", "))))
}

fn warn_of_lockout(candidate: &Candidate, config: &Config) {
    let settings = config.settings();
    let Some(session) = lockout::SshSession::detect() else {
        return;
    };
    let (failsafe, strict) = (&settings.failsafe, settings.tcp_strict);
    if let Some(warning) = lockout::warning(candidate.snapshot(), session, failsafe, strict) {
        tracing::warn!("{warning}");
    }
}

/// Invalid files do not end what is in force.
fn keep(refusal: &Refusal, enforcing: bool, options: &RunOptions, health: &Health) {
    (options.show_diagnostics)(&refusal.diagnostics);
    report::refusal(refusal, health);
    if enforcing {
        tracing::error!("the generation of the process before stays in force");
    }
}

fn explain(config: &Config, error: &DatapathError) -> String {
    match error {
        DatapathError::Layout { .. } => format!(
            "{error}. Either set the option back, or give up flows and counters: `bailey detach \
             --yes-unfiltered` and start again (pins: {})",
            config.paths.pins.display()
        ),
        _ => error.with_missing_right(),
    }
}

/// At boot the NICs may come after the daemon. False if a signal asks to stop meanwhile.
pub(crate) fn wait_for_interfaces(
    interfaces: &[Interface],
    seconds: u64,
    queue: &mut EventQueue,
) -> bool {
    let deadline = now() + Duration::from_secs(seconds);
    let missing = || {
        interfaces
            .iter()
            .find(|interface| !matches!(netlink::interface_by_name(&interface.name), Ok(Some(_))))
    };
    let mut told = false;
    while let Some(interface) = missing().filter(|_| now() < deadline) {
        if !told {
            tracing::info!(interface = interface.name, "waiting for the interface");
            told = true;
        }
        if queue.is_stopping() {
            return false;
        }
        thread::sleep(Duration::from_millis(100));
    }
    true
}
