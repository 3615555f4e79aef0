use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bailey_config::{Interface, Topology, XdpMode};

use crate::attach::bridge;
use crate::attach::event::{Interface, InterfaceChange, InterfaceEvent};
use crate::attach::links::{alive, create_tc, program_by_id, replace_pin};
use crate::attach::nic_settings;
use crate::attach::own_addresses;
use crate::attach::preflight::{Candidate, check_kernel, create_xdp, preflight, xdp_name};
use crate::attach::stacked;
use crate::error::DatapathError;
use crate::kernel::egress;
use crate::kernel::forwarding;
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::kernel::xdp_mode::xdp_flags;
use crate::maps::hook::Hook;
use crate::maps::interfaces::{self, Forwarding};
use crate::maps::pins::{link_pin, parse_link_pin};
use crate::program::entry::Shared;
use crate::program::handles::program_fd;
use crate::settings::Topology;

/// Programs on one interface.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// The name that it was attached under.
    pub(super) name: String,
    pub(super) tc: Option<Link>,
    pub(super) xdp: Option<Link>,
    /// As it was last seen.
    pub(super) seen: Option<(String, bool)>,
    /// The driver does not take this mode; asked once.
    pub(super) refused: Option<XdpMode>,
    /// Was it told that it is attached?
    pub(super) told: bool,
}

/// Programs on interfaces, by ifindex. The links are pinned: closing them detaches nothing.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    pub(super) by_index: BTreeMap<u32, Attached>,
    /// Configured, and last seen to be missing or refusing, and why.
    pub(super) absent: BTreeMap<String, String>,
    /// Known to strip VLAN tags whatever they are told, where that cannot be.
    pub(super) strips: BTreeSet<String>,
}

impl Attachments {
    /// Takes over what is pinned. Links of interfaces that are gone are forgotten, and so is what the
    /// map of interfaces says of any that is not judged: another may have its number now.
    pub(crate) fn adopt(shared: &Shared) -> Self {
        let mut attachments = Self::default();
        for name in shared.pins.names() {
            let Some((hook, index)) = parse_link_pin(&name) else {
                continue;
            };
            let path = shared.pins.pin(&name);
            let link = Link::from_pin(&path, index).ok();
            if !alive(link.as_ref(), index) {
                let _ = std::fs::remove_file(path);
                continue;
            }
            let attached = attachments.by_index.entry(index).or_default();
            attached.name = interfaces::name_of(&shared.table, index);
            match hook {
                Hook::Xdp => attached.xdp = link,
                Hook::Tc => attached.tc = link,
            }
        }
        for index in interfaces::known(&shared.table) {
            match attachments.by_index.get(&index) {
                None => nic_settings::forget(&shared.table, index),
                Some(attached) if attached.xdp.is_none() => {
                    interfaces::set_judged(&shared.table, index, false);
                }
                Some(_) => {}
            }
        }
        attachments
    }

    /// Attaches what is missing, and takes off what is no longer configured. Where nothing was
    /// attached before, an interface that refuses is an error, and nothing of this call stays; where
    /// something was, it must be tended whatever another interface lacks.
    pub(crate) fn attach(
        &mut self,
        shared: &mut Shared,
        wanted: &[Interface],
        replace: bool,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        check_kernel()?;
        let mut events = if self.by_index.is_empty() {
            self.attach_all(shared, wanted, replace)?
        } else {
            self.tend(shared, wanted, replace)
        };
        // What replaces it may have been refused: then it is all there is.
        let refused =
            |event: &InterfaceEvent| matches!(event.change, InterfaceChange::AttachFailed(_));
        if !events.iter().any(refused) {
            events.extend(self.drop_unconfigured(shared, wanted));
        }
        Ok(events)
    }

