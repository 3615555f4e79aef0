//! Maps: names, shapes, pins, and typed views. Uses `kernel`.

/// Prefixes in the form that the programs compare.
pub(crate) mod cidr;
/// Comparison of pinned maps with the shapes that this binary creates.
pub(crate) mod compat;
/// The control word, whose store commits a generation.
pub mod control_word;
/// The hash secret of the flow table, and the ABI version of the pinned maps.
pub(crate) mod flow_keys;
/// Tables that are written once, frozen and read back.
pub(crate) mod frozen;
/// The hooks that programs are attached to.
pub mod hook;
/// Counter slot, flags and MAC address of each interface.
pub(crate) mod interfaces;
/// Typed views of arrays that are mapped into memory.
pub(crate) mod mapped;
/// The network namespace that pinned programs were attached in.
pub(crate) mod netns;
/// Opening of pinned maps.
pub(crate) mod pinned;
/// The pin directory.
pub mod pins;
/// The rings of the recorder.
pub mod recorder;
/// The greatest numbers of rules that a reader has seen.
pub(crate) mod rule_totals;
/// Sizes of maps that follow from settings.
pub mod shape;
/// The maps that programs, generations and this process share.
pub(crate) mod shared;
/// The list of maps and their sizes.
pub(crate) mod table;
/// The maps of one value that programs address directly.
pub(crate) mod values;
