use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use aya::util::KernelVersion;
use bailey_bpf::abi;

use crate::bridge;
use crate::error::DatapathError;
use crate::interfaces;
use crate::link::{Link, XDP_GENERIC, XDP_NATIVE};
use crate::netlink::{self, InterfaceState, Which};
use crate::pins::{LINK, PinDir};
use crate::refusal;
use crate::settings::Topology;
use crate::shared::{Shared, classifier, xdp};
use crate::sys::{self, InterfaceFacts};

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

/// An interface to attach to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name in this network namespace.
    pub name: String,
    /// Its XDP mode.
    pub mode: XdpMode,
}

/// What happened to an interface.
#[derive(Debug)]
pub enum Change {
    /// Programs were attached.
    Attached,
    /// They were attached already, by an earlier start, and stay.
    Adopted,
    /// Programs of another build were there; these are in their place, between two packets.
    Replaced,
    /// It is in no configuration any more: taken off.
    Unconfigured,
    /// There is no such interface any more.
    Gone,
    /// It has another name now, and stays protected.
    Renamed(String),
    /// It is back under its name.
    NameBack,
    /// It went down, or its carrier did.
    Down,
    /// It is up, with a carrier.
    Up,
    /// It cannot be attached to.
    Refused(DatapathError),
}

/// A change and the interface that it is about.
#[derive(Debug)]
pub struct Event {
    /// The name of the interface in the configuration.
    pub interface: String,
    /// What happened.
    pub change: Change,
}

/// Programs on one interface.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    /// The name that it was attached under.
    name: String,
    tc: Option<Link>,
    xdp: Option<Link>,
    /// As it was last seen.
    seen: Option<(String, bool)>,
}

/// Programs on interfaces, by ifindex. The links are pinned: closing them detaches nothing.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    by_index: BTreeMap<u32, Attached>,
    /// Configured, and last seen to be missing or refusing.
    absent: BTreeMap<String, String>,
}

/// The pin of a link.
fn link_pin(pins: &PinDir, hook: &str, index: u32) -> PathBuf {
    pins.pin(&format!("{LINK}{hook}_{index}"))
}

const XDP: &str = "xdp";
const TC: &str = "tc";

/// Which hook and which interface a pin's name stands for.
pub(crate) fn parse_link_pin(name: &str) -> Option<(&str, u32)> {
    let (hook, index) = name.strip_prefix(LINK)?.split_once('_')?;
    Some((hook, index.parse().ok()?))
}

fn alive(link: Option<&Link>, index: u32) -> bool {
    link.is_some_and(|link| link.info().is_ok_and(|info| info.ifindex == index))
}

impl Attachments {
    /// Takes over what is pinned. Links of interfaces that are gone are forgotten.
    pub(crate) fn adopt(shared: &Shared) -> Self {
        let mut attachments = Self::default();
        for name in shared.pins.names() {
            let Some((hook, index)) = parse_link_pin(&name) else {
                continue;
            };
            let path = shared.pins.pin(&name);
            let link = Link::from_pin(&path).ok();
            if !alive(link.as_ref(), index) {
                let _ = std::fs::remove_file(path);
                continue;
            }
            let attached = attachments.by_index.entry(index).or_default();
            attached.name = interfaces::name_of(shared, index);
            match hook {
                XDP => attached.xdp = link,
                _ => attached.tc = link,
            }
        }
        attachments
    }

    /// Attaches what is missing, and takes off what is no longer configured. On an error nothing
    /// of this call stays.
    pub(crate) fn attach(
        &mut self,
        shared: &mut Shared,
        wanted: &[Interface],
        replace: bool,
    ) -> Result<Vec<Event>, DatapathError> {
        check_kernel()?;
        let adopted = !self.by_index.is_empty();
        let mut states = Vec::new();
        let mut events = Vec::new();
        for interface in wanted {
            match facts_of(interface) {
                Ok((state, facts)) => states.push((interface, state, facts)),
                // What is attached elsewhere must be tended whatever this one lacks.
                Err(error) if adopted => events.push(self.refused(interface, error)),
                Err(error) => return Err(error),
            }
        }
        if shared.settings.topology == Topology::Bridge {
            let sides: Vec<InterfaceState> = states.iter().map(|(_, s, _)| s.clone()).collect();
            bridge::check(&sides)?;
        }
        let mut fresh = Vec::new();
        let result = self.attach_all(shared, &states, replace, &mut fresh);
        let connected = result.and_then(|more| {
            if shared.settings.topology == Topology::Bridge {
                let indices: Vec<u32> = states.iter().map(|(_, state, _)| state.index).collect();
                bridge::connect(shared, &indices)?;
            }
            Ok(more)
        });
        match connected {
            Ok(more) => events.extend(more),
            Err(error) => {
                for (hook, index) in fresh.into_iter().rev() {
                    self.remove(shared, hook, index);
                }
                return Err(error);
            }
        }
        events.extend(self.drop_unconfigured(shared, wanted));
        Ok(events)
    }