    /// All or nothing.
    pub(super) fn attach_all(
        &mut self,
        shared: &mut Shared,
        wanted: &[Interface],
        replace: bool,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        let mut found = Vec::new();
        for interface in wanted {
            found.push(preflight(interface, None, replace)?);
        }
        if shared.settings.topology == Topology::Bridge {
            let sides: Vec<InterfaceState> = found.iter().map(|f| f.state.clone()).collect();
            bridge::check(&sides)?;
        }
        let indices = found.iter().map(|f| f.state.index).collect();
        own_addresses::refresh(shared, &indices)?;
        let result = self.attach_hooks(shared, &found, replace);
        let connected = result.and_then(|()| match shared.settings.topology {
            Topology::Host => Ok(()),
            Topology::Router => self.open_ports(shared),
            Topology::Bridge => {
                let indices: Vec<u32> = found.iter().map(|f| f.state.index).collect();
                bridge::connect(shared, &indices)
            }
        });
        if let Err(error) = connected {
            let indices: Vec<u32> = self.by_index.keys().copied().collect();
            for index in indices {
                self.remove(shared, Hook::Xdp, index);
                self.remove(shared, Hook::Tc, index);
            }
            for found in &found {
                nic_settings::forget(&shared.table, found.state.index);
            }
            return Err(error);
        }
        self.mark(shared);
        Ok(found
            .iter()
            .map(|f| InterfaceEvent::new(&f.interface.name, InterfaceChange::Attached))
            .collect())
    }

