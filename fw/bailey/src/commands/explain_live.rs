//! The part of `bailey explain` that a running Bailey answers: blocks, failsafe, floods, live flows.

use std::net::IpAddr;

use bailey_config::Config;
use bailey_control::api::{self, path};
use bailey_control::api_live::{Live, LiveLimit, LiveQuery};
use bailey_control::api_records::{RecordFilter, RecordsQuery};
use bailey_datapath::attach::own_addresses::machine_addresses;
use bailey_policy::{Connection, LinkScope, Snapshot};
use bailey_source::diagnostic::replace_control_chars;
use serde::Serialize;

use crate::commands::query::query;
use crate::commands::record_lines::{RecordLine, format_record, read_records};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::print_line;
use crate::ttl;

/// Most packets of an address that are shown.
const DENIALS: usize = 20;

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
        let state = query(&input.config, path::EXPLAIN, &parameters, |state| {
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
    /// Whether the active policies allow the connection; `None` if the daemon does not answer.
    pub(super) fn active_verdict(&self) -> Option<bool> {
        self.state.policy.as_ref().map(|policy| policy.allowed)
    }

    /// Does the datapath pass the connection, given the verdict of policy? Mirrors the order of the
    /// programs: enforcement, failsafe, blocks, policy or warm-up, rate limits.
    pub(super) fn allows(&self, policy_allows: bool) -> bool {
        let state = &self.state;
        if !state.enforcing {
            return !state.guard;
        }
        let failsafe = state.failsafe.as_deref().unwrap_or_default();
        if !failsafe.is_empty() && !self.has_internal_source {
            return true;
        }
        let is_limited = self.limits().any(|(_, limit)| limit.left == 0);
        let policy_allows = policy_allows && state.stamp.generation > 0 && !is_limited;
        state.blocks.is_empty() && (state.warm_up || policy_allows)
    }

    /// The rate limits of the deciding rules, with the rules.
    fn limits(&self) -> impl Iterator<Item = (&str, &LiveLimit)> {
        let decisions = self.state.policy.iter();
        let decisions = decisions.flat_map(|policy| [&policy.egress, &policy.ingress]);
        decisions.flat_map(|end| end.limits.iter().map(|limit| (end.rule.as_str(), limit)))
    }

    /// Prints the state below the verdict of policy, in the order in which the datapath asks: enforcement,
    /// source, flow, failsafe, blocks, active policies, limits, floods; then the last packets. `files_allow`: the
    /// verdict of the policy files.
    pub(super) fn print(&self, files_allow: bool) {
        let state = &self.state;
        self.print_enforcement();
        match state.spoofed_on.as_slice() {
            [] => fact(
                "source",
                "no interface drops the address as internal and spoofed",
            ),
            interfaces => {
                let interfaces = interfaces.join(", ");
                let text = format!(
                    "the address is internal: dropped if the packet arrives on {interfaces}"
                );
                fact("SPOOFED", &text);
            }
        }
        for flow in &state.flows {
            fact("flow", &format_flow(flow));
        }
        if state.flows.is_empty() {
            fact("flow", "none: the next packet would be the first of a flow");
        }
        self.print_failsafe();
        for block in &state.blocks {
            fact("BLOCKED", &format_block(block));
        }
        if state.blocks.is_empty() {
            fact("blocks", "none has one of the addresses");
        }
        self.print_policy(files_allow);
        match state.flood_seconds {
            None => fact("flood", "none"),
            Some(seconds) => {
                let duration = ttl::format_seconds(seconds);
                let effect = "new clients must pass a challenge or share a rate limit";
                fact("FLOOD", &format!("for {duration}: {effect}"));
            }
        }
        if let Some(problem) = &state.policy_problem {
            fact(
                "PROBLEM",
                &format!("{problem}; the active policy may differ from these files"),
            );
        }
        if !state.records.is_empty() {
            fact("packets", "the last recorded ones of this connection:");
            for record in &state.records {
                print_line(&format!("    {}", format_record(record)));
            }
        }
    }

    /// The active policies, where they differ from the files, and the limits of the deciding rules.
    fn print_policy(&self, files_allow: bool) {
        if let Some(policy) = self
            .state
            .policy
            .as_ref()
            .filter(|active| active.allowed != files_allow)
        {
            let verdict = if policy.allowed { "ALLOW" } else { "DENY" };
            let (egress, ingress) = (&policy.egress.rule, &policy.ingress.rule);
            fact(
                "ACTIVE",
                &format!(
                    "the active policies say {verdict} (egress {egress}, ingress {ingress}); the files \
                          are not active"
                ),
            );
        }
        for (rule, limit) in self.limits() {
            let name = if limit.left == 0 { "LIMITED" } else { "limit" };
            let whose = if limit.per_source {
                "this source"
            } else {
                "all sources"
            };
            let LiveLimit {
                connections,
                seconds,
                burst,
                left,
                ..
            } = limit;
            let text = format!(
                "{rule}: {left} of {burst} new connections left for {whose}; {connections} return in {seconds} s"
            );
            fact(name, &text);
        }
    }

    fn print_enforcement(&self) {
        let state = &self.state;
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
        } else {
            let generation = state.stamp.generation;
            fact("here", &format!("generation {generation} is active"));
        }
        if state.warm_up {
            fact(
                "warm-up",
                "policy only observes: packets that policy denies pass",
            );
        }
    }

    fn print_failsafe(&self) {
        match self.state.failsafe.as_deref() {
            None => fact(
                "failsafe",
                "unknown: no daemon answers, or programs of an earlier start are attached",
            ),
            Some([]) => fact("failsafe", "no entry has this source and port"),
            Some(entries) => {
                let entries = entries.join("; ");
                let effect = match self.has_internal_source {
                    false => "passes regardless of policy and blocks",
                    true => "passes if the packet arrives on a NIC, not if it leaves through one",
                };
                fact("failsafe", &format!("{entries}: {effect}"));
            }
        }
    }
}

