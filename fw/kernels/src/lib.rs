//! The tests on other kernels and drivers. [`plan`] is what host and guest tell each other; the host
//! (`bailey-kernels`) builds an initramfs, boots it under qemu and writes the matrix; the guest
//! (`bailey-guest`) is its `/init`.

/// What the guest is to do, and what became of it.
pub mod plan;