    pub(super) fn attach_hooks(
        &mut self,
        shared: &Shared,
        found: &[Candidate<'_>],
        replace: bool,
    ) -> Result<(), DatapathError> {
        // Egress first: a flow that the node opens must be known before its reply meets XDP.
        for found in found {
            self.attach_tc(shared, found)?;
        }
        for found in found {
            self.attach_xdp(shared, found, replace)?;
        }
        Ok(())
    }

    /// Completes one interface, if it can be.
    pub(super) fn attach_one(
        &mut self,
        shared: &Shared,
        interface: &Interface,
        replace: bool,
    ) -> Option<InterfaceEvent> {
        let ours = self.by_index.iter().find(|(_, a)| a.name == interface.name);
        let ours = ours.map(|(&index, attached)| (index, attached.program()));
        let found = match preflight(interface, ours.and_then(|(_, program)| program), replace) {
            Ok(found) => found,
            // Renamed, it is tended under its index.
            Err(DatapathError::NoInterface { .. }) if ours.is_some() => return None,
            Err(error) => return self.refused(&interface.name, error),
        };
        let index = found.state.index;
        let result = self.attach_tc(shared, &found);
        let result = result.and_then(|tc| Ok(tc | self.attach_xdp(shared, &found, replace)?));
        let changed = match result {
            Ok(changed) => changed,
            Err(error) => {
                // A hook alone is of no use: what the other one feeds is missing.
                if self.by_index.get(&index).is_none_or(|a| a.xdp.is_none()) {
                    self.remove(shared, Hook::Tc, index);
                }
                return self.refused(&interface.name, error);
            }
        };
        let was_absent = self.absent.remove(&interface.name).is_some();
        if changed {
            return Some(InterfaceEvent::new(
                &interface.name,
                InterfaceChange::Attached,
            ));
        }
        let attached = self.by_index.get_mut(&index);
        if attached.is_some_and(|attached| !std::mem::replace(&mut attached.told, true)) {
            return Some(InterfaceEvent::new(
                &interface.name,
                InterfaceChange::Adopted,
            ));
        }
        was_absent.then(|| InterfaceEvent::new(&interface.name, InterfaceChange::Recovered))
    }

    /// True if it was not attached before; so is [`Self::attach_xdp`].
    pub(super) fn attach_tc(
        &mut self,
        shared: &Shared,
        found: &Candidate<'_>,
    ) -> Result<bool, DatapathError> {
        let index = found.state.index;
        interfaces::assign(&shared.table, index, &found.interface.name)?;
        interfaces::set_external(&shared.table, index, found.interface.external);
        let known = self.by_index.get(&index).and_then(|a| a.tc.as_ref());
        if shared.settings.topology == Topology::Bridge || alive(known, index) {
            return Ok(false);
        }
        let program = self.program(shared, Hook::Tc)?;
        let link = create_tc(
            egress::resolve(shared.settings.egress_hook),
            program.as_fd(),
            found,
        )?;
        replace_pin(&link, link_pin(&shared.pins, Hook::Tc, index))?;
        let attached = self.by_index.entry(index).or_default();
        attached.name.clone_from(&found.interface.name);
        attached.tc = Some(link);
        Ok(true)
    }

    pub(super) fn attach_xdp(
        &mut self,
        shared: &Shared,
        found: &Candidate<'_>,
        replace: bool,
    ) -> Result<bool, DatapathError> {
        let Candidate {
            interface, state, ..
        } = found;
        let index = state.index;
        let known = self.by_index.get(&index).and_then(|a| a.xdp.as_ref());
        let mut old_mode = None;
        if alive(known, index) {
            let refused = self.by_index.get(&index).and_then(|a| a.refused);
            if refused == Some(interface.mode) {
                return Err(DatapathError::Interface {
                    interface: interface.name.clone(),
                    message: format!(
                        "{} was refused; it stays in the other mode",
                        xdp_name(interface.mode)
                    ),
                });
            }
            if state.xdp.is_none_or(|xdp| xdp.mode == interface.mode) {
                // Also what a process could not write that was killed between two steps, and tags, which
                // somebody may have told the NIC to strip again.
                interfaces::set_judged(&shared.table, index, true);
                nic_settings::disable_vlan_stripping(shared, found)?;
                return Ok(false);
            }
            old_mode = state.xdp.map(|xdp| xdp.mode);
        }
        if self.strips.contains(&interface.name) && found.facts.strips_tags == Some(true) {
            return Err(nic_settings::strips_tags(state, "asked before"));
        }
        let program = self.program(shared, Hook::Xdp)?;
        if old_mode.is_some() {
            // A link cannot change its mode: for a moment nothing is judged here.
            interfaces::set_judged(&shared.table, index, false);
            self.take(shared, Hook::Xdp, index);
        }
        let created = create_xdp(program.as_fd(), found, replace);
        let (link, refusal) = match (created, old_mode) {
            (Ok(link), _) => (link, None),
            (Err(error), None) => return Err(error),
            // Back to what it was, which is slower but there.
            (Err(error), Some(mode)) => match Link::xdp(program.as_fd(), index, xdp_flags(mode)) {
                Ok(link) => (link, Some(error)),
                Err(_) => return Err(error),
            },
        };
        replace_pin(&link, link_pin(&shared.pins, Hook::Xdp, index))?;
        let attached = self.by_index.entry(index).or_default();
        attached.name.clone_from(&interface.name);
        attached.xdp = Some(link);
        attached.seen = Some((state.name.clone(), state.running));
        attached.told = true;
        interfaces::set_judged(&shared.table, index, true);
        // Not before: an interface that refuses is asked again and again, and each change of a setting
        // is news that leads to asking.
        if let Err(error) = nic_settings::disable_vlan_stripping(shared, found) {
            self.strips.insert(interface.name.clone());
            self.remove(shared, Hook::Xdp, index);
            return Err(error);
        }
        let attached = self.by_index.entry(index).or_default();
        if let Some(error) = refusal {
            attached.refused = Some(interface.mode);
            return Err(error);
        }
        Ok(true)
    }

    /// Takes a program off, and its pin away.
    pub(super) fn take(&mut self, shared: &Shared, hook: Hook, index: u32) {
        let attached = self.by_index.get_mut(&index);
        let link = attached.and_then(|attached| match hook {
            Hook::Xdp => attached.xdp.take(),
            Hook::Tc => attached.tc.take(),
        });
        if let Some(link) = link {
            let _ = link.detach();
        }
        let _ = std::fs::remove_file(link_pin(&shared.pins, hook, index));
    }

    /// The program for a hook. While programs of another build are attached elsewhere, theirs: this
    /// build has no policy yet.
    pub(super) fn program(&self, shared: &Shared, hook: Hook) -> Result<OwnedFd, DatapathError> {
        if !shared.is_attached_build() {
            let links = self.by_index.values().filter_map(|attached| match hook {
                Hook::Xdp => attached.xdp.as_ref(),
                Hook::Tc => attached.tc.as_ref(),
            });
            let running = links.filter_map(|link| link.info().ok()).map(|i| i.program);
            if let Some(fd) = running.filter_map(|id| program_by_id(id).ok()).next() {
                return Ok(fd);
            }
        }
        program_fd(&shared.entry, hook.entry_program())
    }

    /// Names what is attached to interfaces that are in no configuration, and takes it off. One
    /// that was attached under a configured name was renamed, and stays.
    pub(super) fn drop_unconfigured(
        &mut self,
        shared: &Shared,
        wanted: &[Interface],
    ) -> Vec<InterfaceEvent> {
        let configured = |name: &str| wanted.iter().any(|interface| interface.name == name);
        let mut gone: Vec<(u32, String)> = Vec::new();
        for (&index, attached) in &self.by_index {
            let now = netlink::interface(Which::Index(index)).ok().flatten();
            let now = now.map_or_else(String::new, |state| state.name);
            if !configured(&attached.name) && !configured(&now) {
                gone.push((index, attached.name.clone()));
            }
        }
        gone.into_iter()
            .map(|(index, interface)| {
                self.remove(shared, Hook::Xdp, index);
                self.remove(shared, Hook::Tc, index);
                InterfaceEvent::new(interface, InterfaceChange::Unconfigured)
            })
            .collect()
    }

    pub(super) fn remove(&mut self, shared: &Shared, hook: Hook, index: u32) {
        if hook == Hook::Xdp {
            interfaces::set_judged(&shared.table, index, false);
        }
        self.take(shared, hook, index);
        let bare = |a: &Attached| a.xdp.is_none() && a.tc.is_none();
        if self.by_index.get(&index).is_none_or(bare) {
            self.by_index.remove(&index);
            nic_settings::forget(&shared.table, index);
        }
    }

    /// Puts this build's programs in the place of those that are attached.
    pub(crate) fn replace_programs(
        &mut self,
        shared: &Shared,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        let tc = program_fd(&shared.entry, "entry_tc")?;
        let xdp = program_fd(&shared.entry, "entry_xdp")?;
        let mut events = Vec::new();
        for (&index, attached) in &mut self.by_index {
            let name = attached.name.clone();
            let failed = |source: io::Error| DatapathError::Interface {
                interface: name.clone(),
                message: format!("cannot replace the attached program: {source}"),
            };
            let pairs = [
                (Hook::Tc, &mut attached.tc, &tc),
                (Hook::Xdp, &mut attached.xdp, &xdp),
            ];
            for (hook, link, program) in pairs {
                let pin = link_pin(&shared.pins, hook, index);
                let updated = link.as_mut().map(|link| link.update(program.as_fd(), &pin));
                match updated {
                    None | Some(Ok(())) => {}
                    // The interface is gone, and its programs with it.
                    Some(Err(error)) if error.raw_os_error() == Some(libc::ENOLINK) => {}
                    Some(Err(error)) => return Err(failed(error)),
                }
            }
            events.push(attached.event(InterfaceChange::Replaced));
        }
        Ok(events)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// What is judged may be sent to from XDP.
    pub(super) fn open_ports(&self, shared: &mut Shared) -> Result<(), DatapathError> {
        bridge::open_ports(shared, &self.judged())
    }

    /// Notes what is known of the attached interfaces, and of what stands on them.
    pub(super) fn mark(&self, shared: &Shared) {
        let judged = self.judged();
        if shared.settings.topology == Topology::Router {
            let ipsec = forwarding::has_ipsec_policy();
            for &index in &judged {
                let name = self.by_index.get(&index).map_or("", Attached::current_name);
                let asked = Forwarding {
                    reverse_path: forwarding::filters_reverse_path(name),
                    ipsec,
                    ipv6: forwarding::forwards_ipv6(name),
                };
                interfaces::set_forwarding(&shared.table, index, asked);
            }
        }
        if shared.settings.topology != Topology::Bridge {
            interfaces::set_macs(&shared.table, &judged);
        }
        stacked::sync_flags(shared, &judged);
    }

    /// The interfaces that XDP judges.
    pub(crate) fn judged(&self) -> BTreeSet<u32> {
        let judged = self.by_index.iter().filter(|(_, a)| a.xdp.is_some());
        judged.map(|(&index, _)| index).collect()
    }
}

impl Attached {
    /// As it was last seen.
    pub(super) fn current_name(&self) -> &str {
        self.seen.as_ref().map_or(&self.name, |(name, _)| name)
    }

    /// The XDP program of its link.
    pub(super) fn program(&self) -> Option<u32> {
        let info = self.xdp.as_ref()?.info().ok()?;
        Some(info.program)
    }

    pub(super) fn event(&self, change: InterfaceChange) -> InterfaceEvent {
        InterfaceEvent::new(&self.name, change)
    }
}
