//! Maps: their names and shapes, where they are pinned, and what stands in them. Uses `kernel`.

/// Prefixes, as the programs compare them.
pub(crate) mod cidr;
/// Pinned maps compared with what this binary needs.
pub(crate) mod compat;
/// The control word.
pub mod control_word;
/// The secret of the flow table.
pub(crate) mod flow_keys;
/// Tables that are written once, read back and frozen.
pub(crate) mod frozen;
/// The hooks that programs are attached to.
pub mod hook;
/// Which interface has which counters.
pub(crate) mod interfaces;
/// Which network namespace numbers of interfaces belong to.
pub(crate) mod netns;
/// Pinned maps, opened in the shape that this binary expects.
pub(crate) mod pinned;
/// Where maps are pinned.
pub mod pins;
/// Sizes of maps that follow from settings.
pub(crate) mod shape;
/// The maps and their shapes.
pub(crate) mod table;
