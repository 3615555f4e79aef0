//! The contract between user space and the BPF programs. Loads nothing into the kernel.

/// Types and constants, generated from `abi.h`.
#[allow(missing_docs, unreachable_pub)]
pub mod abi;
/// The compiled programs (feature `object`).
#[cfg(feature = "object")]
pub mod object;
/// Names and descriptions of the reasons that count packets.
pub mod reason;
/// Parameters of a token bucket.
mod token_bucket;

pub use token_bucket::TokenBucket;
