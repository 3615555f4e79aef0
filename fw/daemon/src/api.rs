//! Answers of the control socket: `bailey_introspect` reads the maps, this file adds the daemon's
//! health.

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
/// If the socket cannot be created.
pub(crate) fn serve_socket(config: &Config, health: Health, rules: KnownRules) -> io::Result<()> {
    let path = config.paths.socket();
    // This process holds the daemon's lock, so an existing socket belongs to a daemon that no
    // longer runs.
    let _ = fs::remove_file(&path);
    // The umask denies access between the creation of the socket and the change of its mode.
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(&path);
    umask(before);
    let listener = bound?;
    permit_group(&path, &config.control.group)?;
    let live = LiveState::new(config.clone()).with_rules(rules);
    Server::start(listener, Arc::new(DaemonApi { live, health }))
}

/// Sets mode 0660 for the group; 0600 if the group does not exist.
fn permit_group(path: &Path, group: &str) -> io::Result<()> {
    let found = Group::from_name(group).ok().flatten();
    let Some(found) = found else {
        tracing::warn!(
            socket = %path.display(),
            "no group {group:?}: only root can use the control socket"
        );
        return fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    };
    chown(path, None, Some(found.gid.as_raw()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
}

/// Answers from the pinned maps and from the daemon's health.
struct DaemonApi {
    live: LiveState,
    health: Health,
}

impl ApiBackend for DaemonApi {
    fn status(&self) -> Result<api::Status, Problem> {
        let mut status = self.live.status()?;
        let daemon = self.health.to_api();
        let found = std::mem::take(&mut status.problems);
        // Maps and daemon may report the same subject; the daemon's text wins.
        let subject = |problem: &str| problem.split(": ").next().unwrap_or_default().to_owned();
        let known: Vec<String> = daemon.problems.iter().map(|p| subject(p)).collect();
        let other = found.into_iter().filter(|p| !known.contains(&subject(p)));
        status.problems = daemon.problems.iter().cloned().chain(other).collect();
        status.daemon = Some(daemon);
        Ok(status)
    }

    fn rules(&self, query: api::RulesQuery) -> Result<api::Rules, Problem> {
        match query.name {
            None => Ok(self.live.rules()?),
            Some(name) => self.live.rules_named(&name)?.map_err(Problem::bad_request),
        }
    }

    fn flows(&self, query: api::FlowQuery) -> Result<FlowStream, Problem> {
        let list = self.live.flow_list(query)?.map_err(Problem::bad_request)?;
        Ok(FlowStream {
            stamp: list.stamp().clone(),
            write: Box::new(move |sink| list.write(sink)),
        })
    }

    fn flow_stats(&self) -> Result<api::FlowStats, Problem> {
        Ok(self.live.flow_stats()?)
    }

    fn counters(&self) -> Result<api::Counters, Problem> {
        Ok(self.live.counters()?)
    }

    fn blocks(&self) -> Result<api::Blocks, Problem> {
        Ok(self.live.blocks()?)
    }

    fn live(&self, query: api::LiveQuery) -> Result<api::Live, Problem> {
        let daemon = self.health.to_api();
        let mut live = self.live.live(&query, daemon.failsafe.is_some())?;
        live.policy_problem = self.health.problem_of(health::POLICY);
        Ok(live)
    }
}
