use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use bailey_config::Config;
use bailey_control::{ApiBackend, FlowStream, Problem, Server, api};
use bailey_introspect::{KnownRules, LiveState};
use nix::unistd::Group;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::health::{self, Health};

/// Serves the control socket from now on.
///
/// # Errors
/// If the socket cannot be made.
pub(crate) fn start(config: &Config, health: Health, rules: KnownRules) -> io::Result<()> {
    let path = config.paths.socket();
    // Whoever holds the lock is the only daemon, so what is there is nobody's.
    let _ = fs::remove_file(&path);
    // Nobody gets in between creation and the right mode.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&path);
    umask(before);
    let listener = bound?;
    admit(&path, &config.control.group)?;
    let view = LiveState::new(config.clone()).with_rules(rules);
    Server::start(listener, Arc::new(DaemonApi { view, health }))
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

struct DaemonApi {
    view: LiveState,
    health: Health,
}

impl ApiBackend for DaemonApi {
    fn status(&self) -> Result<api::Status, Problem> {
        let mut status = self.view.status()?;
        let daemon = self.health.report();
        let found = std::mem::take(&mut status.problems);
        // Both may see the same.
        let subject = |problem: &str| problem.split(": ").next().unwrap_or_default().to_owned();
        let known: Vec<String> = daemon.problems.iter().map(|p| subject(p)).collect();
        let news = found.into_iter().filter(|p| !known.contains(&subject(p)));
        status.problems = daemon.problems.iter().cloned().chain(news).collect();
        status.daemon = Some(daemon);
        Ok(status)
    }

    fn rules(&self, query: api::RulesQuery) -> Result<api::Rules, Problem> {
        match query.name {
            None => Ok(self.view.rules()?),
            Some(name) => self.view.rules_named(&name)?.map_err(Problem::bad_request),
        }
    }

    fn flows(&self, query: api::FlowQuery) -> Result<FlowStream, Problem> {
        let list = self.view.flow_list(query)?.map_err(Problem::bad_request)?;
        Ok(FlowStream {
            stamp: list.stamp().clone(),
            write: Box::new(move |sink| list.write(sink)),
        })
    }

    fn flow_stats(&self) -> Result<api::FlowStats, Problem> {
        Ok(self.view.flow_stats()?)
    }

    fn counters(&self) -> Result<api::Counters, Problem> {
        Ok(self.view.counters()?)
    }

    fn blocks(&self) -> Result<api::Blocks, Problem> {
        Ok(self.view.blocks()?)
    }

    fn live(&self, query: api::LiveQuery) -> Result<api::Live, Problem> {
        let daemon = self.health.report();
        let mut live = self.view.live(&query, daemon.failsafe.is_some())?;
        live.policy_problem = self.health.of(health::POLICY);
        Ok(live)
    }
}
