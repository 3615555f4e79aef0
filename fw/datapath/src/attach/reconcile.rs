//! Compares what is attached with what should be, and sets right what can be.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use aya::programs::{SchedClassifier, TcAttachType};
use bailey_config::{Interface, Topology};

use crate::attach::attachments::{Attached, Attachments};
use crate::attach::bridge;
use crate::attach::event::{Interface, InterfaceChange, InterfaceEvent};
use crate::attach::links::{alive, replace_pin};
use crate::attach::own_addresses;
use crate::error::DatapathError;
use crate::kernel::egress::{self, EgressKind};
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, Which};
use crate::maps::hook::Hook;
use crate::maps::interfaces;
use crate::maps::pins::{link_pin, parse_link_pin};
use crate::program::entry::Shared;
use crate::program::handles::program_fd;
use crate::settings::{EgressHook, Topology};

impl Attachments {
    /// Compares what is attached with what should be, and sets right what can be. Called when an
    /// interface changed, and from time to time.
    pub(crate) fn tend(
        &mut self,
        shared: &mut Shared,
        wanted: &[Interface],
        replace: bool,
    ) -> Vec<InterfaceEvent> {
        let table = Arc::clone(&shared.table);
        let changing = table.changing.lock();
        let _changing = changing.unwrap_or_else(PoisonError::into_inner);
        let mut events = self.look(shared, wanted);
        events.extend(self.adopt_new(shared));
        events.extend(self.pin_again(shared));
        events.extend(self.stay_first(shared));
        for interface in wanted {
            events.extend(self.attach_one(shared, interface, replace));
        }
        let indices = self.by_index.keys().copied().collect();
        if let Err(error) = own_addresses::refresh(shared, &indices) {
            events.extend(self.refused("own addresses", error));
        } else {
            self.absent.remove("own addresses");
        }
        if shared.settings.topology == Topology::Bridge {
            events.extend(self.tend_bridge(shared, wanted));
        }
        if shared.settings.topology == Topology::Router
            && let Err(error) = self.open_ports(shared)
        {
            events.extend(self.refused("router", error));
        }
        self.mark(shared);
        events
    }

    /// Links that the guardian has made since.
    pub(super) fn adopt_new(&mut self, shared: &Shared) -> Vec<InterfaceEvent> {
        let mut events = Vec::new();
        for name in shared.pins.names() {
            let Some((hook, index)) = parse_link_pin(&name) else {
                continue;
            };
            let known = self.by_index.get(&index).and_then(|attached| match hook {
                Hook::Xdp => attached.xdp.as_ref(),
                Hook::Tc => attached.tc.as_ref(),
            });
            if alive(known, index) {
                continue;
            }
            let link = Link::from_pin(&shared.pins.pin(&name), index).ok();
            if !alive(link.as_ref(), index) {
                continue;
            }
            let attached = self.by_index.entry(index).or_default();
            attached.name = interfaces::name_of(&shared.table, index);
            if hook == Hook::Xdp {
                attached.xdp = link;
                attached.told = true;
                events.push(attached.event(InterfaceChange::Attached));
                self.absent.remove(&attached.name);
            } else {
                attached.tc = link;
            }
        }
        events
    }

    /// Has every link its pin?
    pub(crate) fn are_pinned(&self, shared: &Shared) -> bool {
        self.by_index.iter().all(|(&index, attached)| {
            let pinned = |hook, link: &Option<Link>| {
                link.is_none() || link_pin(&shared.pins, hook, index).exists()
            };
            pinned(Hook::Xdp, &attached.xdp) && pinned(Hook::Tc, &attached.tc)
        })
    }

    /// Pins that somebody removed: without them what is attached would end with this process.
    pub(super) fn pin_again(&mut self, shared: &Shared) -> Option<InterfaceEvent> {
        const PINS: &str = "pins";
        let mut lost = shared.lost_pins();
        let links = self.by_index.iter().flat_map(|(&index, attached)| {
            [
                (Hook::Xdp, attached.xdp.as_ref()),
                (Hook::Tc, attached.tc.as_ref()),
            ]
            .into_iter()
            .filter_map(move |(hook, link)| Some((link_pin(&shared.pins, hook, index), link?)))
        });
        let links: Vec<_> = links.filter(|(path, _)| !path.exists()).collect();
        lost += links.len();
        if lost == 0 {
            let known = self.absent.remove(PINS).is_some();
            return known.then(|| InterfaceEvent::new(PINS, InterfaceChange::Recovered));
        }
        let made = shared.pin_again().and_then(|()| {
            links.iter().try_for_each(|(path, link)| {
                link.pin(path)
                    .map_err(DatapathError::map(PINS, "pin a link again"))
            })
        });
        match made {
            Ok(()) => Some(InterfaceEvent::new(
                PINS,
                InterfaceChange::PinsRestored(lost),
            )),
            Err(error) => self.refused(PINS, error),
        }
    }

