//! Capabilities that loading and attaching require.

use rustix::thread::{CapabilitySet, capabilities};

use crate::error::DatapathError;

/// Checks that this thread has the capabilities to load programs and attach them. Root in a
/// container often lacks them.
///
/// # Errors
/// With the missing capabilities.
pub(crate) fn check() -> Result<(), DatapathError> {
    let Ok(sets) = capabilities(None) else {
        return Ok(()); // the system call that needs the capability fails
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
