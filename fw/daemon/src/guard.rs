//! The daemon's side of `guard = "nftables"`: which interfaces the table closes, and when it is
//! updated. The table itself is `bailey_datapath::attach::nft_guard`.

use std::collections::BTreeSet;

use bailey_clock::now;
use bailey_config::{Config, Guard, Interface};
use bailey_datapath::attach::nft_guard::{self, NftGuard};
use bailey_datapath::kernel::netlink;
use bailey_datapath::observe::status::DatapathStatus;
use bailey_datapath::{Datapath, DatapathError, protected_interfaces, with_stacked};

use crate::health::Health;

/// Subject of the guard's problems in [`Health`].
const SUBJECT: &str = "guard";

/// Installs the guard, if configured: it closes every interface without a program before any is
/// attached. With `guard = "off"`, removes the table of an earlier start.
///
/// # Errors
/// If nft is not installed, or refuses.
pub(crate) fn install_guard(
    config: &Config,
    interfaces: &[Interface],
) -> Result<Option<NftGuard>, String> {
    if config.guard == Guard::Off {
        if nft_guard::is_loaded(&config.paths.pins) {
            nft_guard::remove(&config.paths.pins).map_err(|error| format!("guard: {error}"))?;
            tracing::warn!("removed the guard of an earlier start: guard = \"off\"");
        }
        return Ok(None);
    }

    // Interfaces that already carry a program stay open.
    let protected = match DatapathStatus::read(&config.paths.pins) {
        Ok(loaded) => loaded.filtered_interfaces(),
        Err(DatapathError::NotLoaded(_)) => BTreeSet::new(),
        // The pins may belong to another version; the kernel lists the attached programs of any
        // version.
        Err(_) => {
            let protectors = protected_interfaces().unwrap_or_default();
            ifindexes(protectors.iter().map(|p| p.interface.as_str()))
        }
    };
    let mut guard = NftGuard::new(
        &config.paths.pins,
        closable_names(interfaces),
        with_stacked(&protected).map_or(protected, |near| near.into_keys().collect()),
        config.settings().failsafe,
    );
    let installed = guard.install();
    installed.map_err(|error| format!("guard = \"nftables\": {error}"))?;
    Ok(Some(guard))
}

/// Opens interfaces that now have a program, and closes interfaces that no longer have one.
/// Recreates the table if another process removed it.
pub(crate) fn update_guard(
    datapath: &Datapath,
    interfaces: &[Interface],
    guard: Option<&mut NftGuard>,
    health: &Health,
) {
    let Some(guard) = guard else { return };
    let begun = now();
    let protected = with_stacked(&datapath.filtered_interfaces());
    let kept = protected.and_then(|near| {
        let protected = near.into_keys().collect();
        guard.keep(closable_names(interfaces), protected)
    });
    match kept {
        Ok(was_removed) => {
            if was_removed {
                tracing::error!("another process removed the table of the guard; recreated it");
                let table = "nftables".to_owned();
                health.record_interference("guard-removed", table, begun.elapsed());
            }
            health.clear_problem(SUBJECT);
        }
        Err(error) => {
            tracing::error!(%error, "cannot update the guard: closed interfaces stay closed");
            health.set_problem(SUBJECT, &error.to_string());
        }
    }
}

/// Names by which packets of these interfaces may arrive: the configured names, the current names,
/// and the names of VLAN and bond devices stacked on the interfaces.
fn closable_names(interfaces: &[Interface]) -> BTreeSet<String> {
    let configured = interfaces.iter().map(|interface| interface.name.clone());
    let existing = ifindexes(interfaces.iter().map(|interface| interface.name.as_str()));
    let near = with_stacked(&existing).unwrap_or_default();
    configured.chain(near.into_values()).collect()
}

/// The ifindexes of the interfaces that exist.
fn ifindexes<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<u32> {
    let states = names.filter_map(|name| netlink::interface_by_name(name).ok().flatten());
    states.map(|state| state.index).collect()
}
