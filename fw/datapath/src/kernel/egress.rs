use aya::util::KernelVersion;
use bailey_config::EgressHook;

/// The kernel's mechanism behind an egress program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EgressKind {
    /// tcx, Linux 6.6 and later.
    Tcx,
    /// A filter of the clsact qdisc.
    Clsact,
}

/// True if the running kernel has tcx.
pub(crate) fn has_tcx() -> bool {
    let first = KernelVersion::new(6, 6, 0);
    KernelVersion::current().is_ok_and(|running| running >= first)
}

/// The mechanism that a configured hook means on the running kernel.
pub(crate) fn resolve(hook: EgressHook) -> EgressKind {
    match hook {
        EgressHook::Tcx => EgressKind::Tcx,
        EgressHook::Clsact => EgressKind::Clsact,
        EgressHook::Auto if has_tcx() => EgressKind::Tcx,
        EgressHook::Auto => EgressKind::Clsact,
    }
}
