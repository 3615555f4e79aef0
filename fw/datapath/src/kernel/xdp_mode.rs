/// `XDP_FLAGS_SKB_MODE`
const XDP_GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`
const XDP_NATIVE: u32 = 1 << 2;

/// How XDP runs on an interface; what is asked for is what happens, or attaching fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before the kernel allocates a packet.
    #[default]
    Native,
    /// After the kernel allocated the packet: any interface, slower.
    Generic,
}

impl XdpMode {
    /// Its name in configuration and output.
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
