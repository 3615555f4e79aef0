use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use bailey_bpf::abi;
use bailey_config::XdpMode;

use crate::error::DatapathError;
use crate::flows::flood;
use crate::kernel::clock::Ticks;
use crate::kernel::link::Link;
use crate::kernel::netlink::{self, Which};
use crate::kernel::xdp_mode::XdpMode;
use crate::maps::control_word::{self, ControlWord};
use crate::maps::hook::Hook;
use crate::maps::interfaces;
use crate::maps::pinned::map_pinned;
use crate::maps::pins::{PinDir, link_pin, parse_link_pin};
use crate::observe::protected;

/// What enforces at the moment, as the kernel tells it: no daemon is asked.
#[derive(Debug, Clone)]
pub struct DatapathStatus {
    /// The word in force; generation 0 if no policy is.
    pub control: ControlWord,
    /// What idle times are multiplied with, in 1/256.
    pub scale: u64,
    /// Does policy only observe yet?
    pub warming_up: bool,
    /// Seconds since a flood of new flows began, if there is one.
    pub flood_seconds: Option<u64>,
    /// Interfaces with programs on them.
    pub interfaces: Vec<InterfaceStatus>,
}

/// One interface with programs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// The name it was attached under.
    pub name: String,
    /// Its name now; absent if it is gone.
    pub name_now: Option<String>,
    /// Its index.
    pub index: u32,
    /// Up, with a carrier?
    pub running: bool,
    /// Id of the XDP program, if its link holds.
    pub xdp_program: Option<u32>,
    /// How XDP runs.
    pub xdp_mode: XdpMode,
    /// Id of the egress program, if its link holds.
    pub tc_program: Option<u32>,
}

/// `scale_at` of entry.bpf.c.
fn scale_in_force(word: u64) -> u64 {
    let stamp = Ticks((word >> abi::SCALE_STAMP_SHIFT) as u32 & abi::TICK_MASK);
    if Ticks::now().since(stamp) < abi::SCALE_TICKS {
        word & u64::from(abi::SCALE_MASK)
    } else {
        u64::from(abi::SCALE_ONE)
    }
}

/// `warm_at` of entry.bpf.c.
fn warm_until(until: u64) -> bool {
    let left = (until as u32).wrapping_sub(Ticks::now().0) & abi::TICK_MASK;
    until != 0 && left <= abi::WARM_TICKS_MAX
}

/// The XDP program that is pinned for an interface of this name, if one is.
pub(crate) fn xdp_program_of(pins: &Path, name: &str) -> Option<u32> {
    let loaded = DatapathStatus::read(pins).ok()?;
    let mut interfaces = loaded.interfaces.into_iter();
    let found = interfaces.find(|i| i.name_now.as_deref() == Some(name))?;
    found.xdp_program
}

impl DatapathStatus {
    /// Looks at what is pinned in a directory.
    ///
    /// # Errors
    /// If nothing is pinned there, or another version's.
    pub fn read(directory: &Path) -> Result<Self, DatapathError> {
        let pins = PinDir::Path(directory.to_owned());
        let (control, _) = map_pinned(&pins, "control", size_of::<abi::control>())?;
        let names = interfaces::slot_names(&pins)?;
        let words: BTreeMap<u32, u64> = interfaces::attached(&pins)?.into_iter().collect();
        // By its pin, or as the kernel has it where somebody has removed the pin.
        let places: Vec<(Hook, u32)> = pins
            .names()
            .iter()
            .filter_map(|pin| parse_link_pin(pin))
            .collect();
        let pinned: BTreeMap<(Hook, u32), u32> = places
            .iter()
            .filter_map(|&(hook, index)| {
                let link = Link::from_pin(&link_pin(&pins, hook, index), index).ok()?;
                let info = link.info().ok().filter(|info| info.ifindex == index)?;
                Some(((hook, index), info.program))
            })
            .collect();
        let judged = words.iter().filter(|(_, word)| **word != 0);
        let mut indices: BTreeSet<u32> = judged.map(|(&index, _)| index).collect();
        indices.extend(places.iter().map(|(_, index)| index));
        let mut ours: Option<BTreeSet<u32>> = None;
        let mut is_ours = |program: &u32| {
            let ours = ours.get_or_insert_with(protected::programs);
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
        Ok(Self {
            control: ControlWord::load(&control),
            scale: scale_in_force(control.words()[control_word::SCALE].load(Ordering::Relaxed)),
            warming_up: warm_until(
                control.words()[control_word::WARM_UNTIL].load(Ordering::Relaxed),
            ),
            flood_seconds: flood::seconds(&pins)?,
            interfaces: found,
        })
    }

    /// The numbers of interfaces whose packets are judged.
    pub fn protected(&self) -> BTreeSet<u32> {
        let judged = self.interfaces.iter().filter(|i| i.xdp_program.is_some());
        judged.map(|interface| interface.index).collect()
    }

    /// Is any packet judged?
    pub fn is_enforcing(&self) -> bool {
        self.interfaces
            .iter()
            .any(|interface| interface.xdp_program.is_some())
    }
}
