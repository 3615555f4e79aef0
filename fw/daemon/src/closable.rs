use std::collections::BTreeSet;

use bailey_config::Interface;
use bailey_datapath::kernel::netlink;
use bailey_datapath::with_stacked;

/// The names that packets of these interfaces come in by: those of the configuration, those that they have
/// now, and those of what stands on them.
pub(crate) fn closable(interfaces: &[Interface]) -> BTreeSet<String> {
    let configured = interfaces.iter().map(|interface| interface.name.clone());
    let there = indices(interfaces.iter().map(|interface| interface.name.as_str()));
    let near = with_stacked(&there).unwrap_or_default();
    configured.chain(near.into_values()).collect()
}

/// The numbers of interfaces of these names, as far as they are there.
pub(crate) fn indices<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<u32> {
    let states = names.filter_map(|name| netlink::interface_by_name(name).ok().flatten());
    states.map(|state| state.index).collect()
}
