//! The purposes of virtual machines.

use crate::nic::DRIVERS;

/// The purpose of a virtual machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The tests that need no emulated NIC, on two CPUs.
    KernelTests,
    /// The tests on emulated NICs, on two CPUs.
    NicTests,
    /// Both in one machine, which saves a boot.
    AllTests,
    /// Instruction counts, on one CPU whose clock counts instructions.
    InstructionCount,
}

impl Purpose {
    /// Whether the machine gets emulated NICs.
    pub(crate) fn has_nics(self) -> bool {
        matches!(self, Self::NicTests | Self::AllTests)
    }

    /// Whether the tests of this driver (`kernel` for tests without one) run in the machine.
    pub(crate) fn has_tests_of(self, driver: &str) -> bool {
        let on_nic = DRIVERS.iter().any(|known| known.name == driver);
        match self {
            Self::KernelTests => !on_nic,
            Self::NicTests => on_nic,
            Self::AllTests => true,
            Self::InstructionCount => false,
        }
    }
}
