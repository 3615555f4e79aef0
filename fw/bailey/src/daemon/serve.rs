use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use bailey_bpf::abi;
use bailey_bpf::reason::Reason;
use bailey_datapath::attach::{Interface, XdpMode};
use bailey_datapath::{Datapath, DatapathError, PinDir};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::{self, Config};
use crate::daemon::lock::{Lock, LockError};
use crate::daemon::reload::{Generation, Outcome, Prepared, Reloader};
use crate::daemon::watch::{Input, Wake, Watching};
use crate::exit::Exit;
use crate::load::{Selection, print_diagnostics};

/// Enforces until a signal asks to stop; then detaches everything.
pub fn serve(config: Config) -> Exit {
    let interfaces = match config.interfaces() {
        Ok(interfaces) => interfaces,
        Err(message) => return unprotected(&message, Exit::Invalid),
    };
    let interfaces: Vec<Interface> = interfaces.into_iter().map(interface).collect();
    let mut watching = Watching::start(&config);
    if let Err(error) = forward_signals(&watching) {
        return unprotected(&format!("cannot handle signals: {error}"), Exit::Internal);
    }
    let _lock = match Lock::take(&config.paths.run) {
        Ok(lock) => lock,
        Err(error) => return not_locked(&error),
    };
    if let Err(error) = std::fs::create_dir_all(&config.paths.state) {
        let path = config.paths.state.display();
        return unprotected(&format!("{path}: {error}"), Exit::NotAuthorised);
    }
    let mut reloader = Reloader::new(config.clone());
    let (mut datapath, _pins_lock) = match start(&config, &mut reloader, &interfaces) {
        Ok(started) => started,
        Err(exit) => return exit,
    };
    attached(&interfaces);
    run_loop(&mut watching, &mut reloader, &mut datapath);
    drop(datapath);
    tracing::warn!(
        interfaces = names(&interfaces),
        "detached: the interfaces are UNPROTECTED"
    );
    Exit::Success
}

fn interface((name, mode): (String, config::XdpMode)) -> Interface {
    let mode = match mode {
        config::XdpMode::Native => XdpMode::Native,
        config::XdpMode::Generic => XdpMode::Generic,
    };
    Interface { name, mode }
}

fn names(interfaces: &[Interface]) -> String {
    let names: Vec<&str> = interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect();
    names.join(",")
}

fn unprotected(message: &str, exit: Exit) -> Exit {
    tracing::error!("{message}");
    tracing::error!("nothing was attached: the interfaces are UNPROTECTED");
    exit
}

fn forward_signals(watching: &Watching) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let sender = watching.sender();
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(Input::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(())
}

/// Loads, installs the first generation, and attaches; in this order, so that no packet ever
/// meets a program without policy.
fn start(
    config: &Config,
    reloader: &mut Reloader,
    interfaces: &[Interface],
) -> Result<(Datapath, Lock), Exit> {
    // Files first: an invalid policy is found without touching the kernel.
    let prepared = prepare(reloader)?;
    let pins = PinDir::at(&config.paths.pins).map_err(|error| fail(&error))?;
    let lock = Lock::on_directory(&config.paths.pins).map_err(|error| not_locked(&error))?;
    let mut datapath = Datapath::create(pins, config.settings()).map_err(|error| fail(&error))?;
    match reloader.install(prepared, &mut datapath) {
        Outcome::Committed(generation) => {
            report(&generation);
            report_selected(&Selection::default(), reloader.selection());
        }
        outcome => return Err(refused_at_start(outcome)),
    }
    datapath.attach(interfaces).map_err(|error| fail(&error))?;
    Ok((datapath, lock))
}

/// Reads until the files hold still, for a while.
fn prepare(reloader: &mut Reloader) -> Result<Prepared, Exit> {
    const TRIES: u32 = 50;
    for _ in 0..TRIES {
        match reloader.prepare() {
            Ok(prepared) => return Ok(prepared),
            Err(Outcome::Moving) => thread::sleep(Duration::from_millis(100)),
            Err(outcome) => return Err(refused_at_start(outcome)),
        }
    }
    Err(unprotected("the policy files keep changing", Exit::Invalid))
}

