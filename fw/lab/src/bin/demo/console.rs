//! The end of the demo on a terminal: the console, with traffic to look at.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bailey_lab::Lab;
use bailey_lab::daemon::CONFIG;

use crate::attempt::observe;
use crate::connections::{ATTEMPTS, NODE};

/// Pause between two connections.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether there is a terminal for the console.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Runs the console until the user ends it, while connections come and go.
pub(crate) fn show(lab: &Lab, binary: &Path) -> Result<()> {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                for attempt in ATTEMPTS {
                    for (from, to) in attempt.from.into_iter().zip(attempt.to) {
                        // The node shows the console.
                        if !NODE.contains(&from) && !is_done.load(Ordering::Relaxed) {
                            // Whether policy allows the connection, the console shows.
                            let _ = observe(lab, from, to, attempt.kind);
                            thread::sleep(PAUSE);
                        }
                    }
                }
            }
        });
        let (program, root) = (binary.to_owned(), lab.root().to_owned());
        let status = lab.node.run(move || {
            let mut console = Command::new(program);
            console.arg("tui").arg("--config").arg(root.join(CONFIG));
            // The filters of the user's own consoles stay as they are.
            console.env("XDG_STATE_HOME", root.join("home")).status()
        });
        is_done.store(true, Ordering::Relaxed);
        ensure!(status.context("bailey tui")?.success(), "bailey tui failed");
        Ok(())
    })
}
