//! The programs on one interface. Holds links and state, and makes no decisions about other
//! interfaces.

use bailey_config::XdpMode;

use crate::attach::event::{InterfaceChange, InterfaceEvent};
use crate::kernel::link::Link;

/// State of the XDP program on an interface.
///
/// ```text
///              attach                configured mode refused,
///   Absent ─────────────▶ Attached ──previous mode restored──▶ Degraded
///     ▲                      │                                    │
///     │                      │ link lost or detached              │
///     └──────────────────────┴────────────────────────────────────┘
/// ```
///
/// From `Degraded`, configuring the running mode needs no transition: the program already runs in
/// it. When the interface is deleted, its [`Attachment`] is removed, whatever the state.
#[derive(Debug, Default)]
pub(super) enum XdpState {
    /// No program is attached.
    #[default]
    Absent,
    /// The program is attached.
    Attached(Link),
    /// The program is attached in the previous mode, because the driver refused this one.
    Degraded {
        link: Link,
        unsupported_mode: XdpMode,
    },
}

impl XdpState {
    pub(super) fn link(&self) -> Option<&Link> {
        match self {
            Self::Absent => None,
            Self::Attached(link) | Self::Degraded { link, .. } => Some(link),
        }
    }

    pub(super) fn link_mut(&mut self) -> Option<&mut Link> {
        match self {
            Self::Absent => None,
            Self::Attached(link) | Self::Degraded { link, .. } => Some(link),
        }
    }

    /// Enters `Absent` and returns the link.
    pub(super) fn take_link(&mut self) -> Option<Link> {
        match std::mem::take(self) {
            Self::Absent => None,
            Self::Attached(link) | Self::Degraded { link, .. } => Some(link),
        }
    }

    /// The mode that the driver refused.
    pub(super) fn unsupported_mode(&self) -> Option<XdpMode> {
        match self {
            Self::Absent | Self::Attached(_) => None,
            Self::Degraded {
                unsupported_mode, ..
            } => Some(*unsupported_mode),
        }
    }
}

/// The transition that the configured mode requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum XdpPlan {
    /// Attach in the configured mode.
    Attach,
    /// Stay in the current state.
    Keep,
    /// Detach and attach again: a link cannot change its mode.
    ChangeMode { previous: XdpMode },
    /// Report that the driver refused the configured mode before.
    Refuse,
}

impl XdpPlan {
    /// `current` is the mode of the program if it is attached: `None` inside if rtnetlink does not
    /// report one.
    pub(super) fn new(
        current: Option<Option<XdpMode>>,
        unsupported: Option<XdpMode>,
        wanted: XdpMode,
    ) -> Self {
        match current {
            None => Self::Attach,
            Some(_) if unsupported == Some(wanted) => Self::Refuse,
            Some(Some(previous)) if previous != wanted => Self::ChangeMode { previous },
            Some(_) => Self::Keep,
        }
    }
}

/// The programs on one interface.
#[derive(Debug, Default)]
pub(crate) struct Attachment {
    /// The name that programs were attached under.
    pub(super) name: String,
    pub(super) tc: Option<Link>,
    pub(super) xdp: XdpState,
    /// Name and whether it is running, when the interface was last polled.
    pub(super) last_seen: Option<(String, bool)>,
}

impl Attachment {
    /// Name of the interface when it was last polled.
    pub(super) fn current_name(&self) -> &str {
        self.last_seen.as_ref().map_or(&self.name, |(name, _)| name)
    }

    /// Id of the attached XDP program.
    pub(super) fn xdp_program(&self) -> Option<u32> {
        let info = self.xdp.link()?.info().ok()?;
        Some(info.program)
    }

    /// Whether XDP filters the packets that the interface receives.
    pub(super) fn is_filtered(&self) -> bool {
        self.xdp.link().is_some()
    }

    pub(super) fn has_no_program(&self) -> bool {
        self.xdp.link().is_none() && self.tc.is_none()
    }

    pub(super) fn event(&self, change: InterfaceChange) -> InterfaceEvent {
        InterfaceEvent::new(&self.name, change)
    }
}

#[cfg(test)]
mod tests {
    use XdpMode::{Generic, Native};

    use super::*;

    #[test]
    fn plan_follows_current_and_refused_modes() {
        for (current, unsupported, wanted, plan) in [
            (None, None, Native, XdpPlan::Attach),
            (Some(Some(Native)), None, Native, XdpPlan::Keep),
            (Some(None), None, Native, XdpPlan::Keep),
            (
                Some(Some(Generic)),
                None,
                Native,
                XdpPlan::ChangeMode { previous: Generic },
            ),
            (Some(Some(Generic)), Some(Native), Native, XdpPlan::Refuse),
            (Some(Some(Generic)), Some(Native), Generic, XdpPlan::Keep),
        ] {
            assert_eq!(XdpPlan::new(current, unsupported, wanted), plan);
        }
    }
}
