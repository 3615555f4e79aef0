//! The programs on all interfaces: adopts pinned links, attaches programs, replaces and removes
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use bailey_config::{Interface, Topology};

use crate::attach::attachment::{Attachment, XdpPlan, XdpState};
use crate::attach::event::{InterfaceChange, InterfaceEvent};
use crate::attach::links::{attach_egress, is_attached, program_by_id, replace_pin};
use crate::attach::preflight::{Candidate, attach_xdp, check_kernel, preflight};
use crate::attach::refusal::AttachStep;
use crate::attach::reporter::Reporter;
use crate::attach::{bridge, nic_settings, own_addresses, stacked};
use crate::error::DatapathError;
use crate::kernel::forwarding;
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::kernel::xdp_mode::xdp_flags;
use crate::maps::hook::Hook;
use crate::maps::interfaces::ForwardingChecks;
use crate::maps::pins::{link_pin, parse_link_pin};
use crate::maps::shared::SharedMaps;
use crate::program::entry::EntryObject;
use crate::program::handles::program_fd;

/// Attachments by ifindex. Their links are pinned, so dropping them detaches no program.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    pub(super) by_index: BTreeMap<u32, Attachment>,
    pub(super) reporter: Reporter,
    /// Names of interfaces whose VLAN RX offload cannot be disabled although it must be.
    cannot_keep_tags: BTreeSet<String>,
}

impl Attachments {
    /// Adopts the pinned links. Removes pins and map entries of interfaces that are not attached,
    /// because another interface may get the same ifindex.
    pub(crate) fn adopt(maps: &SharedMaps) -> Self {
        let mut attachments = Self::default();
        for name in maps.pins.names() {
            let Some((hook, index)) = parse_link_pin(&name) else {
                continue;
            };
            let path = maps.pins.file(&name);
            let link = Link::from_pin(&path, index).ok();
            let Some(link) = link.filter(|link| is_attached(Some(link), index)) else {
                let _ = std::fs::remove_file(path);
                continue;
            };
            let attachment = attachments.by_index.entry(index).or_default();
            attachment.name = maps.interfaces.name_of(index);
            match hook {
                Hook::Xdp => attachment.xdp = XdpState::Attached(link),
                Hook::Tc => attachment.tc = Some(link),
            }
        }
        for index in maps.interfaces.known_indices() {
            match attachments.by_index.get(&index) {
                None => nic_settings::restore_and_forget(&maps.interfaces, index),
                Some(attachment) if !attachment.is_filtered() => {
                    maps.interfaces.set_filtered(index, false);
                }
                Some(_) => {}
            }
        }
        attachments
    }

    /// Attaches missing programs, and detaches those of interfaces that are not configured. If
    /// nothing was attached before, any refusal is an error and everything is rolled back.
    /// Otherwise a refusal is an event, because the other interfaces must stay protected.
    pub(crate) fn attach(
        &mut self,
        entry: &EntryObject,
        maps: &mut SharedMaps,
        wanted: &[Interface],
        replace: bool,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        check_kernel()?;
        let mut events = if self.by_index.is_empty() {
            self.attach_all(entry, maps, wanted, replace)?
        } else {
            self.reconcile(entry, maps, wanted, replace)
        };
        // After a refusal, an unconfigured interface may be the only protected one.
        let failed =
            |event: &InterfaceEvent| matches!(event.change, InterfaceChange::AttachFailed(_));
        if !events.iter().any(failed) {
            events.extend(self.detach_unconfigured(maps, wanted));
        }
        Ok(events)
    }

    /// Attaches to all interfaces, or to none.
    fn attach_all(
        &mut self,
        entry: &EntryObject,
        maps: &mut SharedMaps,
        wanted: &[Interface],
        replace: bool,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        // Check everything before changing anything.
        let mut candidates = Vec::new();
        for interface in wanted {
            candidates.push(preflight(interface, None, replace)?);
        }
        let topology = entry.settings.topology;
        if topology == Topology::Bridge {
            let ports: Vec<InterfaceState> = candidates.iter().map(|c| c.state.clone()).collect();
            bridge::check_ports(&ports)?;
        }
        let indices: Vec<u32> = candidates.iter().map(|c| c.state.index).collect();
        own_addresses::refresh(maps, &indices.iter().copied().collect())?;

        let result = self.attach_hooks(entry, maps, &candidates, replace);
        let connected = result.and_then(|()| match topology {
            Topology::Host => Ok(()),
            Topology::Router => self.open_ports(maps),
            Topology::Bridge => bridge::connect(maps, &indices),
        });
        if let Err(error) = connected {
            for index in self.by_index.keys().copied().collect::<Vec<u32>>() {
                self.remove(maps, Hook::Xdp, index);
                self.remove(maps, Hook::Tc, index);
            }
            for index in indices {
                nic_settings::restore_and_forget(&maps.interfaces, index);
            }
            return Err(error);
        }
        self.sync_interface_map(entry, maps);
        let attached =
            |c: &Candidate<'_>| InterfaceEvent::new(&c.interface.name, InterfaceChange::Attached);
        Ok(candidates.iter().map(attached).collect())
    }

