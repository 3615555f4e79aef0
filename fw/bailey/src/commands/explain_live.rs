use bailey_control::api::{self, LiveQuery, path};
use bailey_datapath::attach::own_addresses::machine_addresses;
use bailey_policy::{Connection, LinkScope, Snapshot, Verdict};
use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;

use crate::commands::query::ask;
use crate::exit::Exit;
use crate::input::Named;
use crate::output::line;
use crate::ttl;

/// What a running Bailey has to say of a connection.
#[derive(Debug, Serialize)]
pub(super) struct Here {
    #[serde(flatten)]
    live: api::Live,
    /// The failsafe is for what comes in through a NIC, and this may come from behind one.
    #[serde(skip)]
    from_inside: bool,
}

/// Asks about each connection; nothing, where files were named. Where no Bailey runs, that is said.
///
/// # Errors
/// The exit code, if a Bailey is here and may not be asked.
pub(super) fn here(
    named: &Named,
    snapshot: &Snapshot,
    answers: &[(Connection, Verdict)],
) -> Result<Vec<Here>, Exit> {
    let pins = &named.config.paths.pins;
    if named.explicit || matches!(pins.try_exists(), Ok(false)) {
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
        Ok(all) => {
            let asked = all.into_iter().zip(answers);
            Ok(asked
                .map(|(live, (connection, _))| Here {
                    live,
                    from_inside: snapshot.endpoint_at(connection.source).is_some(),
                })
                .collect())
        }
        Err(Exit::NotRunning) => Ok(Vec::new()),
        Err(exit) => Err(exit),
    }
}

impl Here {
    /// Would the connection be let through, where policy says so or not?
    pub(super) fn allows(&self, policy: bool) -> bool {
        let live = &self.live;
        if !live.enforcing {
            return !live.guard;
        }
        let entries = live.failsafe.as_deref().unwrap_or_default();
        if !entries.is_empty() && !self.from_inside {
            return true;
        }
        let policy = live.warm_up || policy && live.stamp.generation > 0;
        live.blocks.is_empty() && policy
    }

    /// Prints it, below what policy says.
    pub(super) fn print(&self) {
        let fact =
            |name: &str, text: &str| line(&format!("  {name:<8} {}", replace_control_chars(text)));
        let live = &self.live;
        if !live.enforcing && live.guard {
            fact(
                "here",
                "NOT ENFORCING: no program is attached; the guard drops what comes in by a NIC",
            );
        } else if !live.enforcing {
            fact(
                "here",
                "NOT ENFORCING: no program is attached, every packet passes",
            );
        } else if live.stamp.generation == 0 {
            fact(
                "here",
                "no policy is in force: nothing passes but the failsafe",
            );
        }
        if live.warm_up {
            fact("warm-up", "policy only observes: what it would drop passes");
        }
        match live.failsafe.as_deref() {
            None => fact(
                "failsafe",
                "not known: no daemon answers, or another start is attached",
            ),
            Some([]) => {}
            Some(entries) => {
                let entries = entries.join("; ");
                let whether = match self.from_inside {
                    false => "passes whatever else is said",
                    true => "passes if it comes in through a NIC; not if it leaves from behind one",
                };
                fact("failsafe", &format!("{entries}: {whether}"));
            }
        }
        for block in &live.blocks {
            let left = ttl::show(block.remaining_seconds);
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

/// Adds the addresses of this machine to what is asked at its NICs, as far as the kernel tells them.
pub(super) fn know_machine(scope: &mut LinkScope) {
    if scope.bridge {
        return;
    }
    if let Ok((own, broadcasts)) = machine_addresses() {
        scope.own = own;
        scope.broadcasts = broadcasts;
    }
}
