//! The compiled BPF programs, embedded in the binary.

/// An ELF image at the alignment that ELF readers expect.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static ENTRY_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/entry.bpf.o")));
static POLICY_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/policy.bpf.o")));
static CLOCK_PROBE_IMAGE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
    env!("OUT_DIR"),
    "/clock_probe.bpf.o"
)));
static NOOP_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/noop.bpf.o")));

/// `entry.bpf.o`: the attached programs `entry_xdp` and `entry_tc`, and `entry_probe`.
pub static ENTRY: &[u8] = &ENTRY_IMAGE.0;

/// `policy.bpf.o`: `policy_xdp`, `policy_tc` and `policy_probe`, loaded once per generation.
pub static POLICY: &[u8] = &POLICY_IMAGE.0;

/// `clock_probe.bpf.o`: the XDP program `clocks`, which writes jiffies and the coarse clock over
/// its frame.
pub static CLOCK_PROBE: &[u8] = &CLOCK_PROBE_IMAGE.0;

/// `noop.bpf.o`: the XDP program `pass`, for labs. A veth delivers frames that XDP sends only if
/// its peer has an XDP program.
pub static NOOP: &[u8] = &NOOP_IMAGE.0;
