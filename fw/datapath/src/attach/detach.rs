//! Detach: removes every program using only the pins. Needs no daemon.

use std::path::Path;

use crate::attach::nic_settings;
use crate::error::DatapathError;
use crate::kernel::clsact;
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, Which};
use crate::maps::hook::Hook;
use crate::maps::interfaces;
use crate::maps::netns;
use crate::maps::pins::{PinDir, parse_link_pin};

/// A program that was detached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// The hook that it was attached to.
    pub hook: Hook,
    /// Name of the interface; `#` and its ifindex if it was deleted.
    pub interface: String,
}

/// Detaches every program that is pinned in a directory, even if other processes hold its link,
/// restores NIC settings, and removes the pins, and with them flows and counters.
///
/// # Errors
/// If a program cannot be detached. The others are detached then, and the pins stay.
pub fn detach(directory: &Path) -> Result<Vec<Detached>, DatapathError> {
    let pins = PinDir::Path(directory.to_owned());
    let mut names = pins.names();
    // XDP first: it admits replies by flows that the egress program creates.
    names.sort_by_key(|name| parse_link_pin(name).map(|(hook, _)| hook));
    // A clsact filter can only be removed in the network namespace of its interface.
    if names.iter().any(|name| is_filter(&pins, name)) {
        netns::check(&pins)?;
    }

    let mut detached = Vec::new();
    let mut failed = None;
    for name in names {
        let Some((hook, index)) = parse_link_pin(&name) else {
            continue;
        };
        let path = pins.file(&name);
        let result = detach_pinned(&path, index);
        let state = netlink::interface(Which::Index(index)).ok().flatten();
        let interface = state.map_or_else(|| format!("#{index}"), |state| state.name);
        match result {
            Ok(()) => detached.push(Detached { hook, interface }),
            Err(error) => {
                failed = Some(DatapathError::Interface {
                    interface,
                    message: format!(
                        "cannot detach the {hook} program: {error}; detach it manually: bpftool \
                         link detach pinned {}, or for a clsact filter: tc filter del dev NIC egress",
                        path.display()
                    ),
                });
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }

    // In another network namespace the same ifindex means another interface.
    if netns::check(&pins).is_ok() {
        for (index, word) in interfaces::read_attached(&pins).unwrap_or_default() {
            // Removes a filter whose pin was never written, because the process was killed.
            let _ = clsact::remove(index);
            nic_settings::restore(index, word);
        }
    }
    pins.remove_all();
    let _ = std::fs::remove_dir(directory);
    Ok(detached)
}

fn is_filter(pins: &PinDir, name: &str) -> bool {
    parse_link_pin(name).is_some_and(|(_, index)| {
        Link::from_pin(&pins.file(name), index).is_ok_and(|link| link.is_filter())
    })
}

fn detach_pinned(path: &Path, index: u32) -> std::io::Result<()> {
    let link = Link::from_pin(path, index)?;
    // A filter is removed even if it runs a newer program than the pinned one.
    if link.is_filter() {
        return link.detach();
    }
    // The program of a deleted interface is detached already.
    match link.info()?.ifindex {
        0 => Ok(()),
        _ => link.detach(),
    }
}
