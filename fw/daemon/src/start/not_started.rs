//! The log of a daemon that does not start: the error, and which programs protect the interfaces
//! meanwhile.

use bailey_config::{Config, Interface};
use bailey_datapath::attach::nft_guard;
use bailey_datapath::kernel::netlink;
use bailey_datapath::observe::status::DatapathStatus;
use bailey_datapath::protected_interfaces;
use bailey_state::lock::LockError;

use crate::error::ServeError;

/// Logs why the daemon did not start, and for each configured interface: the protecting program,
/// the guard, or UNPROTECTED.
pub(crate) fn report_not_started(config: &Config, error: &ServeError) {
    tracing::error!("{error}");

    // If another daemon runs with the same paths, it probably protects the interfaces.
    if matches!(error, ServeError::Locked(LockError::Held(..))) {
        return;
    }
    if let Ok(loaded) = DatapathStatus::read(&config.paths.pins)
        && loaded.is_enforcing()
    {
        tracing::error!(
            generation = loaded.control.generation,
            "bailey did not start; the earlier generation stays active: `bailey status`"
        );
    }

    // Programs of any Bailey on the configured interfaces.
    let interfaces = config.interfaces().unwrap_or_default();
    let protectors = match protected_interfaces() {
        Ok(protectors) => protectors,
        Err(error) => {
            tracing::error!("{error}; cannot tell whether the interfaces are protected");
            return;
        }
    };
    let names: Vec<String> = interfaces.iter().map(primary_name).collect();
    let (guarded, open): (Vec<_>, Vec<_>) = names
        .iter()
        .partition(|name| protectors.iter().any(|p| p.interface == **name));
    for protector in protectors
        .iter()
        .filter(|p| guarded.contains(&&p.interface))
    {
        tracing::error!("{protector}");
    }

    // Interfaces without a program.
    if config.interfaces.is_empty() {
        tracing::error!("bailey did not start; the configuration names no interface to protect");
    } else if !open.is_empty() {
        report_open(config, &open);
    }
}

/// The kernel's name of a configured interface; the configuration may use an altname.
fn primary_name(wanted: &Interface) -> String {
    let state = netlink::interface_by_name(&wanted.name).ok().flatten();
    state.map_or_else(|| wanted.name.clone(), |state| state.name)
}

/// Logs which interfaces without a program are closed by the guard, and which are open.
fn report_open(config: &Config, names: &[&String]) {
    let index = |name: &str| {
        let state = netlink::interface_by_name(name).ok().flatten();
        state.map(|state| state.index)
    };
    let (closed, open): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(|name| name.as_str())
        .partition(|name| nft_guard::closes(&config.paths.pins, name, index(name)));
    if !closed.is_empty() {
        let closed = closed.join(", ");
        tracing::error!("closed by the guard, except for failsafe traffic: {closed}");
    }
    if !open.is_empty() {
        tracing::error!("UNPROTECTED: {}", open.join(", "));
    }
}
