//! The contract with the BPF programs: [`abi`] is generated from `abi.h`, [`reason`] names what
//! it numbers, and `object` holds the compiled programs (feature `object`).

#[allow(missing_docs, unreachable_pub)]
pub mod abi;
/// Token buckets, as the programs want their numbers.
mod bucket;
#[cfg(feature = "object")]
pub mod object;
pub mod reason;

pub use bucket::TokenBucket;
