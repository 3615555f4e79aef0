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

/// A program that was taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// Where it was.
    pub hook: Hook,
    /// The interface, by name if it still exists.
    pub interface: String,
}

/// Takes every program off that is pinned there, whoever else holds it, gives interfaces their
/// settings back, and removes the pins. Flows and counters are gone after it.
///
/// # Errors
/// If a program cannot be taken off; then the rest is done, and the pins stay.
pub fn detach(directory: &Path) -> Result<Vec<Detached>, DatapathError> {
    let pins = PinDir::Path(directory.to_owned());
    let mut names = pins.names();
    // XDP goes before the egress hook that feeds its flows.
    names.sort_by_key(|name| parse_link_pin(name).map(|(hook, _)| hook));
    let filter = |name: &String| {
        let index = parse_link_pin(name).map(|(_, index)| index)?;
        let link = Link::from_pin(&pins.pin(name), index).ok()?;
        link.is_filter().then_some(())
    };
    // A filter can only be taken off where its interface is.
    if names.iter().any(|name| filter(name).is_some()) {
        netns::check(&pins)?;
    }
    let mut detached = Vec::new();
    let mut failed = None;
    for name in names {
        let Some((hook, index)) = parse_link_pin(&name) else {
            continue;
        };
        let path = pins.pin(&name);
        let result = Link::from_pin(&path, index).and_then(|link| {
            // Whatever runs in it, also if the pin is of the program before.
            if link.is_filter() {
                return link.detach();
            }
            // An interface that is gone has taken its program along.
            match link.info()?.ifindex {
                0 => Ok(()),
                _ => link.detach(),
            }
        });
        let state = netlink::interface(Which::Index(index)).ok().flatten();
        let interface = state.map_or_else(|| format!("#{index}"), |state| state.name);
        match result {
            Ok(()) => detached.push(Detached { hook, interface }),
            Err(error) => {
                failed = Some(DatapathError::Interface {
                    interface,
                    message: format!(
                        "cannot take the {hook} program off: {error}; by hand: bpftool link \
                         detach pinned {}, or for a filter of clsact: tc filter del dev NIC egress",
                        path.display()
                    ),
                });
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    // In another network namespace these numbers are other interfaces.
    if netns::check(&pins).is_ok() {
        for (index, word) in interfaces::attached(&pins).unwrap_or_default() {
            // One that was set, and whose pin was not written any more.
            let _ = clsact::remove(index);
            nic_settings::restore(index, word);
        }
    }
    pins.remove_all();
    let _ = std::fs::remove_dir(directory);
    Ok(detached)
}
