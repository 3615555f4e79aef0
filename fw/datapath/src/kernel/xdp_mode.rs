//! Attach flags of the XDP modes.

use bailey_config::XdpMode;

/// `XDP_FLAGS_SKB_MODE`
const XDP_GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`
const XDP_NATIVE: u32 = 1 << 2;

/// The attach flag of a mode: the kernel attaches in this mode or refuses.
pub(crate) fn xdp_flags(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Native => XDP_NATIVE,
        XdpMode::Generic => XDP_GENERIC,
    }
}
