//! Log lines about interfaces, generations, failsafe and floods, with the matching entries in
//! [`Health`].

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bailey_config::Interface;
use bailey_datapath::attach::event::{InterfaceChange, InterfaceEvent};
use bailey_datapath::{CarriedFlows, Datapath};
use bailey_source::Selection;
use bailey_telemetry::metrics::ApplyOutcome;

use crate::health::{self, Health};
use crate::reconcile::{CommitReport, Refusal};

/// Logs changes of interfaces, and updates their problems and interference. `begun`: when the daemon began
/// to look at the interfaces.
pub(crate) fn report_interfaces(
    events: &[InterfaceEvent],
    wanted: &[Interface],
    health: &Health,
    begun: Instant,
) {
    let repair = begun.elapsed();
    for InterfaceEvent { interface, change } in events {
        let configured = wanted.iter().find(|wanted| wanted.name == *interface);
        let xdp_mode = configured.map_or("", |wanted| wanted.mode.name());
        log_change(interface, xdp_mode, change);
        record_interference(interface, change, health, repair);
        update_problem(interface, change, health);
    }
}

fn log_change(interface: &str, xdp_mode: &str, change: &InterfaceChange) {
    match change {
        // Programs and their protection.
        InterfaceChange::Attached => tracing::info!(interface, xdp_mode, "attached"),
        InterfaceChange::Adopted => {
            tracing::info!(interface, xdp_mode, "adopted: already attached")
        }
        InterfaceChange::Replaced => {
            tracing::info!(interface, "attached programs replaced by this version's");
        }
        InterfaceChange::Unconfigured => tracing::warn!(
            interface,
            "detached: no longer configured; it is UNPROTECTED"
        ),
        InterfaceChange::AttachFailed(error) => tracing::error!("{error}"),
        InterfaceChange::LossUncounted(error) => {
            tracing::error!(interface, "{error}: redirect failures are not counted")
        }

        // The interface itself.
        InterfaceChange::Removed => tracing::error!(interface, "interface disappeared"),
        InterfaceChange::Renamed(now) => tracing::warn!(
            interface,
            now,
            "interface renamed: it stays protected, but the configuration has the old name"
        ),
        InterfaceChange::Recovered => tracing::info!(interface, "interface recovered"),
        InterfaceChange::Down => tracing::warn!(interface, "down"),
        InterfaceChange::Up => tracing::info!(interface, "up"),

        // Interference by other processes.
        InterfaceChange::Detached(hook) => tracing::error!(
            interface,
            hook,
            "another process detached Bailey's program; packets passed without policy until it was \
             attached again"
        ),
        InterfaceChange::Displaced(before) => tracing::error!(
            interface,
            before,
            "another process attached programs in front of Bailey's, and they decided instead; \
             Bailey's program is first again"
        ),
        InterfaceChange::PinsRestored(pins) => {
            tracing::error!(pins, "another process removed pins; they are recreated");
        }
    }
}

fn record_interference(
    interface: &str,
    change: &InterfaceChange,
    health: &Health,
    repair: Duration,
) {
    match change {
        InterfaceChange::Detached(hook) => {
            let text = format!("{hook} program of {interface}");
            health.record_interference("program-detached", text, repair);
        }
        InterfaceChange::Displaced(before) => {
            let text = format!("{interface}, by {before}");
            health.record_interference("program-displaced", text, repair);
        }
        InterfaceChange::PinsRestored(pins) => {
            health.record_interference("pins-removed", format!("{pins} pins"), repair);
        }
        _ => {}
    }
}

fn update_problem(interface: &str, change: &InterfaceChange, health: &Health) {
    let subject = format!("interface {interface}");
    match change {
        InterfaceChange::Removed => health.set_problem(&subject, "there is no such interface"),
        InterfaceChange::Renamed(now) => {
            health.set_problem(&subject, &format!("it is now named {now}"))
        }
        InterfaceChange::AttachFailed(error) | InterfaceChange::LossUncounted(error) => {
            health.set_problem(&subject, &error.to_string());
        }
        InterfaceChange::Detached(hook) => {
            let text = format!("another process detached the {hook} program");
            health.set_problem(&subject, &text);
        }
        InterfaceChange::Down
        | InterfaceChange::Up
        | InterfaceChange::Displaced(_)
        | InterfaceChange::PinsRestored(_) => {}
        _ => health.clear_problem(&subject),
    }
}

