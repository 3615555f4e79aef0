use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use bailey_control::{Problem, Server, Source, api};
use nix::unistd::Group;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::config::Config;
use crate::daemon::health::Health;
use crate::view::View;

/// Answers on the control socket from now on.
///
/// # Errors
/// If the socket cannot be made.
pub(crate) fn start(config: &Config, health: Health) -> io::Result<()> {
    let path = config.paths.socket();
    // Whoever holds the lock is the only daemon, so what is there is nobody's.
    let _ = fs::remove_file(&path);
    // Nobody gets in between creation and the right mode.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&path);
    umask(before);
    let listener = bound?;
    admit(&path, &config.control.group)?;
    let view = View::new(config.clone());
    Server::start(listener, Arc::new(Answers { view, health }))
}

/// 0660 for the group; 0600 if there is no such group.
fn admit(path: &Path, group: &str) -> io::Result<()> {
    let found = Group::from_name(group).ok().flatten();
    let Some(found) = found else {
        tracing::warn!(
            socket = %path.display(),
            "there is no group {group:?}: only root may ask over the control socket"
        );
        return fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    };
    chown(path, None, Some(found.gid.as_raw()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
}

struct Answers {
    view: View,
    health: Health,
}

impl Source for Answers {
    fn status(&self) -> Result<api::Status, Problem> {
        let mut status = self.view.status()?;
        status.daemon = Some(self.health.report());
        Ok(status)
    }

    fn rules(&self) -> Result<api::Rules, Problem> {
        Ok(self.view.rules()?)
    }

    fn flows(&self) -> Result<api::Flows, Problem> {
        Ok(self.view.flows()?)
    }

    fn flow_stats(&self) -> Result<api::FlowStats, Problem> {
        Ok(self.view.flow_stats()?)
    }

    fn counters(&self) -> Result<api::Counters, Problem> {
        Ok(self.view.counters()?)
    }
}