    fn attach_hooks(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
        candidates: &[Candidate<'_>],
        replace: bool,
    ) -> Result<(), DatapathError> {
        // Egress first: it creates the flows by which XDP admits replies.
        for candidate in candidates {
            self.attach_tc(entry, maps, candidate)?;
        }
        for candidate in candidates {
            self.attach_xdp(entry, maps, candidate, replace)?;
        }
        Ok(())
    }

    /// Attaches the missing programs of one interface.
    pub(super) fn attach_one(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
        interface: &Interface,
        replace: bool,
    ) -> Option<InterfaceEvent> {
        let ours = self.by_index.values().find(|a| a.name == interface.name);
        let is_known = ours.is_some();
        let program = ours.and_then(Attachment::xdp_program);
        let candidate = match preflight(interface, program, replace) {
            Ok(candidate) => candidate,
            // A renamed interface is found by its ifindex.
            Err(DatapathError::NoInterface { .. }) if is_known => return None,
            Err(error) => return self.reporter.fail(&interface.name, error),
        };
        let index = candidate.state.index;
        let result = self
            .attach_tc(entry, maps, &candidate)
            .and_then(|tc| Ok(tc | self.attach_xdp(entry, maps, &candidate, replace)?));
        let changed = match result {
            Ok(changed) => changed,
            Err(error) => {
                // Egress alone is useless: it creates flows for replies that no XDP program admits.
                if self.by_index.get(&index).is_none_or(|a| !a.is_filtered()) {
                    self.remove(maps, Hook::Tc, index);
                }
                return self.reporter.fail(&interface.name, error);
            }
        };
        let had_failed = self.reporter.end_failure(&interface.name);
        let change = if changed {
            InterfaceChange::Attached
        } else if self.reporter.mark_attached(index) {
            InterfaceChange::Adopted
        } else if had_failed {
            InterfaceChange::Recovered
        } else {
            return None;
        };
        Some(InterfaceEvent::new(&interface.name, change))
    }

    /// Attaches the egress program; returns whether it was not attached before.
    fn attach_tc(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
        candidate: &Candidate<'_>,
    ) -> Result<bool, DatapathError> {
        let index = candidate.state.index;
        let interface = candidate.interface;
        maps.interfaces.assign_slot(index, &interface.name)?;
        maps.interfaces.set_external(index, interface.external);
        let known = self.by_index.get(&index).and_then(|a| a.tc.as_ref());
        if entry.settings.topology == Topology::Bridge || is_attached(known, index) {
            return Ok(false);
        }
        let program = self.program_to_attach(entry, maps, Hook::Tc)?;
        let link = attach_egress(entry.egress, program.as_fd(), candidate)?;
        replace_pin(&link, link_pin(&maps.pins, Hook::Tc, index))?;
        let attachment = self.by_index.entry(index).or_default();
        attachment.name.clone_from(&interface.name);
        attachment.tc = Some(link);
        Ok(true)
    }

    /// Attaches the XDP program in the configured mode; returns whether it was not attached so
    /// before.
    fn attach_xdp(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
        candidate: &Candidate<'_>,
        replace: bool,
    ) -> Result<bool, DatapathError> {
        let (interface, state) = (candidate.interface, &candidate.state);
        let (index, wanted) = (state.index, interface.mode);
        let xdp = self.by_index.get(&index).map(|a| &a.xdp);
        let attached = is_attached(xdp.and_then(XdpState::link), index);
        let plan = XdpPlan::new(
            attached.then(|| state.xdp.map(|xdp| xdp.mode)),
            xdp.and_then(XdpState::unsupported_mode),
            wanted,
        );
        let previous = match plan {
            XdpPlan::Refuse => return Err(candidate.mode_refused_before()),
            XdpPlan::Keep => {
                // Also repairs the map after a process that was killed between two steps, and VLAN
                // RX offload that another process has enabled again.
                maps.interfaces.set_filtered(index, true);
                nic_settings::disable_vlan_stripping(&maps.interfaces, &entry.settings, candidate)?;
                return Ok(false);
            }
            XdpPlan::Attach => None,
            XdpPlan::ChangeMode { previous } => Some(previous),
        };
        if self.cannot_keep_tags.contains(&interface.name)
            && candidate.capabilities.strips_vlan_tags == Some(true)
        {
            return Err(nic_settings::cannot_disable(state, "refused before"));
        }
        let program = self.program_to_attach(entry, maps, Hook::Xdp)?;
        if previous.is_some() {
            // Until the new link exists, packets on this interface are not filtered.
            maps.interfaces.set_filtered(index, false);
            self.detach(maps, Hook::Xdp, index);
        }
        let created = attach_xdp(program.as_fd(), candidate, replace);
        let (xdp, refusal) = match (created, previous) {
            (Ok(link), _) => (XdpState::Attached(link), None),
            (Err(error), None) => return Err(error),
            (Err(error), Some(mode)) => match Link::xdp(program.as_fd(), index, xdp_flags(mode)) {
                Ok(link) => {
                    let unsupported_mode = wanted;
                    let degraded = XdpState::Degraded {
                        link,
                        unsupported_mode,
                    };
                    (degraded, Some(error))
                }
                Err(_) => return Err(error),
            },
        };
        self.commit_xdp(entry, maps, candidate, xdp)?;
        refusal.map_or(Ok(true), Err)
    }

    /// Pins a new XDP link and records it.
    fn commit_xdp(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
        candidate: &Candidate<'_>,
        xdp: XdpState,
    ) -> Result<(), DatapathError> {
        let (interface, state) = (candidate.interface, &candidate.state);
        let index = state.index;
        if let Some(link) = xdp.link() {
            replace_pin(link, link_pin(&maps.pins, Hook::Xdp, index))?;
        }
        let attachment = self.by_index.entry(index).or_default();
        attachment.name.clone_from(&interface.name);
        attachment.xdp = xdp;
        attachment.last_seen = Some((state.name.clone(), state.running));
        self.reporter.mark_attached(index);
        maps.interfaces.set_filtered(index, true);
        // Last, and remembered if it fails: changing the setting notifies the reconciler, which
        // would try again at once.
        let disabled =
            nic_settings::disable_vlan_stripping(&maps.interfaces, &entry.settings, candidate);
        disabled.inspect_err(|_| {
            self.cannot_keep_tags.insert(interface.name.clone());
            self.remove(maps, Hook::Xdp, index);
        })
    }

    /// Detaches a program and removes its pin.
    fn detach(&mut self, maps: &SharedMaps, hook: Hook, index: u32) {
        let attachment = self.by_index.get_mut(&index);
        let link = attachment.and_then(|attachment| match hook {
            Hook::Xdp => attachment.xdp.take_link(),
            Hook::Tc => attachment.tc.take(),
        });
        if let Some(link) = link {
            let _ = link.detach();
        }
        let _ = std::fs::remove_file(link_pin(&maps.pins, hook, index));
    }

    /// The program for a hook. While another build is attached to other interfaces, its program is
    /// used: this build has no policy yet.
    fn program_to_attach(
        &self,
        entry: &EntryObject,
        maps: &SharedMaps,
        hook: Hook,
    ) -> Result<OwnedFd, DatapathError> {
        if !maps.is_attached_build() {
            let links = self.by_index.values().filter_map(|a| match hook {
                Hook::Xdp => a.xdp.link(),
                Hook::Tc => a.tc.as_ref(),
            });
            let running = links.filter_map(|link| link.info().ok()).map(|i| i.program);
            if let Some(fd) = running.filter_map(|id| program_by_id(id).ok()).next() {
                return Ok(fd);
            }
        }
        program_fd(&entry.ebpf, hook.entry_program())
    }

    /// Detaches from interfaces that are not configured. An interface that was renamed keeps its
    /// programs if its former name is configured.
    fn detach_unconfigured(
        &mut self,
        maps: &SharedMaps,
        wanted: &[Interface],
    ) -> Vec<InterfaceEvent> {
        let configured = |name: &str| wanted.iter().any(|interface| interface.name == name);
        let mut unconfigured: Vec<(u32, String)> = Vec::new();
        for (&index, attachment) in &self.by_index {
            let now = netlink::interface(Which::Index(index)).ok().flatten();
            let now = now.map_or_else(String::new, |state| state.name);
            if !configured(&attachment.name) && !configured(&now) {
                unconfigured.push((index, attachment.name.clone()));
            }
        }
        unconfigured
            .into_iter()
            .map(|(index, interface)| {
                self.remove(maps, Hook::Xdp, index);
                self.remove(maps, Hook::Tc, index);
                InterfaceEvent::new(interface, InterfaceChange::Unconfigured)
            })
            .collect()
    }

    /// Detaches a program, and forgets the interface if it has no other.
    pub(super) fn remove(&mut self, maps: &SharedMaps, hook: Hook, index: u32) {
        if hook == Hook::Xdp {
            maps.interfaces.set_filtered(index, false);
        }
        self.detach(maps, hook, index);
        let attachment = self.by_index.get(&index);
        if attachment.is_none_or(Attachment::has_no_program) {
            self.by_index.remove(&index);
            self.reporter.forget_attached(index);
            nic_settings::restore_and_forget(&maps.interfaces, index);
        }
    }

    /// Replaces the attached programs with this build's.
    pub(crate) fn replace_programs(
        &mut self,
        entry: &EntryObject,
        maps: &SharedMaps,
    ) -> Result<Vec<InterfaceEvent>, DatapathError> {
        let tc = program_fd(&entry.ebpf, Hook::Tc.entry_program())?;
        let xdp = program_fd(&entry.ebpf, Hook::Xdp.entry_program())?;
        let mut events = Vec::new();
        for (&index, attachment) in &mut self.by_index {
            let name = attachment.name.clone();
            let failed = |source: io::Error| DatapathError::Interface {
                interface: name.clone(),
                message: format!("cannot replace the attached program: {source}"),
            };
            let links = [
                (Hook::Tc, attachment.tc.as_mut(), &tc),
                (Hook::Xdp, attachment.xdp.link_mut(), &xdp),
            ];
            for (hook, link, program) in links {
                let pin = link_pin(&maps.pins, hook, index);
                match link.map(|link| link.update(program.as_fd(), &pin)) {
                    None | Some(Ok(())) => {}
                    // The interface was deleted, and its programs with it.
                    Some(Err(error)) if error.raw_os_error() == Some(libc::ENOLINK) => {}
                    Some(Err(error)) => return Err(failed(error)),
                }
            }
            events.push(attachment.event(InterfaceChange::Replaced));
        }
        Ok(events)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// Router: lets XDP redirect to the filtered interfaces.
    pub(super) fn open_ports(&self, maps: &mut SharedMaps) -> Result<(), DatapathError> {
        bridge::open_ports(maps, &self.filtered())
    }

    /// Updates the interface map: forwarding checks, MAC addresses and stacked devices.
    pub(super) fn sync_interface_map(&self, entry: &EntryObject, maps: &SharedMaps) {
        let filtered = self.filtered();
        let topology = entry.settings.topology;
        if topology == Topology::Router {
            let ipsec = forwarding::has_ipsec_policy();
            for &index in &filtered {
                let attachment = self.by_index.get(&index);
                let name = attachment.map_or("", Attachment::current_name);
                let checks = ForwardingChecks {
                    reverse_path: forwarding::filters_reverse_path(name),
                    ipsec,
                    ipv6: forwarding::forwards_ipv6(name),
                };
                maps.interfaces.set_forwarding_checks(index, checks);
            }
        }
        if topology != Topology::Bridge {
            maps.interfaces.update_macs(&filtered);
        }
        stacked::sync_flags(&maps.interfaces, &filtered);
    }

    /// The ifindexes of interfaces whose received packets XDP filters.
    pub(crate) fn filtered(&self) -> BTreeSet<u32> {
        let filtered = self.by_index.iter().filter(|(_, a)| a.is_filtered());
        filtered.map(|(&index, _)| index).collect()
    }
}

impl Candidate<'_> {
    fn mode_refused_before(&self) -> DatapathError {
        DatapathError::Interface {
            interface: self.interface.name.clone(),
            message: format!(
                "{} was refused; the program stays in the other mode",
                AttachStep::Xdp(self.interface.mode)
            ),
        }
    }
}