fn fact(name: &str, text: &str) {
    print_line(&format!("  {name:<8} {}", replace_control_chars(text)));
}

fn format_flow(flow: &api::Flow) -> String {
    let api::Flow {
        source_port,
        state,
        idle_seconds,
        left_seconds,
        current,
        packets,
        reply_packets,
        egress_rule,
        ingress_rule,
        ..
    } = flow;
    let evaluated = match current {
        true => "under the active policies",
        false => "under earlier policies, so the next packet is evaluated again",
    };
    format!(
        "from port {source_port}: {state}, idle {idle_seconds} s, expires in {left_seconds} s, \
         {packets} packets, {reply_packets} reply packets; decided by {}, {}, {evaluated}",
        egress_rule.rule, ingress_rule.rule
    )
}

/// Shows the last dropped packets of a source. Exits with 1 if there are any.
///
/// # Errors
/// If no Bailey is loaded, or does not answer.
pub(super) fn show_denials(config: &Config, addresses: &[IpAddr]) -> Result<Exit, CommandError> {
    let filter = RecordFilter {
        from_ip: addresses.iter().map(|address| (*address).into()).collect(),
        verdict: vec!["drop".to_owned()],
        ..RecordFilter::default()
    };
    let query = RecordsQuery {
        filter: serde_json::to_string(&filter).ok(),
        last: Some(DENIALS),
        ..RecordsQuery::default()
    };
    let mut found = 0;
    let print = |lines: Vec<RecordLine>| {
        for line in lines {
            if let RecordLine::Record(record) = line {
                found += 1;
                print_line(&format_record(&record));
            }
        }
        true
    };
    read_records(config, &query, |_| {}, print)?;
    if found == 0 {
        print_line("no dropped packet of this source is recorded");
        return Ok(Exit::Success);
    }
    Ok(Exit::Negative)
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
