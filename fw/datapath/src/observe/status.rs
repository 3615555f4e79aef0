//! Status of the datapath as the kernel reports it. Needs no daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;
use std::path::Path;
use std::sync::atomic::Ordering;

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use bailey_bpf::abi;
use bailey_config::XdpMode;

use crate::error::DatapathError;
use crate::flows::flood::flood_seconds;
use crate::kernel::clock::Ticks;
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, Which};
use crate::maps::control_word::{ControlMap, ControlWord};
use crate::maps::hook::Hook;
use crate::maps::interfaces;
use crate::maps::pins::{PinDir, link_pin, parse_link_pin};
use crate::observe::protected;

/// Status of the pinned maps and attached programs.
#[derive(Debug, Clone)]
pub struct DatapathStatus {
    /// The active control word; generation 0 if no policy is active.
    pub control: ControlWord,
    /// Scale of timeouts, in 1/256.
    pub scale: u64,
    /// Whether a warm-up is active, in which policy drops nothing.
    pub warming_up: bool,
    /// Seconds since a flood of new flows began, if there is one.
    pub flood_seconds: Option<u64>,
    /// Whether a process captures frames, so that all packets take the slow path.
    pub capturing: bool,
    /// Interfaces with attached programs.
    pub interfaces: Vec<InterfaceStatus>,
}

/// An interface with attached programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Name that programs were attached under.
    pub name: String,
    /// Current name; absent if the interface was deleted.
    pub name_now: Option<String>,
    /// Its ifindex.
    pub index: u32,
    /// Whether the interface is up and has a carrier.
    pub running: bool,
    /// Id of the XDP program, if it is attached.
    pub xdp_program: Option<u32>,
    /// Mode of XDP.
    pub xdp_mode: XdpMode,
    /// Id of the egress program, if it is attached.
    pub tc_program: Option<u32>,
}

/// `timeout_scale_at` of ingress.h.
fn active_scale(word: u64) -> u64 {
    let stamp = Ticks((word >> abi::SCALE_STAMP_SHIFT) as u32 & abi::TICK_MASK);
    if Ticks::now().since(stamp) < abi::SCALE_TICKS {
        word & u64::from(abi::SCALE_MASK)
    } else {
        u64::from(abi::SCALE_ONE)
    }
}

/// `is_warm_up_at` of ingress.h.
fn is_warming_up(until: u64) -> bool {
    let left = (until as u32).wrapping_sub(Ticks::now().0) & abi::TICK_MASK;
    until != 0 && left <= abi::WARM_TICKS_MAX
}

/// Id of the pinned XDP program of the interface with this name.
pub(crate) fn xdp_program_of(pins: &Path, name: &str) -> Option<u32> {
    let status = DatapathStatus::read(pins).ok()?;
    let mut interfaces = status.interfaces.into_iter();
    let found = interfaces.find(|i| i.name_now.as_deref() == Some(name))?;
    found.xdp_program
}

/// `is_capturing` of capture.h.
pub(crate) fn is_capturing(control: &ControlMap) -> bool {
    let blocks = control.field(0, offset_of!(abi::control, blocks));
    blocks.load(Ordering::Relaxed) & u64::from(abi::BLOCKS_CAPTURE) != 0
}

impl DatapathStatus {
    /// Reads the status of the maps and programs that are pinned in a directory.
    ///
    /// # Errors
    /// If nothing is pinned there, or another version's maps.
    pub fn read(directory: &Path) -> Result<Self, DatapathError> {
        let pins = PinDir::Path(directory.to_owned());
        let control = ControlMap::open(&pins, "control")?;
        let word = |offset: usize| control.field(0, offset).load(Ordering::Relaxed);
        Ok(Self {
            control: ControlWord::load(&control),
            scale: active_scale(word(offset_of!(abi::control, scale))),
            warming_up: is_warming_up(word(offset_of!(abi::control, warm_until))),
            flood_seconds: flood_seconds(&pins)?,
            capturing: is_capturing(&control),
            interfaces: read_interfaces(&pins)?,
        })
    }

    /// The ifindexes of interfaces whose received packets are filtered.
    pub fn filtered_interfaces(&self) -> BTreeSet<u32> {
        let filtered = self.interfaces.iter().filter(|i| i.xdp_program.is_some());
        filtered.map(|interface| interface.index).collect()
    }

    /// Whether any packet is filtered.
    pub fn is_enforcing(&self) -> bool {
        self.interfaces
            .iter()
            .any(|interface| interface.xdp_program.is_some())
    }
}

/// Finds the programs by their pins, or on the interface if the pin was removed.
fn read_interfaces(pins: &PinDir) -> Result<Vec<InterfaceStatus>, DatapathError> {
    let names = interfaces::read_slot_names(pins)?;
    let words: BTreeMap<u32, u64> = interfaces::read_attached(pins)?.into_iter().collect();
    let links: Vec<(Hook, u32)> = pins
        .names()
        .iter()
        .filter_map(|pin| parse_link_pin(pin))
        .collect();
    let pinned: BTreeMap<(Hook, u32), u32> = links
        .iter()
        .filter_map(|&(hook, index)| {
            let link = Link::from_pin(&link_pin(pins, hook, index), index).ok()?;
            let info = link.info().ok().filter(|info| info.ifindex == index)?;
            Some(((hook, index), info.program))
        })
        .collect();

    let filtered = words.iter().filter(|(_, word)| **word != 0);
    let mut indices: BTreeSet<u32> = filtered.map(|(&index, _)| index).collect();
    indices.extend(links.iter().map(|(_, index)| index));

    // Reading all programs is slow, and only needed if a pin is missing.
    let mut ours: Option<BTreeSet<u32>> = None;
    let mut is_ours = |program: &u32| {
        let ours = ours.get_or_insert_with(protected::entry_program_ids);
        ours.contains(program)
    };
    let mut found = Vec::new();
    for index in indices {
        let slot = words.get(&index).unwrap_or(&0) & u64::from(abi::INTERFACE_SLOT_MASK);
        let state = netlink::interface(Which::Index(index)).ok().flatten();
        let xdp = state.as_ref().and_then(|state| state.xdp);
        let hook = |hook: Hook| pinned.get(&(hook, index)).copied();
        let attached = xdp.map(|xdp| xdp.program);
        let name_now = state.as_ref().map(|state| state.name.clone());
        found.push(InterfaceStatus {
            name: names.get(slot as usize).cloned().unwrap_or_default(),
            index,
            running: state.as_ref().is_some_and(|state| state.running),
            xdp_mode: xdp.map_or(XdpMode::Generic, |xdp| xdp.mode),
            xdp_program: hook(Hook::Xdp).or_else(|| attached.filter(&mut is_ours)),
            tc_program: hook(Hook::Tc).or_else(|| {
                let name = name_now.as_deref()?;
                let queried = SchedClassifier::query_tcx(name, TcAttachType::Egress).ok()?;
                let mut programs = queried.1.iter().map(ProgramInfo::id);
                programs.find(&mut is_ours)
            }),
            name_now,
        });
    }
    Ok(found)
}
