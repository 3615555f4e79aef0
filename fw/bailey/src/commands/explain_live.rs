//! The part of `bailey explain` that a running Bailey answers: blocks, failsafe, floods, live flows.

use bailey_control::api::{self, path};
use bailey_control::api_live::{Live, LiveQuery};
use bailey_datapath::attach::own_addresses::machine_addresses;
use bailey_policy::{Connection, LinkScope, Snapshot};
use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;

use crate::commands::query::query;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::print_line;
use crate::ttl;

/// The state of the running Bailey that concerns one connection.
#[derive(Debug, Serialize)]
pub(super) struct LiveAnswer {
    #[serde(flatten)]
    state: Live,
    /// True if the source is an endpoint of the inventory. The failsafe applies to packets that arrive on a
    /// NIC, and packets of such a source may leave through one.
    #[serde(skip)]
    has_internal_source: bool,
}

/// Queries the state for each connection. Returns `None` if the command line names files, or no Bailey is
/// loaded.
///
/// # Errors
/// If a Bailey is loaded and does not answer.
pub(super) fn query_live(
    input: &PolicyInput,
    snapshot: &Snapshot,
    connections: &[Connection],
) -> Result<Option<Vec<LiveAnswer>>, CommandError> {
    let pins = &input.config.paths.pins;
    if input.is_explicit || matches!(pins.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let answers = connections.iter().map(|connection| {
        let parameters = LiveQuery {
            src: connection.source,
            dst: connection.destination,
            protocol: connection.protocol.0,
            port: connection.port,
        };
        let state = query(&input.config, path::LIVE, &parameters, |state| {
            state.live(&parameters, false).map(Ok)
        })?;
        Ok(LiveAnswer {
            state,
            has_internal_source: snapshot.endpoint_at(connection.source).is_some(),
        })
    });
    match answers.collect::<Result<Vec<LiveAnswer>, CommandError>>() {
        Ok(answers) => Ok(Some(answers)),
        Err(error) if Exit::from(&error) == Exit::NotRunning => Ok(None),
        Err(error) => Err(error),
    }
}

impl LiveAnswer {
    /// Does the datapath pass the connection, given the verdict of policy? Mirrors the order of the
    /// programs: enforcement, failsafe, blocks, policy or warm-up.
    pub(super) fn allows(&self, policy_allows: bool) -> bool {
        let state = &self.state;
        if !state.enforcing {
            return !state.guard;
        }
        let failsafe = state.failsafe.as_deref().unwrap_or_default();
        if !failsafe.is_empty() && !self.has_internal_source {
            return true;
        }
        let policy_allows = state.warm_up || policy_allows && state.stamp.generation > 0;
        state.blocks.is_empty() && policy_allows
    }

    /// Prints the state below the verdict of policy.
    pub(super) fn print(&self) {
        let fact = |name: &str, text: &str| {
            print_line(&format!("  {name:<8} {}", replace_control_chars(text)))
        };
        let state = &self.state;

        // Enforcement.
        if !state.enforcing && state.guard {
            fact(
                "here",
                "NOT ENFORCING: no program is attached; the guard drops packets that arrive on a NIC",
            );
        } else if !state.enforcing {
            fact(
                "here",
                "NOT ENFORCING: no program is attached, every packet passes",
            );
        } else if state.stamp.generation == 0 {
            fact("here", "no policy is active: only the failsafe passes");
        }
        if state.warm_up {
            fact(
                "warm-up",
                "policy only observes: packets that policy denies pass",
            );
        }

        // Exceptions from policy.
        match state.failsafe.as_deref() {
            None => fact(
                "failsafe",
                "unknown: no daemon answers, or programs of an earlier start are attached",
            ),
            Some([]) => {}
            Some(entries) => {
                let entries = entries.join("; ");
                let effect = match self.has_internal_source {
                    false => "passes regardless of policy and blocks",
                    true => "passes if the packet arrives on a NIC, not if it leaves through one",
                };
                fact("failsafe", &format!("{entries}: {effect}"));
            }
        }
        for block in &state.blocks {
            fact("BLOCKED", &format_block(block));
        }
        if let Some(seconds) = state.flood_seconds {
            let duration = ttl::format_seconds(seconds);
            let effect = "new clients must pass a challenge or share a rate limit";
            fact("FLOOD", &format!("for {duration}: {effect}"));
        }

        // Live flows.
        for flow in &state.flows {
            let api::Flow {
                source_port,
                state,
                idle_seconds,
                packets,
                reply_packets,
                egress_rule,
                ingress_rule,
                ..
            } = flow;
            let text = format!(
                "from port {source_port}: {state}, idle {idle_seconds} s, {packets} packets, \
                 {reply_packets} reply packets; decided by {}, {}",
                egress_rule.rule, ingress_rule.rule
            );
            fact("flow", &text);
        }
        if let Some(problem) = &state.policy_problem {
            fact(
                "PROBLEM",
                &format!("{problem}; the active policy may differ from these files"),
            );
        }
    }
}

/// Prefix, remaining time and reason of a block.
pub(super) fn format_block(block: &api::Block) -> String {
    let remaining = ttl::format_seconds(block.remaining_seconds);
    let reason = match block.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("{}, {remaining} left{reason}", block.prefix)
}

/// Adds the addresses of this machine to the scope, if the kernel returns them. A bridge has none.
pub(super) fn add_machine_addresses(scope: &mut LinkScope) {
    if scope.bridge {
        return;
    }
    if let Ok((own, broadcasts)) = machine_addresses() {
        scope.own = own;
        scope.broadcasts = broadcasts;
    }
}