    fn attach_all(
        &mut self,
        shared: &mut Shared,
        states: &[(&Interface, InterfaceState, InterfaceFacts)],
        replace: bool,
        fresh: &mut Vec<(&'static str, u32)>,
    ) -> Result<Vec<Event>, DatapathError> {
        // Egress first: a flow that the node opens must be known before its reply meets XDP.
        if shared.settings.topology == Topology::Host {
            for (interface, state, facts) in states {
                self.attach_tc(shared, interface, state.index, facts, fresh)?;
            }
        }
        let mut events = Vec::new();
        for (interface, state, facts) in states {
            let new = self.attach_xdp(shared, interface, state, facts, replace, fresh)?;
            let change = if new {
                Change::Attached
            } else {
                Change::Adopted
            };
            events.push(Event {
                interface: interface.name.clone(),
                change,
            });
        }
        Ok(events)
    }

    fn attach_tc(
        &mut self,
        shared: &mut Shared,
        interface: &Interface,
        index: u32,
        facts: &InterfaceFacts,
        fresh: &mut Vec<(&'static str, u32)>,
    ) -> Result<(), DatapathError> {
        let attached = self.by_index.entry(index).or_default();
        attached.name.clone_from(&interface.name);
        if alive(attached.tc.as_ref(), index) {
            return Ok(());
        }
        interfaces::assign(shared, index, &interface.name)?;
        let program = tc_program(shared)?;
        let link = Link::tcx_egress(program.as_fd(), index)
            .map_err(|error| refusal::of(interface, facts, "tcx egress", &error))?;
        pin(&link, link_pin(&shared.pins, TC, index))?;
        attached.tc = Some(link);
        fresh.push((TC, index));
        Ok(())
    }

    /// True if it was not attached before.
    fn attach_xdp(
        &mut self,
        shared: &mut Shared,
        interface: &Interface,
        state: &InterfaceState,
        facts: &InterfaceFacts,
        replace: bool,
        fresh: &mut Vec<(&'static str, u32)>,
    ) -> Result<bool, DatapathError> {
        let index = state.index;
        let attached = self.by_index.entry(index).or_default();
        attached.name.clone_from(&interface.name);
        let native = interface.mode == XdpMode::Native;
        if alive(attached.xdp.as_ref(), index) {
            if state.xdp.is_none_or(|xdp| xdp.native == native) {
                return Ok(false);
            }
            // A link cannot change its mode.
            if let Some(link) = attached.xdp.take() {
                let _ = link.detach();
            }
        }
        let _ = std::fs::remove_file(link_pin(&shared.pins, XDP, index));
        let word = interfaces::assign(shared, index, &interface.name)?;
        let program = xdp_program(shared)?;
        let create = || Link::xdp(program.as_fd(), index, interface.mode.flags());
        let link = match create() {
            Err(error) if replace && is_occupied(&error) => {
                remove_foreign(state).map_err(|error| {
                    refusal::of(interface, facts, "removing the other program", &error)
                })?;
                create()
            }
            result => result,
        };
        let link = link.map_err(|error| {
            if is_occupied(&error) {
                refusal::occupied(interface)
            } else {
                refusal::of(interface, facts, xdp_name(interface.mode), &error)
            }
        })?;
        pin(&link, link_pin(&shared.pins, XDP, index))?;
        attached.xdp = Some(link);
        attached.seen = Some((state.name.clone(), state.running));
        fresh.push((XDP, index));
        interfaces::store(shared, index, word | u64::from(abi::INTERFACE_JUDGED));
        Ok(true)
    }

    /// Names what is attached to interfaces that are in no configuration, and takes it off. One
    /// that was attached under a configured name was renamed, and stays.
    fn drop_unconfigured(&mut self, shared: &mut Shared, wanted: &[Interface]) -> Vec<Event> {
        let configured = |name: &str| wanted.iter().any(|interface| interface.name == name);
        let mut gone: Vec<(u32, String)> = Vec::new();
        for (&index, attached) in &self.by_index {
            let now = netlink::interface(Which::Index(index)).ok().flatten();
            let now = now.map_or_else(String::new, |state| state.name);
            if !configured(&attached.name) && !configured(&now) {
                gone.push((index, attached.name.clone()));
            }
        }
        gone.into_iter()
            .map(|(index, interface)| {
                self.remove(shared, XDP, index);
                self.remove(shared, TC, index);
                Event {
                    interface,
                    change: Change::Unconfigured,
                }
            })
            .collect()
    }

    fn remove(&mut self, shared: &Shared, hook: &str, index: u32) {
        let Some(attached) = self.by_index.get_mut(&index) else {
            return;
        };
        let link = if hook == XDP {
            &mut attached.xdp
        } else {
            &mut attached.tc
        };
        if let Some(link) = link.take() {
            let _ = link.detach();
        }
        let _ = std::fs::remove_file(link_pin(&shared.pins, hook, index));
        if attached.xdp.is_none() && attached.tc.is_none() {
            self.by_index.remove(&index);
            interfaces::forget(shared, index);
        }
    }

    /// Puts this build's programs in the place of those that are attached.
    pub(crate) fn replace_programs(
        &mut self,
        shared: &mut Shared,
    ) -> Result<Vec<Event>, DatapathError> {
        let (tc, xdp) = (tc_program(shared)?, xdp_program(shared)?);
        let mut events = Vec::new();
        for attached in self.by_index.values() {
            let failed = |source: io::Error| DatapathError::Interface {
                interface: attached.name.clone(),
                message: format!("cannot replace the attached program: {source}"),
            };
            if let Some(link) = &attached.tc {
                link.update(tc.as_fd()).map_err(failed)?;
            }
            if let Some(link) = &attached.xdp {
                link.update(xdp.as_fd()).map_err(failed)?;
            }
            events.push(Event {
                interface: attached.name.clone(),
                change: Change::Replaced,
            });
        }
        Ok(events)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_index.is_empty()
    }

    /// Compares what is attached with what should be, and sets right what can be. Called when an
    /// interface changed, and from time to time.
    pub(crate) fn tend(&mut self, shared: &mut Shared, wanted: &[Interface]) -> Vec<Event> {
        let mut events = self.look(shared);
        let mut sides = Vec::new();
        for interface in wanted {
            let (state, facts) = match facts_of(interface) {
                Ok(found) => found,
                Err(error) => {
                    // Renamed, it is tended under its index.
                    let renamed = self.by_index.values().any(|a| a.name == interface.name);
                    if !renamed && self.absent.get(&interface.name) != Some(&error.to_string()) {
                        events.push(self.refused(interface, error));
                    }
                    continue;
                }
            };
            sides.push(state.index);
            let known = self.by_index.get(&state.index);
            let tc_needed = shared.settings.topology == Topology::Host;
            let complete = known.is_some_and(|attached| {
                alive(attached.xdp.as_ref(), state.index)
                    && (!tc_needed || alive(attached.tc.as_ref(), state.index))
            });
            if complete {
                self.absent.remove(&interface.name);
                continue;
            }
            let mut fresh = Vec::new();
            let found = [(interface, state, facts)];
            match self.attach_all(shared, &found, false, &mut fresh) {
                Ok(_) => {
                    self.absent.remove(&interface.name);
                    events.push(Event {
                        interface: interface.name.clone(),
                        change: Change::Attached,
                    });
                }
                Err(error) => {
                    for (hook, index) in fresh.into_iter().rev() {
                        self.remove(shared, hook, index);
                    }
                    if self.absent.get(&interface.name) != Some(&error.to_string()) {
                        events.push(self.refused(interface, error));
                    }
                }
            }
        }
        if shared.settings.topology == Topology::Bridge {
            events.extend(self.tend_bridge(shared, &sides));
        }
        events
    }

    fn tend_bridge(&mut self, shared: &mut Shared, sides: &[u32]) -> Option<Event> {
        const BRIDGE: &str = "bridge";
        let Err(error) = bridge::connect(shared, sides) else {
            self.absent.remove(BRIDGE);
            return None;
        };
        let known = self.absent.insert(BRIDGE.to_owned(), error.to_string());
        let told = known.as_ref() == Some(&error.to_string());
        (!told).then(|| Event {
            interface: BRIDGE.to_owned(),
            change: Change::Refused(error),
        })
    }

    /// What became of the interfaces that are attached.
    fn look(&mut self, shared: &Shared) -> Vec<Event> {
        let mut events = Vec::new();
        let mut gone = Vec::new();
        for (&index, attached) in &mut self.by_index {
            let mut event = |change: Change| {
                events.push(Event {
                    interface: attached.name.clone(),
                    change,
                });
            };
            let Ok(state) = netlink::interface(Which::Index(index)) else {
                continue;
            };
            let Some(state) = state else {
                event(Change::Gone);
                gone.push(index);
                continue;
            };
            let now = (state.name.clone(), state.running);
            let before = attached.seen.replace(now);
            let (name, running) = before.unwrap_or_else(|| (attached.name.clone(), state.running));
            if name != state.name && state.name == attached.name {
                event(Change::NameBack);
            } else if name != state.name {
                event(Change::Renamed(state.name.clone()));
            }
            if running != state.running {
                event(if state.running {
                    Change::Up
                } else {
                    Change::Down
                });
            }
        }
        for index in gone {
            self.remove(shared, XDP, index);
            self.remove(shared, TC, index);
        }
        events
    }

    fn refused(&mut self, interface: &Interface, error: DatapathError) -> Event {
        self.absent
            .insert(interface.name.clone(), error.to_string());
        Event {
            interface: interface.name.clone(),
            change: Change::Refused(error),
        }
    }
}

fn xdp_name(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Native => "native XDP",
        XdpMode::Generic => "generic XDP",
    }
}

fn xdp_program(shared: &mut Shared) -> Result<OwnedFd, DatapathError> {
    let program = xdp(&mut shared.entry, "entry_xdp")?;
    let fd = program.fd().map_err(DatapathError::program("entry_xdp"))?;
    fd.as_fd().try_clone_to_owned().map_err(duplicate)
}

fn tc_program(shared: &mut Shared) -> Result<OwnedFd, DatapathError> {
    let program = classifier(&mut shared.entry, "entry_tc")?;
    let fd = program.fd().map_err(DatapathError::program("entry_tc"))?;
    fd.as_fd().try_clone_to_owned().map_err(duplicate)
}

fn duplicate(source: io::Error) -> DatapathError {
    DatapathError::System {
        operation: "dup",
        source,
    }
}

/// A link that cannot be pinned is closed, and its program comes off again.
fn pin(link: &Link, path: PathBuf) -> Result<(), DatapathError> {
    let _ = std::fs::remove_file(&path);
    link.pin(&path).map_err(|source| DatapathError::Map {
        name: path.display().to_string(),
        operation: "pin the link",
        source,
    })
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST))
}

