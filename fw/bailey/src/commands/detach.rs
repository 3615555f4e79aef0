//! `bailey detach`: ends the daemon, and removes all programs, flows and counters. Needs only the pins.

use std::thread;
use std::time::Duration;

use bailey_clock::now;
use bailey_config::Paths;
use bailey_datapath::attach::nft_guard;
use bailey_state::lock::{Lock, LockError};
use rustix::process::{Pid, Signal, kill_process};

use crate::args::DetachArgs;
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{print_line, stderr_line};

/// Ends the daemon, if one runs, and removes everything that Bailey has attached.
pub(crate) fn detach(args: &DetachArgs) -> Result<Exit, CommandError> {
    debug_assert!(args.yes_unfiltered, "the command line requires it");
    let paths = read_config(&args.config)?.paths;

    // A running daemon would attach its programs again.
    if let Some(pid) = Lock::holder(&paths.run) {
        end_daemon(&paths, pid);
    }

    match paths.pins.try_exists() {
        Ok(true) => {}
        Ok(false) => {
            print_line("no program is attached: there are no pins");
            return remove_guard(&paths);
        }
        Err(error) => return Err(CommandError::PinDirectory(paths.pins, error)),
    }

    // No daemon may start during the removal. An unwritable run directory only warns: detaching must work
    // when nothing else does.
    let locks =
        Lock::take(&paths.run).and_then(|run| Ok((run, Lock::take_directory(&paths.pins)?)));
    let _locks = match locks {
        Ok(locks) => Some(locks),
        Err(error @ LockError::Held(..)) => return Err(CommandError::DaemonRuns(error)),
        Err(error @ LockError::File(..)) => {
            stderr_line!("warning: {error}");
            None
        }
    };

    let detached = bailey_datapath::detach(&paths.pins)?;
    for program in &detached {
        print_line(&format!(
            "{}: {} program detached",
            program.interface, program.hook
        ));
    }
    print_line(if detached.is_empty() {
        "no program was attached"
    } else {
        "the interfaces are UNPROTECTED"
    });
    remove_guard(&paths)
}

/// Removes the nftables table of the guard, if it exists.
fn remove_guard(paths: &Paths) -> Result<Exit, CommandError> {
    nft_guard::remove(&paths.pins).map_err(CommandError::Guard)?;
    Ok(Exit::Success)
}

/// Asks the daemon to end, and kills it after three seconds. A stopped or hanging daemon must not prevent
/// the removal; `SIGCONT` lets a stopped daemon handle `SIGTERM`.
fn end_daemon(paths: &Paths, pid: u32) {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    for signals in [&[Signal::TERM, Signal::CONT][..], &[Signal::KILL][..]] {
        for &signal in signals {
            let _ = kill_process(process, signal);
        }
        let deadline = now() + TIMEOUT;
        while Lock::is_held(&paths.run) && now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        if !Lock::is_held(&paths.run) {
            print_line(&format!("the daemon (pid {pid}) has ended"));
            if signals.contains(&Signal::KILL) {
                stderr_line!(
                    "warning: the daemon ignored SIGTERM and was killed; a service manager may \
                     restart it: systemctl stop bailey"
                );
            }
            return;
        }
    }
}
