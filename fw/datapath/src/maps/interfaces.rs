//! The map of interfaces: which slot of the counters belongs to which ifindex, and which name to
//! which slot.

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::mmap::{Mapping, word_at};
use crate::kernel::netlink::{self, Which};
use crate::maps::pinned::map_pinned;
use crate::maps::pins::PinDir;

/// The two maps as memory. Words are written whole: two threads may.
#[derive(Debug)]
pub(crate) struct InterfaceTable {
    /// By the low bits of the ifindex.
    pub(crate) words: Mapping,
    /// By slot.
    pub(crate) names: Mapping,
    /// `reason_counters`.
    pub(crate) counters: Mapping,
    /// Held while links are made or taken off.
    pub(crate) changing: Mutex<()>,
}

impl InterfaceTable {
    /// Counters of the slot begin at zero, those of all CPUs and hooks.
    fn clear_counters(&self, slot: usize) {
        let words = size_of::<abi::reason_counters>() / 8;
        let of_cpu = abi::INTERFACE_SLOTS as usize * abi::HOOKS as usize * words;
        let of_slot = abi::HOOKS as usize * words;
        for cpu in self.counters.words().chunks(of_cpu) {
            for word in cpu.iter().skip(slot * of_slot).take(of_slot) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// Router: from now on all that is forwarded is the stack's.
    pub(crate) fn hand_to_stack(&self) {
        for word in self.words.words() {
            if word.load(Ordering::Relaxed) & u64::from(abi::INTERFACE_EVALUATED) != 0 {
                word.fetch_or(abi::INTERFACE_STACK.into(), Ordering::AcqRel);
            }
        }
    }
}

const NAME_WORDS: usize = size_of::<abi::interface_name>() / 8;
/// The word after the name.
const IFINDEX: usize = word_at(offset_of!(abi::interface_name, ifindex));

fn name_at(names: &Mapping, slot: usize) -> String {
    let at = slot * NAME_WORDS;
    let words: Vec<u64> = names.words()[at..at + IFINDEX]
        .iter()
        .map(|word| word.load(Ordering::Relaxed))
        .collect();
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Gives an interface the slot of its name.
pub(crate) fn assign(table: &InterfaceTable, index: u32, name: &str) -> Result<(), DatapathError> {
    let names = &table.names;
    let slots = 1..abi::INTERFACE_SLOTS as usize;
    let slot = slots
        .clone()
        .find(|&slot| name_at(names, slot) == name)
        .or_else(|| slots.clone().find(|&slot| name_at(names, slot).is_empty()))
        // All have been used: that of a name which is not attached to any more begins anew.
        .or_else(|| {
            let mut unused = slots.clone();
            let used: BTreeSet<u64> = set_words(&table.words)
                .into_iter()
                .map(|(_, word)| word & u64::from(abi::INTERFACE_SLOT_MASK))
                .collect();
            let free = unused.find(|&slot| !used.contains(&(slot as u64)));
            free.inspect(|&slot| table.clear_counters(slot))
        })
        .ok_or_else(|| {
            DatapathError::Unsupported(format!(
                "more than {} interfaces are attached to at once",
                abi::INTERFACE_SLOTS - 1
            ))
        })?;
    let word = load(table, index);
    let other = word & u64::from(abi::INTERFACE_SLOT_MASK);
    if other != 0 && word & u64::from(abi::INTERFACE_HIGH_MASK) != high_bits(index) {
        return Err(DatapathError::Unsupported(format!(
            "its index {index} and that of {} differ by a multiple of {}; re-create it",
            name_at(names, other as usize),
            abi::IFINDEX_MAX
        )));
    }
    let mut bytes = [0_u8; size_of::<abi::interface_name>()];
    for (to, from) in bytes[..IFINDEX * 8].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let mut words: [u64; NAME_WORDS] = bytemuck::cast(bytes);
    words[IFINDEX] = index.into();
    for (word, value) in names.words()[slot * NAME_WORDS..].iter().zip(words) {
        word.store(value, Ordering::Relaxed);
    }
    let known =
        u64::from(abi::INTERFACE_SLOT_MASK | abi::INTERFACE_HIGH_MASK | abi::INTERFACE_UPPER);
    let flags = load(table, index) & !known;
    store(table, index, flags | high_bits(index) | slot as u64);
    Ok(())
}

/// The bits of an index that are in its word.
pub(crate) fn high_bits(index: u32) -> u64 {
    u64::from(index / abi::IFINDEX_MAX) << abi::INTERFACE_HIGH_SHIFT
        & u64::from(abi::INTERFACE_HIGH_MASK)
}

fn place(index: u32) -> usize {
    (index % abi::IFINDEX_MAX) as usize
}

pub(crate) fn store(table: &InterfaceTable, index: u32, word: u64) {
    table.words.words()[place(index)].store(word, Ordering::Release);
}

pub(crate) fn load(table: &InterfaceTable, index: u32) -> u64 {
    table.words.words()[place(index)].load(Ordering::Acquire)
}

/// Notes whether what an interface receives is judged at XDP.
pub(crate) fn set_judged(table: &InterfaceTable, index: u32, judged: bool) {
    let flag = u64::from(abi::INTERFACE_EVALUATED);
    let word = load(table, index) & !flag;
    if word != 0 {
        store(table, index, if judged { word | flag } else { word });
    }
}

/// Notes the addresses that frames for this machine have there.
pub(crate) fn set_macs(table: &InterfaceTable, indices: &BTreeSet<u32>) {
    for &index in indices {
        let state = netlink::interface(Which::Index(index)).ok().flatten();
        let word = load(table, index) & ((1 << abi::INTERFACE_MAC_SHIFT) - 1);
        if let Some([a, b, c, d, e, f]) = state.and_then(|state| state.mac)
            && word != 0
        {
            let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
            store(table, index, word | mac << abi::INTERFACE_MAC_SHIFT);
        }
    }
}

/// Notes whether inside addresses may come in through it.
pub(crate) fn set_external(table: &InterfaceTable, index: u32, external: bool) {
    set_flag(table, index, abi::INTERFACE_OUTSIDE, external);
}

/// Router: what the kernel asks besides the route of what comes in here.
pub(crate) fn set_forwarding(table: &InterfaceTable, index: u32, asked: Forwarding) {
    set_flag(table, index, abi::INTERFACE_RP_FILTER, asked.reverse_path);
    set_flag(table, index, abi::INTERFACE_STACK, asked.ipsec);
    set_flag(table, index, abi::INTERFACE_STACK6, !asked.ipv6);
}

/// What the kernel's forwarding asks besides the route, of what comes in through one interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forwarding {
    /// Does it look for the way back to IPv4 sources?
    pub(crate) reverse_path: bool,
    /// Is there IPsec policy?
    pub(crate) ipsec: bool,
    /// Does it forward IPv6 at all?
    pub(crate) ipv6: bool,
}

fn set_flag(table: &InterfaceTable, index: u32, flag: u32, on: bool) {
    let flag = u64::from(flag);
    let word = load(table, index) & !flag;
    store(table, index, if on { word | flag } else { word });
}

/// Interfaces that have a word.
pub(crate) fn known(table: &InterfaceTable) -> Vec<u32> {
    with_word(table, |word| !is_upper(word))
}

/// Interfaces that are marked as standing on judged ones.
pub(crate) fn uppers(table: &InterfaceTable) -> Vec<u32> {
    with_word(table, is_upper)
}

fn is_upper(word: u64) -> bool {
    word & u64::from(abi::INTERFACE_UPPER) != 0
}

fn with_word(table: &InterfaceTable, chosen: impl Fn(u64) -> bool) -> Vec<u32> {
    let words = set_words(&table.words).into_iter();
    words
        .filter(|(_, word)| chosen(*word))
        .map(|(low, word)| index_of(&table.names, low, word))
        .collect()
}

/// The whole index of a word at this place. One without a slot is known by as many bits as it has.
fn index_of(names: &Mapping, low: u32, word: u64) -> u32 {
    let slot = (word & u64::from(abi::INTERFACE_SLOT_MASK)) as usize;
    match ifindex_at(names, slot) {
        index if slot != 0 && place(index) == low as usize => index,
        _ => {
            let high = word & u64::from(abi::INTERFACE_HIGH_MASK);
            (high >> abi::INTERFACE_HIGH_SHIFT) as u32 * abi::IFINDEX_MAX + low
        }
    }
}

fn ifindex_at(names: &Mapping, slot: usize) -> u32 {
    names.words()[slot * NAME_WORDS + IFINDEX].load(Ordering::Relaxed) as u32
}

fn set_words(words: &Mapping) -> Vec<(u32, u64)> {
    let words = words.words().iter().enumerate();
    words
        .map(|(index, word)| (index as u32, word.load(Ordering::Relaxed)))
        .filter(|(_, word)| *word != 0)
        .collect()
}

/// The name that an interface was attached under.
pub(crate) fn name_of(table: &InterfaceTable, index: u32) -> String {
    let slot = load(table, index) & u64::from(abi::INTERFACE_SLOT_MASK);
    name_at(&table.names, slot as usize % abi::INTERFACE_SLOTS as usize)
}

/// Names by slot, of all interfaces that were ever attached to.
///
/// # Errors
/// If nothing is pinned.
pub(crate) fn slot_names(pins: &PinDir) -> Result<Vec<String>, DatapathError> {
    let (names, slots) = map_pinned(pins, "interface_names", size_of::<abi::interface_name>())?;
    Ok((0..slots).map(|slot| name_at(&names, slot)).collect())
}

/// The words of the interfaces that are attached to, by ifindex.
pub(crate) fn attached(pins: &PinDir) -> Result<Vec<(u32, u64)>, DatapathError> {
    let (words, _) = map_pinned(pins, "interfaces", 8)?;
    let (names, _) = map_pinned(pins, "interface_names", size_of::<abi::interface_name>())?;
    let words = set_words(&words).into_iter();
    let attached = words.filter(|(_, word)| !is_upper(*word));
    Ok(attached
        .map(|(low, word)| (index_of(&names, low, word), word))
        .collect())
}