    /// A program before ours decides what ours never sees.
    pub(super) fn stay_first(&mut self, shared: &Shared) -> Vec<InterfaceEvent> {
        let mut events = Vec::new();
        if egress::resolve(shared.settings.egress_hook) != EgressKind::Tcx {
            return events;
        }
        for (&index, attached) in &mut self.by_index {
            let Some(ours) = attached.tc.as_ref().and_then(|link| link.info().ok()) else {
                continue;
            };
            let name = attached.current_name().to_owned();
            let Ok((_, programs)) = SchedClassifier::query_tcx(&name, TcAttachType::Egress) else {
                continue;
            };
            let before: Vec<String> = programs
                .iter()
                .take_while(|program| program.id() != ours.program)
                .map(|program| {
                    let name = program.name_as_str().unwrap_or("unnamed");
                    format!("{name} (id {})", program.id())
                })
                .collect();
            if before.is_empty() || before.len() == programs.len() {
                continue;
            }
            let moved = program_fd(&shared.entry, "entry_tc").and_then(|program| {
                let link = Link::tcx_egress(program.as_fd(), index);
                let link = link.map_err(DatapathError::map(&name, "attach before others"))?;
                replace_pin(&link, link_pin(&shared.pins, Hook::Tc, index))?;
                Ok(link)
            });
            match moved {
                Ok(link) => {
                    // Ours is in front; the one behind has nothing left to do.
                    let behind = attached.tc.replace(link);
                    if let Some(behind) = behind {
                        let _ = behind.detach();
                    }
                    events.push(attached.event(InterfaceChange::Displaced(before.join(", "))));
                }
                Err(error) => events.push(attached.event(InterfaceChange::AttachFailed(error))),
            }
        }
        events
    }

    pub(super) fn tend_bridge(
        &mut self,
        shared: &mut Shared,
        wanted: &[Interface],
    ) -> Option<InterfaceEvent> {
        const BRIDGE: &str = "bridge";
        // One side per name: who has it now, before who had it once.
        let side_of = |interface: &Interface| {
            let named = |attached: &Attached| {
                let now = attached.seen.as_ref().map(|(name, _)| name);
                now == Some(&interface.name)
            };
            let judged = || self.by_index.iter().filter(|(_, a)| a.xdp.is_some());
            judged()
                .find(|(_, attached)| named(attached))
                .or_else(|| judged().find(|(_, attached)| attached.name == interface.name))
                .map(|(&index, _)| index)
        };
        let sides: Vec<u32> = wanted.iter().filter_map(side_of).collect();
        match bridge::connect(shared, &sides) {
            Err(error) => self.refused(BRIDGE, error),
            Ok(()) => {
                let was_absent = self.absent.remove(BRIDGE).is_some();
                was_absent.then(|| InterfaceEvent::new(BRIDGE, InterfaceChange::Recovered))
            }
        }
    }

    /// What became of the interfaces that are attached.
    pub(super) fn look(&mut self, shared: &Shared, wanted: &[Interface]) -> Vec<InterfaceEvent> {
        let mut events = Vec::new();
        let mut gone = Vec::new();
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        for attached in self.by_index.values() {
            *names.entry(attached.name.clone()).or_default() += 1;
        }
        for (&index, attached) in &mut self.by_index {
            let Ok(state) = netlink::interface(Which::Index(index)) else {
                continue;
            };
            let Some(state) = state else {
                // Unless another has taken its name.
                if names.get(&attached.name) == Some(&1) {
                    events.push(attached.event(InterfaceChange::Removed));
                }
                gone.push(index);
                continue;
            };
            if !alive(attached.xdp.as_ref(), index) {
                interfaces::set_judged(&shared.table, index, false);
                if attached.xdp.take().is_some() {
                    events.push(attached.event(InterfaceChange::Detached("XDP")));
                }
            }
            if attached.tc.is_some() && !alive(attached.tc.as_ref(), index) {
                attached.tc = None;
                events.push(attached.event(InterfaceChange::Detached("egress")));
            }
            let now = (state.name.clone(), state.running);
            let before = attached.seen.replace(now);
            let (name, running) = before.unwrap_or_else(|| (attached.name.clone(), state.running));
            if name != state.name && state.name == attached.name {
                events.push(attached.event(InterfaceChange::Recovered));
            } else if state.name != attached.name
                && wanted.iter().any(|interface| interface.name == state.name)
            {
                // It has taken a name that is configured; its counters go with the name.
                events.push(attached.event(InterfaceChange::Recovered));
                attached.name.clone_from(&state.name);
                let _ = interfaces::assign(&shared.table, index, &state.name);
            } else if name != state.name {
                events.push(attached.event(InterfaceChange::Renamed(state.name.clone())));
            }
            if running != state.running {
                let change = if state.running {
                    InterfaceChange::Up
                } else {
                    InterfaceChange::Down
                };
                events.push(attached.event(change));
            }
        }
        for index in gone {
            self.remove(shared, Hook::Xdp, index);
            self.remove(shared, Hook::Tc, index);
        }
        events
    }

    /// Told once, until it is another refusal.
    pub(super) fn refused(
        &mut self,
        interface: &str,
        error: DatapathError,
    ) -> Option<InterfaceEvent> {
        let text = error.to_string();
        let known = self.absent.insert(interface.to_owned(), text.clone());
        (known != Some(text))
            .then(|| InterfaceEvent::new(interface, InterfaceChange::AttachFailed(error)))
    }
}
