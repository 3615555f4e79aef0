//! What a process must be permitted to do before it can load and attach.

use rustix::thread::{CapabilitySet, capabilities};

use crate::error::DatapathError;

/// Fails unless this thread may load programs, read what the verifier must trust, and attach to
/// interfaces. Root in a container often may not.
pub(crate) fn check() -> Result<(), DatapathError> {
    let Ok(sets) = capabilities(None) else {
        return Ok(()); // the kernel will say it
    };
    let has = |wanted| sets.effective.contains(wanted);
    let admin = has(CapabilitySet::SYS_ADMIN);
    let needed = [
        (
            admin || has(CapabilitySet::BPF),
            "CAP_BPF",
            "load BPF programs",
        ),
        (
            admin || has(CapabilitySet::PERFMON),
            "CAP_PERFMON",
            "load BPF programs that read memory",
        ),
        (
            has(CapabilitySet::NET_ADMIN),
            "CAP_NET_ADMIN",
            "attach to interfaces",
        ),
    ];
    let missing: Vec<_> = needed.iter().filter(|(has, ..)| !has).collect();
    let Some((_, _, purpose)) = missing.first() else {
        return Ok(());
    };
    let names: Vec<&str> = missing.iter().map(|(_, name, _)| *name).collect();
    Err(DatapathError::NotPermitted(format!(
        "this process may not {purpose}: it lacks {}; run as root, with these capabilities in its \
         bounding set",
        names.join(", ")
    )))
}
