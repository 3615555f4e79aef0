use std::collections::HashSet;

use bailey_config::Interface;
use bailey_datapath::attach::event::{InterfaceChange, InterfaceEvent};
use bailey_datapath::attach::nft_guard::NftGuard;
use bailey_datapath::{Datapath, with_stacked};
use bailey_source::Selection;

use crate::closable::closable;
use crate::health::{self, Health};
use crate::reconcile::{CommitReport, Refusal};

/// Logs what happened to interfaces, and keeps the health in step.
pub(crate) fn interfaces(events: &[InterfaceEvent], wanted: &[Interface], health: &Health) {
    for InterfaceEvent { interface, change } in events {
        let mode = wanted.iter().find(|wanted| wanted.name == *interface);
        let xdp_mode = mode.map_or("", |wanted| wanted.mode.name());
        let subject = format!("interface {interface}");
        match change {
            InterfaceChange::Attached => tracing::info!(interface, xdp_mode, "attached"),
            InterfaceChange::Adopted => {
                tracing::info!(interface, xdp_mode, "adopted: it was attached")
            }
            InterfaceChange::Replaced => {
                tracing::info!(interface, "attached programs replaced by this version's");
            }
            InterfaceChange::Unconfigured => tracing::warn!(
                interface,
                "detached: no longer configured; it is UNPROTECTED"
            ),
            InterfaceChange::Removed => tracing::error!(interface, "the interface is gone"),
            InterfaceChange::Renamed(now) => tracing::warn!(
                interface,
                now,
                "renamed; it stays protected, and the configuration names what is gone"
            ),
            InterfaceChange::Recovered => tracing::info!(interface, "all is well again"),
            InterfaceChange::LossUncounted(error) => {
                tracing::error!(interface, "{error}: losses are not counted")
            }
            InterfaceChange::Down => tracing::warn!(interface, "down"),
            InterfaceChange::Up => tracing::info!(interface, "up"),
            InterfaceChange::AttachFailed(error) => tracing::error!("{error}"),
            InterfaceChange::Detached(hook) => tracing::error!(
                interface,
                hook,
                "somebody has detached Bailey's program; packets passed unjudged until it is back"
            ),
            InterfaceChange::Displaced(before) => tracing::error!(
                interface,
                before,
                "programs were put before Bailey's and decided instead; it is in front again"
            ),
            InterfaceChange::PinsRestored(pins) => {
                tracing::error!(pins, "somebody has removed pins; they are made again");
            }
        }
        match change {
            InterfaceChange::Detached(hook) => {
                health.interfered("detached", format!("{hook} program of {interface}"));
            }
            InterfaceChange::Displaced(before) => {
                health.interfered("overtaken", format!("{interface}, by {before}"));
            }
            InterfaceChange::PinsRestored(pins) => {
                health.interfered("unpinned", format!("{pins} pins"))
            }
            _ => {}
        }
        match change {
            InterfaceChange::Removed => health.problem(&subject, "there is no such interface"),
            InterfaceChange::Renamed(now) => {
                health.problem(&subject, &format!("it is now named {now}"))
            }
            InterfaceChange::AttachFailed(error) | InterfaceChange::LossUncounted(error) => {
                health.problem(&subject, &error.to_string());
            }
            InterfaceChange::Detached(hook) => {
                health.problem(
                    &subject,
                    &format!("somebody has detached the {hook} program"),
                );
            }
            InterfaceChange::Down
            | InterfaceChange::Up
            | InterfaceChange::Displaced(_)
            | InterfaceChange::PinsRestored(_) => {}
            _ => health.solved(&subject),
        }
    }
}

/// Logs when a flood of new flows begins and ends. `known` is what was told last.
pub(crate) fn flood(seconds: Option<u64>, known: &mut bool) {
    if seconds.is_some() == *known {
        return;
    }
    *known = seconds.is_some();
    if *known {
        tracing::warn!(
            "FLOOD: more new flows than the table can take; new TCP clients prove themselves, other \
             new flows share a rate"
        );
    } else {
        tracing::info!("the flood is over");
    }
}

/// Keeps the guard in step with what is attached: what has a program is no longer closed by it.
pub(crate) fn guard(
    datapath: &Datapath,
    interfaces: &[Interface],
    guard: Option<&mut NftGuard>,
    health: &Health,
) {
    const SUBJECT: &str = "guard";
    let Some(guard) = guard else { return };
    let protected = with_stacked(&datapath.filtered_interfaces());
    let kept = protected.and_then(|near| {
        let protected = near.into_keys().collect();
        guard.keep(closable(interfaces), protected)
    });
    match kept {
        Ok(lost) => {
            if lost {
                tracing::error!("somebody has removed the table of the guard; it is made again");
                health.interfered("guard removed", "nftables".to_owned());
            }
            health.solved(SUBJECT);
        }
        Err(error) => {
            tracing::error!(%error, "the guard is as it was: interfaces that it closes stay closed");
            health.problem(SUBJECT, &error.to_string());
        }
    }
}

/// The failsafe that is in force: that of the programs that are attached, which may be older than
/// this configuration.
pub(crate) fn failsafe(datapath: &Datapath, health: &Health) {
    const SUBJECT: &str = "programs";
    if datapath.is_current_build() {
        let entries = datapath.settings().failsafe.iter();
        health.set_failsafe(Some(entries.map(ToString::to_string).collect()));
        health.solved(SUBJECT);
    } else {
        health.set_failsafe(None);
        health.problem(
            SUBJECT,
            "those of an earlier start are attached, with their failsafe and timeouts; the next \
             valid policy set replaces them",
        );
    }
}

/// As many errors of one kind as anybody reads.
const ERRORS: usize = 20;

/// The first of many messages, in one.
pub(crate) fn first(messages: &[String]) -> String {
    let mut shown = messages.iter().take(ERRORS).cloned().collect::<Vec<_>>();
    if messages.len() > ERRORS {
        shown.push(format!("and {} more", messages.len() - ERRORS));
    }
    shown.join("; ")
}

/// Why files are not put into force.
pub(crate) fn refusal(refusal: &Refusal, health: &Health) {
    for message in refusal.messages.iter().take(ERRORS) {
        tracing::error!("{message}");
    }
    let more = refusal.messages.len().saturating_sub(ERRORS);
    if more > 0 {
        tracing::error!("and {more} more; `bailey check` shows them all");
    }
    health.problem(health::POLICY, &first(&refusal.messages));
}

/// How many endpoints each policy selects, where that is news.
pub(crate) fn selected(before: &Selection, after: &Selection) {
    let known: HashSet<&(String, usize)> = before.0.iter().collect();
    for entry @ (policy, endpoints) in &after.0 {
        if !known.contains(entry) {
            tracing::info!(policy, endpoints, "policy");
        }
    }
}

/// The one line per generation.
pub(crate) fn generation(generation: &CommitReport) {
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
    for warning in &generation.warnings {
        tracing::warn!("{warning}");
    }
}
