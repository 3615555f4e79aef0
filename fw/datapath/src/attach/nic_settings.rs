//! NIC settings that conflict with Bailey: changed when it attaches, recorded in the interface map
//! so that they outlive this process, and restored when it detaches.

use bailey_bpf::abi;
use bailey_config::{Settings, Topology};

use crate::attach::preflight::Candidate;
use crate::error::DatapathError;
use crate::kernel::ethtool;
use crate::kernel::netlink::{self, InterfaceState, Which};
use crate::maps::interfaces::InterfaceMap;

fn refused(state: &InterfaceState, message: String) -> DatapathError {
    DatapathError::Interface {
        interface: state.name.clone(),
        message,
    }
}

fn record_change(interfaces: &InterfaceMap, index: u32, flag: u32) {
    let word = interfaces.load(index) | u64::from(flag);
    interfaces.store(index, word);
}

/// Makes a bridge port receive frames that are addressed to other stations.
pub(crate) fn make_promiscuous(
    interfaces: &InterfaceMap,
    state: &InterfaceState,
) -> Result<(), DatapathError> {
    if state.promiscuous {
        return Ok(());
    }
    // Recorded first: if this process is killed in between, an unchanged setting is restored.
    record_change(interfaces, state.index, abi::INTERFACE_PROMISC);
    ethtool::set_promiscuous(&state.name, true)
        .map_err(|source| refused(state, format!("cannot make it promiscuous: {source}")))
}

/// Disables VLAN RX offload, which hides tags from XDP.
///
/// # Errors
/// If the NIC refuses and tags matter: with VLAN zones, requests and replies would have different
/// zones; a bridge would lose the tags.
pub(crate) fn disable_vlan_stripping(
    interfaces: &InterfaceMap,
    settings: &Settings,
    candidate: &Candidate<'_>,
) -> Result<(), DatapathError> {
    let state = &candidate.state;
    if candidate.capabilities.strips_vlan_tags != Some(true) {
        return Ok(());
    }
    record_change(interfaces, state.index, abi::INTERFACE_RXVLAN);
    let Err(error) = ethtool::set_vlan_stripping(&state.name, false) else {
        return Ok(());
    };
    if settings.frames.vlan_zones || settings.topology == Topology::Bridge {
        return Err(cannot_disable(state, &error.to_string()));
    }
    Ok(())
}

/// The error for an interface whose VLAN RX offload cannot be disabled.
pub(crate) fn cannot_disable(state: &InterfaceState, cause: &str) -> DatapathError {
    let name = &state.name;
    let message = format!(
        "VLAN RX offload strips tags before XDP and cannot be disabled ({cause}); disable it: ethtool \
         -K {name} rxvlan off"
    );
    refused(state, message)
}

/// Restores the settings that are recorded in the word of an interface.
pub(crate) fn restore(index: u32, word: u64) {
    let changed = abi::INTERFACE_PROMISC | abi::INTERFACE_RXVLAN;
    if word & u64::from(changed) == 0 {
        return;
    }
    let Ok(Some(state)) = netlink::interface(Which::Index(index)) else {
        return;
    };
    if word & u64::from(abi::INTERFACE_PROMISC) != 0 {
        let _ = ethtool::set_promiscuous(&state.name, false);
    }
    if word & u64::from(abi::INTERFACE_RXVLAN) != 0 {
        let _ = ethtool::set_vlan_stripping(&state.name, true);
    }
}

/// Restores the settings of an interface, and clears its word in the map.
pub(crate) fn restore_and_forget(interfaces: &InterfaceMap, index: u32) {
    restore(index, interfaces.load(index));
    interfaces.store(index, 0);
}
