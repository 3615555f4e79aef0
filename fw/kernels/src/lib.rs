//! The tests on other kernels and drivers; not shipped. The host (`bailey-kernels`) builds an
//! initramfs, boots it under qemu and writes the matrix. The guest (`bailey-guest`) is its `/init`.
//! Both share [`plan`].

/// The messages between host and guest: plans and outcomes.
pub mod plan;
