use std::thread;
use std::time::Duration;

use bailey_clock::now;
use bailey_config::Paths;
use bailey_datapath::attach::nft_guard;
use bailey_state::lock::{Lock, LockError};
use rustix::process::{Pid, Signal, kill_process};

use crate::args::Detach;
use crate::commands::query::{config, fail};
use crate::exit::Exit;
use crate::output::complain;
use crate::output::line;

/// Ends the daemon, if there is one, and takes everything off.
pub(crate) fn detach(options: &Detach) -> Exit {
    debug_assert!(options.yes_unfiltered, "the command line requires it");
    let paths = match config(&options.config) {
        Ok(config) => config.paths,
        Err(exit) => return exit,
    };
    // It would attach again.
    if let Some(pid) = Lock::holder(&paths.run) {
        end_daemon(&paths, pid);
    }
    match paths.pins.try_exists() {
        Ok(true) => {}
        Ok(false) => {
            line("nothing is attached: no pins are there");
            return without_guard(&paths);
        }
        Err(error) => {
            let pins = paths.pins.display();
            complain!(
                "error: {pins}: {error}; it takes CAP_DAC_READ_SEARCH and CAP_BPF, run as root"
            );
            return Exit::NotAuthorised;
        }
    }
    // Nor must another start meanwhile.
    let locks = Lock::take(&paths.run).and_then(|run| Ok((run, Lock::on_directory(&paths.pins)?)));
    let _locks = match locks {
        Ok(locks) => Some(locks),
        Err(error @ LockError::Held(..)) => {
            complain!("error: {error}; it was not ended");
            return Exit::Negative;
        }
        // A run directory that cannot be written to must not keep the operator out.
        Err(error) => {
            complain!("warning: {error}");
            None
        }
    };
    match bailey_datapath::detach(&paths.pins) {
        Err(error) => fail(&error),
        Ok(detached) => {
            for program in &detached {
                line(&format!(
                    "{}: {} program detached",
                    program.interface, program.hook
                ));
            }
            line(if detached.is_empty() {
                "no program was attached"
            } else {
                "the interfaces are UNPROTECTED"
            });
            without_guard(&paths)
        }
    }
}

/// Removes the guard, where there is one.
fn without_guard(paths: &Paths) -> Exit {
    match nft_guard::remove(&paths.pins) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain!(
                "error: the guard stays: {error}; by hand: nft list tables, nft delete table inet …"
            );
            Exit::NotAuthorised
        }
    }
}

/// A daemon would attach again. One that is stopped or stuck must not keep the operator out, so what
/// does not end is killed.
fn end_daemon(paths: &Paths, pid: u32) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    for (signals, patience) in [
        (&[Signal::TERM, Signal::CONT][..], Duration::from_secs(3)),
        (&[Signal::KILL][..], Duration::from_secs(3)),
    ] {
        for &signal in signals {
            let _ = kill_process(process, signal);
        }
        let deadline = now() + patience;
        while Lock::is_held(&paths.run) && now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        if !Lock::is_held(&paths.run) {
            line(&format!("the daemon (pid {pid}) has ended"));
            if signals.contains(&Signal::KILL) {
                complain!(
                    "warning: it had to be killed; a service manager may start it again: \
                     systemctl stop bailey"
                );
            }
            return;
        }
    }
}
