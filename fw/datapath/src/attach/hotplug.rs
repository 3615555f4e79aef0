//! Attaches to an interface that comes (back), at once: in a thread that waits for nothing else, so that
//! no reading, compiling or verifying lies between the kernel's word and the link.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::attach::event::Interface;
use crate::attach::links::{create_tc, replace_pin};
use crate::attach::preflight::{create_xdp, preflight};
use crate::attach::stacked;
use crate::error::DatapathError;
use crate::kernel::egress::{self, EgressKind};
use crate::kernel::forwarding;
use crate::kernel::link::Link;
use crate::kernel::netlink;
use crate::maps::hook::Hook;
use crate::maps::interfaces::{self, InterfaceTable};
use crate::maps::pins::{PinDir, link_pin};
use crate::program::entry::Shared;
use crate::program::handles::program_fd;
use crate::settings::{EgressHook, Topology};

/// What it takes to attach: the programs that are attached, and where they stand.
pub struct HotplugAttacher {
    xdp: OwnedFd,
    tc: OwnedFd,
    pins: PathBuf,
    topology: Topology,
    egress: EgressKind,
    table: Arc<InterfaceTable>,
    wanted: Vec<Interface>,
}

impl HotplugAttacher {
    /// None where nothing outlives the process, or another build is attached.
    pub(crate) fn new(
        shared: &Shared,
        wanted: &[Interface],
    ) -> Result<Option<Self>, DatapathError> {
        let PinDir::Path(pins) = &shared.pins else {
            return Ok(None);
        };
        if !shared.is_attached_build() {
            return Ok(None);
        }
        Ok(Some(Self {
            xdp: program_fd(&shared.entry, "entry_xdp")?,
            tc: program_fd(&shared.entry, "entry_tc")?,
            pins: pins.clone(),
            topology: shared.settings.topology,
            egress: egress::resolve(shared.settings.egress_hook),
            table: Arc::clone(&shared.table),
            wanted: wanted.to_vec(),
        }))
    }

    /// Attaches to every configured interface that is there and carries no XDP program. What fails, and
    /// all else, is left to [`Datapath::tend`](crate::Datapath::tend), which adopts the links.
    pub fn protect(&self) {
        if self.topology == Topology::Router && forwarding::has_ipsec_policy() {
            self.table.hand_to_stack();
        }
        for interface in &stacked::resolve_wanted(&self.wanted, self.topology) {
            let bare = netlink::interface_by_name(&interface.name);
            if bare.is_ok_and(|state| state.is_some_and(|state| state.xdp.is_none())) {
                let _ = self.attach(interface);
            }
        }
    }

    fn attach(&self, interface: &Interface) -> Result<(), DatapathError> {
        let changing = &self.table.changing;
        let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = preflight(interface, None, false)?;
        let (index, pins) = (found.state.index, PinDir::Path(self.pins.clone()));
        if found.state.xdp.is_some() {
            return Ok(());
        }
        interfaces::assign(&self.table, index, &interface.name)?;
        interfaces::set_external(&self.table, index, interface.external);
        // Egress first: a flow that the node opens must be known before its reply meets XDP.
        let pin = link_pin(&pins, Hook::Tc, index);
        let known = Link::from_pin(&pin, index).and_then(|link| link.info());
        let alive = known.is_ok_and(|info| info.ifindex == index);
        if self.topology != Topology::Bridge && !alive {
            replace_pin(&create_tc(self.egress, self.tc.as_fd(), &found)?, pin)?;
        }
        let link = create_xdp(self.xdp.as_fd(), &found, false)?;
        replace_pin(&link, link_pin(&pins, Hook::Xdp, index))?;
        interfaces::set_judged(&self.table, index, true);
        Ok(())
    }
}
