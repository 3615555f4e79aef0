//! Native or generic XDP.

/// `XDP_FLAGS_SKB_MODE`
const XDP_GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`
const XDP_NATIVE: u32 = 1 << 2;
use bailey_config::XdpMode;

/// Mode of XDP on an interface. Attaching fails if the interface does not support the configured
/// mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the kernel allocates a packet.
    #[default]
    Native,
    /// After the kernel has allocated the packet; slower, but supported by every interface.
    Generic,
}

impl XdpMode {
    /// Name in configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }

    pub(crate) fn flags(self) -> u32 {
        match self {
            Self::Native => XDP_NATIVE,
            Self::Generic => XDP_GENERIC,
        }
    }
}
