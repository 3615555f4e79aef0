//! Reconciliation: compares the attached programs with the configuration and repairs differences.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use bailey_config::{Interface, Topology};

use crate::attach::attachment::{Attachment, XdpState};
use crate::attach::attachments::Attachments;
use crate::attach::event::{InterfaceChange, InterfaceEvent};
use crate::attach::links::{is_attached, replace_pin};
use crate::attach::{bridge, own_addresses};
use crate::error::DatapathError;
use crate::kernel::egress::EgressKind;
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::maps::hook::Hook;
use crate::maps::pins::{link_pin, parse_link_pin};
use crate::maps::shared::SharedMaps;
use crate::program::entry::EntryObject;
use crate::program::handles::program_fd;

impl Attachments {
    /// Compares the attached programs with the configuration and repairs differences. Runs after
    /// each change of an interface, and periodically.
    pub(crate) fn reconcile(
        &mut self,
        entry: &EntryObject,
        maps: &mut SharedMaps,
        wanted: &[Interface],
        replace: bool,
    ) -> Vec<InterfaceEvent> {
        let interfaces = Arc::clone(&maps.interfaces);
        let changing = interfaces.changing.lock();
        let _changing = changing.unwrap_or_else(PoisonError::into_inner);

        // Read the changes since the last run.
        let mut events = self.poll_interfaces(maps, wanted);
        events.extend(self.adopt_new_links(maps));

        // Repair pins, positions and missing programs.
        events.extend(self.restore_pins(maps));
        events.extend(self.restore_first_position(entry, maps));
        for interface in wanted {
            events.extend(self.attach_one(entry, maps, interface, replace));
        }

        // Update the maps that depend on the set of interfaces.
        const OWN_ADDRESSES: &str = "own addresses";
        let indices = self.by_index.keys().copied().collect();
        match own_addresses::refresh(maps, &indices) {
            Err(error) => events.extend(self.reporter.fail(OWN_ADDRESSES, error)),
            Ok(()) => {
                self.reporter.end_failure(OWN_ADDRESSES);
            }
        }
        match entry.settings.topology {
            Topology::Host => {}
            Topology::Bridge => events.extend(self.reconcile_bridge(maps, wanted)),
            Topology::Router => {
                if let Err(error) = self.open_ports(maps) {
                    events.extend(self.reporter.fail("router", error));
                }
            }
        }
        self.sync_interface_map(entry, maps);
        events
    }

    /// Adopts links that the hotplug thread has created.
    fn adopt_new_links(&mut self, maps: &SharedMaps) -> Vec<InterfaceEvent> {
        let mut events = Vec::new();
        for name in maps.pins.names() {
            let Some((hook, index)) = parse_link_pin(&name) else {
                continue;
            };
            let known = self.by_index.get(&index).and_then(|a| match hook {
                Hook::Xdp => a.xdp.link(),
                Hook::Tc => a.tc.as_ref(),
            });
            if is_attached(known, index) {
                continue;
            }
            let link = Link::from_pin(&maps.pins.file(&name), index).ok();
            let Some(link) = link.filter(|link| is_attached(Some(link), index)) else {
                continue;
            };
            let attachment = self.by_index.entry(index).or_default();
            attachment.name = maps.interfaces.name_of(index);
            match hook {
                Hook::Xdp => {
                    attachment.xdp = XdpState::Attached(link);
                    self.reporter.mark_attached(index);
                    events.push(attachment.event(InterfaceChange::Attached));
                    self.reporter.end_failure(&attachment.name);
                }
                Hook::Tc => attachment.tc = Some(link),
            }
        }
        events
    }

    /// Whether every link is pinned.
    pub(crate) fn are_pinned(&self, maps: &SharedMaps) -> bool {
        self.links()
            .all(|(hook, index, _)| link_pin(&maps.pins, hook, index).exists())
    }

    fn links(&self) -> impl Iterator<Item = (Hook, u32, &Link)> {
        self.by_index.iter().flat_map(|(&index, attachment)| {
            let xdp = attachment.xdp.link();
            [(Hook::Xdp, xdp), (Hook::Tc, attachment.tc.as_ref())]
                .into_iter()
                .filter_map(move |(hook, link)| Some((hook, index, link?)))
        })
    }

    /// Pins maps and links again whose pins were removed. Without pins, the attached programs would
    /// end with this process.
    fn restore_pins(&mut self, maps: &SharedMaps) -> Option<InterfaceEvent> {
        const PINS: &str = "pins";
        let unpinned: Vec<_> = self
            .links()
            .map(|(hook, index, link)| (link_pin(&maps.pins, hook, index), link))
            .filter(|(path, _)| !path.exists())
            .collect();
        let missing = maps.missing_pin_count() + unpinned.len();
        if missing == 0 {
            return self.reporter.recover(PINS);
        }
        let restored = maps.restore_pins().and_then(|()| {
            unpinned.iter().try_for_each(|(path, link)| {
                link.pin(path)
                    .map_err(DatapathError::map(PINS, "pin a link again"))
            })
        });
        match restored {
            Ok(()) => Some(InterfaceEvent::new(
                PINS,
                InterfaceChange::PinsRestored(missing),
            )),
            Err(error) => self.reporter.fail(PINS, error),
        }
    }

