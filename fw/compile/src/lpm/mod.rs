//! Longest-prefix match: prefixes to the trie that `lpm_class` in the BPF programs walks.

/// A prefix of either address family.
mod prefix;
/// Up to a few prefixes below one slot, stored as ranges of classes in one cache line.
pub(crate) mod ranges;
/// The poptrie.
mod trie;

pub(crate) use prefix::Prefix;
pub(crate) use ranges::Ranges;
pub(crate) use trie::build;
