//! Attaches to interfaces immediately when they appear. Runs in a thread that does nothing else, so
//! that no reading, compiling or verifying delays the link after the kernel's notification.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bailey_config::{Interface, Topology};

use crate::attach::links::{attach_egress, is_attached, replace_pin};
use crate::attach::preflight::{attach_xdp, preflight};
use crate::attach::stacked;
use crate::error::DatapathError;
use crate::kernel::egress::EgressKind;
use crate::kernel::forwarding;
use crate::kernel::link::Link;
use crate::kernel::netlink;
use crate::maps::hook::Hook;
use crate::maps::interfaces::InterfaceMap;
use crate::maps::pins::{PinDir, link_pin};
use crate::maps::shared::SharedMaps;
use crate::program::entry::EntryObject;
use crate::program::handles::program_fd;

/// The programs, and all that is needed to attach them to new interfaces.
pub struct HotplugAttacher {
    xdp: OwnedFd,
    tc: OwnedFd,
    pins: PathBuf,
    topology: Topology,
    egress: EgressKind,
    interfaces: Arc<InterfaceMap>,
    wanted: Vec<Interface>,
}

impl HotplugAttacher {
    /// `None` if pins do not outlive the process, or another build is attached.
    pub(crate) fn new(
        entry: &EntryObject,
        maps: &SharedMaps,
        wanted: &[Interface],
    ) -> Result<Option<Self>, DatapathError> {
        let PinDir::Path(pins) = &maps.pins else {
            return Ok(None);
        };
        if !maps.is_attached_build() {
            return Ok(None);
        }
        Ok(Some(Self {
            xdp: program_fd(&entry.ebpf, Hook::Xdp.entry_program())?,
            tc: program_fd(&entry.ebpf, Hook::Tc.entry_program())?,
            pins: pins.clone(),
            topology: entry.settings.topology,
            egress: entry.egress,
            interfaces: Arc::clone(&maps.interfaces),
            wanted: wanted.to_vec(),
        }))
    }

    /// Attaches to every configured interface that exists and has no XDP program. Errors and all
    /// other repairs are left to [`Datapath::reconcile`](crate::Datapath::reconcile), which adopts
    /// the links.
    pub fn attach_new(&self) {
        if self.topology == Topology::Router && forwarding::has_ipsec_policy() {
            self.interfaces.forward_by_stack();
        }
        for interface in &stacked::resolve_wanted(&self.wanted, self.topology) {
            let state = netlink::interface_by_name(&interface.name);
            if state.is_ok_and(|state| state.is_some_and(|state| state.xdp.is_none())) {
                let _ = self.attach(interface);
            }
        }
    }

    fn attach(&self, interface: &Interface) -> Result<(), DatapathError> {
        let changing = &self.interfaces.changing;
        let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
        let candidate = preflight(interface, None, false)?;
        let (index, pins) = (candidate.state.index, PinDir::Path(self.pins.clone()));
        if candidate.state.xdp.is_some() {
            return Ok(());
        }
        self.interfaces.assign_slot(index, &interface.name)?;
        self.interfaces.set_external(index, interface.external);
        // Egress first: it creates the flows by which XDP admits replies.
        let pin = link_pin(&pins, Hook::Tc, index);
        let known = Link::from_pin(&pin, index).ok();
        if self.topology != Topology::Bridge && !is_attached(known.as_ref(), index) {
            let link = attach_egress(self.egress, self.tc.as_fd(), &candidate)?;
            replace_pin(&link, pin)?;
        }
        let link = attach_xdp(self.xdp.as_fd(), &candidate, false)?;
        replace_pin(&link, link_pin(&pins, Hook::Xdp, index))?;
        self.interfaces.set_filtered(index, true);
        Ok(())
    }
}