    /// Moves Bailey's egress program before programs that were attached before it: they could pass
    /// packets that Bailey's program never sees.
    fn restore_first_position(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
    ) -> Vec<InterfaceEvent> {
        let mut events = Vec::new();
        if entry.egress != EgressKind::Tcx {
            return events;
        }
        for (&index, attachment) in &mut self.by_index {
            let Some(before) = programs_before_ours(attachment) else {
                continue;
            };
            let name = attachment.current_name().to_owned();
            let moved = program_fd(&entry.ebpf, Hook::Tc.entry_program()).and_then(|program| {
                let link = Link::tcx_egress(program.as_fd(), index);
                let link = link.map_err(DatapathError::map(&name, "attach before others"))?;
                replace_pin(&link, link_pin(&maps.pins, Hook::Tc, index))?;
                Ok(link)
            });
            match moved {
                Ok(link) => {
                    // The new link is first, so the former one is no longer needed.
                    if let Some(former) = attachment.tc.replace(link) {
                        let _ = former.detach();
                    }
                    events.push(attachment.event(InterfaceChange::Displaced(before)));
                }
                Err(error) => events.push(attachment.event(InterfaceChange::AttachFailed(error))),
            }
        }
        events
    }

    fn reconcile_bridge(
        &mut self,
        maps: &mut SharedMaps,
        wanted: &[Interface],
    ) -> Option<InterfaceEvent> {
        const BRIDGE: &str = "bridge";
        // One port per name: the interface that has the name now, else the one attached under it.
        let port_of = |interface: &Interface| {
            let has_name = |attachment: &Attachment| {
                let now = attachment.last_seen.as_ref().map(|(name, _)| name);
                now == Some(&interface.name)
            };
            let filtered = || self.by_index.iter().filter(|(_, a)| a.is_filtered());
            filtered()
                .find(|(_, attachment)| has_name(attachment))
                .or_else(|| filtered().find(|(_, a)| a.name == interface.name))
                .map(|(&index, _)| index)
        };
        let ports: Vec<u32> = wanted.iter().filter_map(port_of).collect();
        match bridge::connect(maps, &ports) {
            Err(error) => self.reporter.fail(BRIDGE, error),
            Ok(()) => self.reporter.recover(BRIDGE),
        }
    }

    /// Reads the state of the attached interfaces and reports changes.
    fn poll_interfaces(&mut self, maps: &SharedMaps, wanted: &[Interface]) -> Vec<InterfaceEvent> {
        let mut events = Vec::new();
        let mut removed = Vec::new();
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for attachment in self.by_index.values() {
            *names.entry(attachment.name.clone()).or_default() += 1;
        }
        for (&index, attachment) in &mut self.by_index {
            let Ok(state) = netlink::interface(Which::Index(index)) else {
                continue;
            };
            let Some(state) = state else {
                // If another interface has taken the name, the name is still protected.
                if names.get(&attachment.name) == Some(&1) {
                    events.push(attachment.event(InterfaceChange::Removed));
                }
                removed.push(index);
                continue;
            };
            poll_links(maps, attachment, index, &mut events);
            poll_state(maps, attachment, &state, wanted, &mut events);
        }
        for index in removed {
            self.remove(maps, Hook::Xdp, index);
            self.remove(maps, Hook::Tc, index);
        }
        events
    }
}

/// Names of the tcx programs that run before Bailey's, if there are any.
fn programs_before_ours(attachment: &Attachment) -> Option<String> {
    let ours = attachment.tc.as_ref()?.info().ok()?;
    let name = attachment.current_name();
    let (_, programs) = SchedClassifier::query_tcx(name, TcAttachType::Egress).ok()?;
    let describe = |program: &ProgramInfo| {
        let name = program.name_as_str().unwrap_or("unnamed");
        format!("{name} (id {})", program.id())
    };
    let before: Vec<String> = programs
        .iter()
        .take_while(|program| program.id() != ours.program)
        .map(describe)
        .collect();
    // If all programs are "before", Bailey's is not among them.
    let is_displaced = !before.is_empty() && before.len() < programs.len();
    is_displaced.then(|| before.join(", "))
}

/// Detects programs that another process has detached.
fn poll_links(
    maps: &SharedMaps,
    attachment: &mut Attachment,
    index: u32,
    events: &mut Vec<InterfaceEvent>,
) {
    if !is_attached(attachment.xdp.link(), index) {
        maps.interfaces.set_filtered(index, false);
        if attachment.xdp.take_link().is_some() {
            events.push(attachment.event(InterfaceChange::Detached("XDP")));
        }
    }
    if attachment.tc.is_some() && !is_attached(attachment.tc.as_ref(), index) {
        attachment.tc = None;
        events.push(attachment.event(InterfaceChange::Detached("egress")));
    }
}

/// Detects changes of the interface's name and carrier.
fn poll_state(
    maps: &SharedMaps,
    attachment: &mut Attachment,
    state: &InterfaceState,
    wanted: &[Interface],
    events: &mut Vec<InterfaceEvent>,
) {
    let now = (state.name.clone(), state.running);
    let before = attachment.last_seen.replace(now);
    let (name, running) = before.unwrap_or_else(|| (attachment.name.clone(), state.running));
    let is_configured = |name: &str| wanted.iter().any(|interface| interface.name == name);
    if name != state.name && state.name == attachment.name {
        events.push(attachment.event(InterfaceChange::Recovered));
    } else if state.name != attachment.name && is_configured(&state.name) {
        // The interface has taken a configured name, and with it the name's counters.
        events.push(attachment.event(InterfaceChange::Recovered));
        attachment.name.clone_from(&state.name);
        let _ = maps.interfaces.assign_slot(state.index, &state.name);
    } else if name != state.name {
        events.push(attachment.event(InterfaceChange::Renamed(state.name.clone())));
    }
    if running != state.running {
        let change = if state.running {
            InterfaceChange::Up
        } else {
            InterfaceChange::Down
        };
        events.push(attachment.event(change));
    }
}