/// Another daemon may well protect the interfaces, so nothing is said of them.
fn not_locked(error: &LockError) -> Exit {
    tracing::error!("{error}");
    match error {
        LockError::Held(_) => Exit::Negative,
        LockError::File(..) => Exit::NotAuthorised,
    }
}

fn refused_at_start(outcome: Outcome) -> Exit {
    let Outcome::Refused(refusal) = outcome else {
        return unprotected("there is nothing to enforce", Exit::Internal);
    };
    print_diagnostics(&refusal.diagnostics);
    unprotected(&refusal.messages.join("; "), Exit::Invalid)
}

fn fail(error: &DatapathError) -> Exit {
    let exit = match error {
        DatapathError::Unsupported(_) | DatapathError::Interface { .. } => Exit::Unsupported,
        DatapathError::Pins { .. } => Exit::Invalid,
        _ => Exit::Internal,
    };
    unprotected(&error.to_string(), exit)
}

fn attached(interfaces: &[Interface]) {
    for interface in interfaces {
        let mode = match interface.mode {
            XdpMode::Native => "native",
            XdpMode::Generic => "generic",
        };
        tracing::info!(interface = interface.name, xdp_mode = mode, "attached");
    }
    let not_yet = [
        abi::REASON_DROP_VLAN,
        abi::REASON_DROP_FRAGMENT,
        abi::REASON_DROP_EXTENSION_HEADER,
        abi::REASON_DROP_ICMP_ERROR,
    ];
    let names: Vec<&str> = not_yet
        .into_iter()
        .filter_map(Reason::of)
        .map(|reason| reason.name)
        .collect();
    tracing::warn!(
        reasons = names.join(","),
        "VLAN frames, IP fragments, IPv6 extension headers and ICMP errors are DROPPED, each \
         under its own counter"
    );
}

fn run_loop(watching: &mut Watching, reloader: &mut Reloader, datapath: &mut Datapath) {
    let mut again = false;
    loop {
        match watching.wait() {
            Wake::Stop => return,
            Wake::Rescan if !again && reloader.is_current() => continue,
            Wake::Rescan | Wake::Changed => {}
        }
        watching.rewatch();
        again = matches!(apply(reloader, datapath, watching), Outcome::Moving);
    }
}

/// Reloads once and logs what it came to.
fn apply(reloader: &mut Reloader, datapath: &mut Datapath, watching: &mut Watching) -> Outcome {
    let before = reloader.selection().clone();
    let outcome = reloader.reload(datapath, || watching.is_quiet());
    match &outcome {
        Outcome::Committed(generation) => {
            report(generation);
            report_selected(&before, reloader.selection());
        }
        Outcome::Unchanged => tracing::debug!("the files say what is in force already"),
        Outcome::Moving => tracing::debug!("files changed while they were read; once more"),
        Outcome::Refused(refusal) => {
            for message in &refusal.messages {
                tracing::error!("{message}");
            }
            tracing::error!("the last good generation stays in force");
        }
    }
    outcome
}

/// How many endpoints each policy selects, where that is news.
fn report_selected(before: &Selection, after: &Selection) {
    let known: HashSet<&(String, usize)> = before.0.iter().collect();
    for entry @ (policy, endpoints) in &after.0 {
        if !known.contains(entry) {
            tracing::info!(policy, endpoints, "policy");
        }
    }
}

/// The one line per generation.
fn report(generation: &Generation) {
    let ms = |name: &str| {
        let stage = generation.stages.iter().find(|(stage, _)| *stage == name);
        stage.map_or(0.0, |(_, duration)| {
            (duration.as_secs_f64() * 1e4).round() / 10.0
        })
    };
    let stats = &generation.stats;
    tracing::info!(
        generation = generation.committed.generation,
        slot = generation.committed.slot,
        policies = stats.policies,
        rules = stats.rules,
        endpoints = stats.endpoints,
        classes = stats.classes,
        prefixes = stats.prefixes4 + stats.prefixes6,
        table_bytes = stats.bytes,
        read_ms = ms("read"),
        compile_ms = ms("compile"),
        install_ms = ms("install"),
        "generation committed"
    );
    for warning in &generation.warnings {
        tracing::warn!("{warning}");
    }
}