/// Takes somebody else's XDP program off.
fn remove_foreign(state: &InterfaceState) -> io::Result<()> {
    let Some(xdp) = state.xdp else {
        return Ok(());
    };
    if let Some(link) = Link::xdp_of(xdp.program, state.index)? {
        return link.detach();
    }
    let mode = if xdp.native { XDP_NATIVE } else { XDP_GENERIC };
    netlink::remove_xdp(state.index, mode)
}

fn check_kernel() -> Result<(), DatapathError> {
    let version = rustix::system::uname()
        .version()
        .to_string_lossy()
        .into_owned();
    if version.contains("PREEMPT_RT") {
        return Err(DatapathError::Unsupported(
            "this kernel is PREEMPT_RT: packets could overwrite each other's per-CPU scratch; \
             use a kernel without it"
                .into(),
        ));
    }
    let tcx = KernelVersion::current().is_ok_and(|running| running >= KernelVersion::new(6, 6, 0));
    if !tcx {
        return Err(DatapathError::Unsupported(
            "this kernel has no tcx (Linux 6.6), which the egress hook needs".into(),
        ));
    }
    Ok(())
}

/// Looks an interface up; one that can be told to refuse is refused before anything is attached.
fn facts_of(interface: &Interface) -> Result<(InterfaceState, InterfaceFacts), DatapathError> {
    let fail = |message: String| DatapathError::Interface {
        interface: interface.name.clone(),
        message,
    };
    let state = netlink::interface(Which::Name(&interface.name))
        .map_err(|error| fail(error.to_string()))?
        .ok_or_else(|| {
            fail("there is no such interface; `ip link` lists those that exist".into())
        })?;
    let facts = sys::interface_facts(&interface.name).map_err(|error| fail(error.to_string()))?;
    if state.index >= abi::IFINDEX_MAX {
        return Err(fail(format!(
            "its index {} is not below {}; reboot or re-create it",
            state.index,
            abi::IFINDEX_MAX
        )));
    }
    if interface.mode == XdpMode::Native && facts.lro == Some(true) {
        return Err(fail(format!(
            "large receive offload is on, and XDP cannot see joined packets; turn it off: \
             ethtool -K {} lro off",
            interface.name
        )));
    }
    Ok((state, facts))
}
