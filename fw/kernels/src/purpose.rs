/// What a virtual machine is booted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The tests that need no cards, with two CPUs.
    Kernel,
    /// The tests on cards, likewise.
    Cards,
    /// Instruction counts, with a clock that counts instructions.
    Cost,
}
