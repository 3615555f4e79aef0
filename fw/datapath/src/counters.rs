use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use aya::maps::MapData;
use bailey_bpf::abi;

use crate::clock::Ticks;
use crate::error::DatapathError;
use crate::mapping::Mapping;
use crate::pins::PinDir;
use crate::shared::cpus;

/// Packets and their bytes at layer 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets; a frame that offload joined counts as its segments.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What one rule decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// New flows.
    pub hits: u64,
    /// Packets of all its flows.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last one came, if any did.
    pub seen: Option<Ticks>,
}

/// The counters of the programs, summed over CPUs whenever they are read.
#[derive(Debug)]
pub struct Counters {
    reasons: Mapping,
    rules: Mapping,
    cpus: usize,
    stride: usize,
}

/// Opens a pinned map of the shape that this binary expects.
pub(crate) fn open_pinned(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<(MapData, usize), DatapathError> {
    let path = pins.pin(name);
    if !path.exists() {
        let directory = path.parent().map(ToOwned::to_owned).unwrap_or_default();
        return Err(DatapathError::NotLoaded(directory));
    }
    let layout = |message: String| DatapathError::Layout { name, message };
    let map = MapData::from_pin(&path).map_err(|error| layout(error.to_string()))?;
    let info = map.info().map_err(|error| layout(error.to_string()))?;
    if info.value_size() as usize != value_size {
        return Err(layout(format!(
            "its values have {} bytes, this version expects {value_size}",
            info.value_size()
        )));
    }
    Ok((map, info.max_entries() as usize))
}

/// Maps a pinned array for reading; also returns its number of elements.
pub(crate) fn map_pinned(
    pins: &PinDir,
    name: &'static str,
    value_size: usize,
) -> Result<(Mapping, usize), DatapathError> {
    let (map, entries) = open_pinned(pins, name, value_size)?;
    let mapping = Mapping::readable(map.fd().as_fd(), entries * value_size)
        .map_err(DatapathError::map(name, "map into memory"))?;
    Ok((mapping, entries))
}

impl Counters {
    /// Opens the counters that are pinned there.
    ///
    /// # Errors
    /// If nothing is pinned, or another version's.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let cpus = cpus()? as usize;
        let (reasons, _) = map_pinned(pins, "reason_counters", size_of::<abi::reason_counters>())?;
        let (rules, entries) = map_pinned(pins, "rule_counters", size_of::<abi::rule_counter>())?;
        Ok(Self {
            reasons,
            rules,
            cpus,
            stride: entries / cpus,
        })
    }

    /// By hook and reason number, those that counted anything.
    pub fn reasons(&self) -> BTreeMap<(u32, u32), Count> {
        let mut counts: BTreeMap<(u32, u32), Count> = BTreeMap::new();
        let words = self.reasons.words();
        for region in 0..self.cpus * abi::HOOKS as usize {
            for reason in 0..abi::REASON_MAX as usize {
                let at = (region * abi::REASON_MAX as usize + reason) * 2;
                let packets = words[at].load(Ordering::Relaxed);
                if packets > 0 {
                    let hook = region as u32 % abi::HOOKS;
                    let count = counts.entry((hook, reason as u32)).or_default();
                    count.packets += packets;
                    count.bytes += words[at + 1].load(Ordering::Relaxed);
                }
            }
        }
        counts
    }

    /// What the rule of this id decided.
    pub fn rule(&self, id: u32) -> RuleCount {
        let mut count = RuleCount::default();
        let words = self.rules.words();
        for cpu in 0..self.cpus {
            let at = (cpu * self.stride + id as usize) * 4;
            let Some([hits, packets, bytes, seen]) = words.get(at..at + 4) else {
                continue;
            };
            let packets = packets.load(Ordering::Relaxed);
            count.hits += hits.load(Ordering::Relaxed);
            count.packets += packets;
            count.bytes += bytes.load(Ordering::Relaxed);
            if packets > 0 {
                let seen = Ticks(seen.load(Ordering::Relaxed) as u32);
                let newer =
                    |old: &Ticks| seen.0.wrapping_sub(old.0) & abi::TICK_MASK < abi::TICK_MASK / 2;
                if count.seen.as_ref().is_none_or(newer) {
                    count.seen = Some(seen);
                }
            }
        }
        count
    }
}
