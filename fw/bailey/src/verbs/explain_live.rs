use bailey_control::api::{self, LiveQuery, path};
use bailey_policy::{Connection, Verdict};
use bailey_source::diagnostic::printable;
use serde::Serialize;

use crate::exit::Exit;
use crate::load::Named;
use crate::output::line;
use crate::ttl;
use crate::verbs::ask::ask;

/// What a running Bailey has to say of a connection.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Here(api::Live);

/// Asks about each connection; nothing, where files were named. Where no Bailey runs, that is said.
///
/// # Errors
/// The exit code, if a Bailey is here and may not be asked.
pub(super) fn here(named: &Named, answers: &[(Connection, Verdict)]) -> Result<Vec<Here>, Exit> {
    if named.explicit {
        return Ok(Vec::new());
    }
    let asked = answers.iter().map(|(connection, _)| {
        let query = LiveQuery {
            src: connection.source,
            dst: connection.destination,
            protocol: connection.protocol.0,
            port: connection.port,
        };
        ask(&named.config, path::LIVE, &query, |view| {
            view.live(&query, false).map(Ok)
        })
    });
    match asked.collect::<Result<Vec<api::Live>, Exit>>() {
        Ok(all) => Ok(all.into_iter().map(Here).collect()),
        Err(Exit::NotRunning) => Ok(Vec::new()),
        Err(exit) => Err(exit),
    }
}

impl Here {
    /// Would the connection be let through, where policy says so or not?
    pub(super) fn allows(&self, policy: bool) -> bool {
        let api::Live {
            enforcing,
            failsafe,
            blocks,
            ..
        } = &self.0;
        let saved = failsafe.as_ref().is_some_and(|entries| !entries.is_empty());
        !enforcing || saved || (blocks.is_empty() && policy)
    }

    /// Prints it, below what policy says.
    pub(super) fn print(&self) {
        let fact = |name: &str, text: &str| line(&format!("  {name:<8} {}", printable(text)));
        let live = &self.0;
        if !live.enforcing {
            fact(
                "here",
                "NOT ENFORCING: no program is attached, every packet passes",
            );
        }
        match live.failsafe.as_deref() {
            None => fact(
                "failsafe",
                "not known: no daemon answers, or another start is attached",
            ),
            Some([]) => {}
            Some(entries) => {
                let entries = entries.join("; ");
                fact(
                    "failsafe",
                    &format!("{entries}: passes whatever else is said"),
                );
            }
        }
        for block in &live.blocks {
            let left = ttl::show(block.seconds_left);
            let reason = if block.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", block.reason)
            };
            fact("BLOCKED", &format!("{}, {left} left{reason}", block.prefix));
        }
        if let Some(seconds) = live.flood_seconds {
            let text = format!(
                "for {}: a new client proves itself first, or waits for its share",
                ttl::show(seconds)
            );
            fact("FLOOD", &text);
        }
        for flow in &live.flows {
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
                 {reply_packets} back; by {}, {}",
                egress_rule.rule, ingress_rule.rule
            );
            fact("flow", &text);
        }
        if let Some(problem) = &live.policy_problem {
            fact(
                "PROBLEM",
                &format!("{problem}; what is in force may differ from these files"),
            );
        }
    }
}