/// Logs the begin and the end of a flood of new flows. `is_reported`: the state that was logged
/// last.
pub(crate) fn report_flood(seconds: Option<u64>, is_reported: &mut bool) {
    if seconds.is_some() == *is_reported {
        return;
    }
    *is_reported = seconds.is_some();
    if *is_reported {
        tracing::warn!(
            "FLOOD: more new flows than the table can take; new TCP clients must answer a \
             challenge, other new flows share a rate limit"
        );
    } else {
        tracing::info!("the flood has ended");
    }
}

/// Reports the active failsafe. It belongs to the attached programs, which may be those of an
/// earlier start with another configuration.
pub(crate) fn report_failsafe(datapath: &Datapath, health: &Health) {
    const SUBJECT: &str = "programs";
    if datapath.is_current_build() {
        let entries = datapath.settings().failsafe.iter();
        health.set_failsafe(Some(entries.map(ToString::to_string).collect()));
        health.clear_problem(SUBJECT);
    } else {
        health.set_failsafe(None);
        health.set_problem(
            SUBJECT,
            "attached by an earlier start, with its failsafe and timeouts; the next valid policy \
             set replaces them",
        );
    }
}

/// Most messages of one refusal in log and status.
const MAX_MESSAGES: usize = 20;

/// Joins the first [`MAX_MESSAGES`] messages, and names the number of the others.
pub(crate) fn join_first(messages: &[String]) -> String {
    let mut shown = messages
        .iter()
        .take(MAX_MESSAGES)
        .cloned()
        .collect::<Vec<_>>();
    if messages.len() > MAX_MESSAGES {
        shown.push(format!("and {} more", messages.len() - MAX_MESSAGES));
    }
    shown.join("; ")
}

/// Logs why no generation was installed, and records it as the problem of the policies.
pub(crate) fn report_refusal(refusal: &Refusal, health: &Health) {
    health.metrics().record_apply(ApplyOutcome::Refused);
    for message in refusal.messages.iter().take(MAX_MESSAGES) {
        tracing::error!("{message}");
    }
    let more = refusal.messages.len().saturating_sub(MAX_MESSAGES);
    if more > 0 {
        tracing::error!("and {more} more; `bailey check` shows them all");
    }
    health.set_problem(health::POLICY, &join_first(&refusal.messages));
}

/// Logs the number of endpoints of each policy, if it changed.
pub(crate) fn report_selection(before: &Selection, after: &Selection) {
    let known: HashSet<&(String, usize)> = before.0.iter().collect();
    for entry @ (policy, endpoints) in &after.0 {
        if !known.contains(entry) {
            tracing::info!(policy, endpoints, "policy");
        }
    }
}

/// Logs one line about a committed generation, and one per warning.
pub(crate) fn report_generation(generation: &CommitReport) {
    // Milliseconds with one decimal.
    let ms = |name: &str| {
        let stage = generation.stages.iter().find(|(stage, _)| *stage == name);
        stage.map_or(0.0, |(_, duration)| {
            (duration.as_secs_f64() * 1e4).round() / 10.0
        })
    };
    let stats = &generation.stats;
    tracing::info!(
        generation = generation.committed.generation,
        slot = generation.committed.slot,
        policies = stats.policies,
        rules = stats.rules,
        endpoints = stats.endpoints,
        classes = stats.classes,
        prefixes = stats.prefixes4 + stats.prefixes6,
        table_bytes = stats.bytes,
        read_ms = ms("read"),
        compile_ms = ms("compile"),
        install_ms = ms("install"),
        "generation committed"
    );
    if let Some(CarriedFlows { flows, unplaced }) = generation.committed.carried {
        tracing::info!(flows, "flows of the former version taken over");
        if unplaced > 0 {
            tracing::warn!(
                unplaced,
                "flows of the former version found no place in the flow table; their next packet \
                 counts as the first: raise flow_table.flows"
            );
        }
    }
    for warning in &generation.warnings {
        tracing::warn!("{warning}");
    }
}
