//! Settings of a NIC that stand in the way: changed when Bailey attaches, so that they outlive this
//! process, and given back when it is detached.

use bailey_bpf::abi;
use bailey_config::Topology;

use crate::attach::preflight::Candidate;
use crate::error::DatapathError;
use crate::kernel::bpf;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::maps::interfaces::{self, InterfaceTable};
use crate::program::entry::Shared;

fn refused(state: &InterfaceState, message: String) -> DatapathError {
    DatapathError::Interface {
        interface: state.name.clone(),
        message,
    }
}

fn remember(shared: &Shared, index: u32, flag: u32) {
    let word = interfaces::load(&shared.table, index) | u64::from(flag);
    interfaces::store(&shared.table, index, word);
}

/// A NIC drops frames for others unless it is told not to.
pub(crate) fn make_promiscuous(
    shared: &Shared,
    state: &InterfaceState,
) -> Result<(), DatapathError> {
    if state.promiscuous {
        return Ok(());
    }
    // First: killed under way, it is given back once too often.
    remember(shared, state.index, abi::INTERFACE_PROMISC);
    bpf::set_promiscuous(&state.name, true)
        .map_err(|source| refused(state, format!("cannot make it promiscuous: {source}")))
}

/// A NIC that strips VLAN tags hides them from XDP. One that cannot be told not to is refused where
/// that matters: flows would have another zone than their answers, and a bridge would lose the tags.
pub(crate) fn disable_vlan_stripping(
    shared: &Shared,
    found: &Candidate<'_>,
) -> Result<(), DatapathError> {
    let Candidate { state, facts, .. } = found;
    if facts.strips_tags != Some(true) {
        return Ok(());
    }
    remember(shared, state.index, abi::INTERFACE_RXVLAN);
    let Err(error) = bpf::set_vlan_stripping(&state.name, false) else {
        return Ok(());
    };
    let settings = &shared.settings;
    if settings.frames.vlan_zones || settings.topology == Topology::Bridge {
        return Err(strips_tags(state, &error.to_string()));
    }
    Ok(())
}

/// The refusal of an interface that strips tags and does not stop.
pub(crate) fn strips_tags(state: &InterfaceState, why: &str) -> DatapathError {
    let name = &state.name;
    let message = format!(
        "it strips VLAN tags, which XDP then cannot see, and does not stop when asked ({why}); turn \
         it off: ethtool -K {name} rxvlan off"
    );
    refused(state, message)
}

/// Gives an interface with this word back what was changed.
pub(crate) fn restore(index: u32, word: u64) {
    let changed = abi::INTERFACE_PROMISC | abi::INTERFACE_RXVLAN;
    if word & u64::from(changed) == 0 {
        return;
    }
    let Ok(Some(state)) = netlink::interface(Which::Index(index)) else {
        return;
    };
    if word & u64::from(abi::INTERFACE_PROMISC) != 0 {
        let _ = bpf::set_promiscuous(&state.name, false);
    }
    if word & u64::from(abi::INTERFACE_RXVLAN) != 0 {
        let _ = bpf::set_vlan_stripping(&state.name, true);
    }
}

/// Forgets an interface, and gives it back what was changed.
pub(crate) fn forget(table: &InterfaceTable, index: u32) {
    restore(index, interfaces::load(table, index));
    interfaces::store(table, index, 0);
}
