//! The compiled programs, embedded.

/// An ELF image at the alignment that ELF readers expect.
#[repr(C, align(8))]
struct Aligned<T: ?Sized>(T);

static ENTRY_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/entry.bpf.o")));
static POLICY_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/policy.bpf.o")));

/// `entry.bpf.o`: the attached programs `entry_xdp` and `entry_tc`, and `entry_probe`.
pub static ENTRY: &[u8] = &ENTRY_IMAGE.0;

/// `policy.bpf.o`: `policy_xdp`, `policy_tc` and `policy_probe`, loaded once per generation.
pub static POLICY: &[u8] = &POLICY_IMAGE.0;

static CLOCK_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/clock_probe.bpf.o")));

/// `clock_probe.bpf.o`: the XDP program `clocks`, which writes jiffies and the coarse clock over its frame.
pub static CLOCK: &[u8] = &CLOCK_IMAGE.0;

static PASS_IMAGE: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/noop.bpf.o")));

/// `noop.bpf.o`: the XDP program `pass`, for labs. A veth delivers what XDP sends only if its other end
/// receives by XDP.
pub static PASS: &[u8] = &PASS_IMAGE.0;
