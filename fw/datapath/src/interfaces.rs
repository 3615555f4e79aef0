//! The map of interfaces: which slot of the counters belongs to which ifindex, and which name to
//! which slot.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use bailey_bpf::abi;

use crate::counters::map_pinned;
use crate::error::DatapathError;
use crate::mapping::Mapping;
use crate::netlink::{self, Which};
use crate::nic;
use crate::pins::PinDir;
use crate::shared::Shared;

const NAME_WORDS: usize = size_of::<abi::interface_name>() / 8;

fn name_at(names: &Mapping, slot: usize) -> String {
    let at = slot * NAME_WORDS;
    let words: Vec<u64> = names.words()[at..at + NAME_WORDS]
        .iter()
        .map(|word| word.load(Ordering::Relaxed))
        .collect();
    let bytes: &[u8] = bytemuck::cast_slice(&words);
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Gives an interface the slot of its name.
pub(crate) fn assign(shared: &Shared, index: u32, name: &str) -> Result<(), DatapathError> {
    let names = &shared.interface_names;
    let slots = 1..abi::INTERFACE_SLOTS as usize;
    let slot = slots
        .clone()
        .find(|&slot| name_at(names, slot) == name)
        .or_else(|| slots.clone().find(|&slot| name_at(names, slot).is_empty()))
        .ok_or_else(|| {
            DatapathError::Unsupported(format!(
                "more than {} interfaces have been attached to since the maps were created",
                abi::INTERFACE_SLOTS - 1
            ))
        })?;
    let mut bytes = [0_u8; size_of::<abi::interface_name>()];
    for (to, from) in bytes.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let words: [u64; NAME_WORDS] = bytemuck::cast(bytes);
    for (word, value) in names.words()[slot * NAME_WORDS..].iter().zip(words) {
        word.store(value, Ordering::Relaxed);
    }
    let flags = shared.interfaces.words()[index as usize].load(Ordering::Relaxed)
        & !u64::from(abi::INTERFACE_SLOT_MASK | abi::INTERFACE_UPPER);
    store(shared, index, flags | slot as u64);
    Ok(())
}

pub(crate) fn store(shared: &Shared, index: u32, word: u64) {
    shared.interfaces.words()[index as usize].store(word, Ordering::Release);
}

pub(crate) fn load(shared: &Shared, index: u32) -> u64 {
    shared.interfaces.words()[index as usize].load(Ordering::Acquire)
}

/// Notes whether what an interface receives is judged at XDP.
pub(crate) fn set_judged(shared: &Shared, index: u32, judged: bool) {
    let flag = u64::from(abi::INTERFACE_JUDGED);
    let word = load(shared, index) & !flag;
    if word != 0 {
        store(shared, index, if judged { word | flag } else { word });
    }
}

/// Notes the addresses that frames for this machine have there.
pub(crate) fn set_macs(shared: &Shared, indices: &BTreeSet<u32>) {
    for &index in indices {
        let state = netlink::interface(Which::Index(index)).ok().flatten();
        let word = load(shared, index) & ((1 << abi::INTERFACE_MAC_SHIFT) - 1);
        if let Some([a, b, c, d, e, f]) = state.and_then(|state| state.mac)
            && word != 0
        {
            let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
            store(shared, index, word | mac << abi::INTERFACE_MAC_SHIFT);
        }
    }
}

/// Notes whether inside addresses may come in through it.
pub(crate) fn set_outside(shared: &Shared, index: u32, outside: bool) {
    set_flag(shared, index, abi::INTERFACE_OUTSIDE, outside);
}

/// Router: what the kernel asks besides the route of what comes in here.
pub(crate) fn set_forwarding(shared: &Shared, index: u32, reverse_path: bool, ipsec: bool) {
    set_flag(shared, index, abi::INTERFACE_RP_FILTER, reverse_path);
    set_flag(shared, index, abi::INTERFACE_STACK, ipsec);
}

fn set_flag(shared: &Shared, index: u32, flag: u32, on: bool) {
    let flag = u64::from(flag);
    let word = load(shared, index) & !flag;
    store(shared, index, if on { word | flag } else { word });
}

/// Interfaces that have a word.
pub(crate) fn known(shared: &Shared) -> Vec<u32> {
    with_word(shared, |word| !is_upper(word))
}

/// Interfaces that are marked as standing on judged ones.
pub(crate) fn uppers(shared: &Shared) -> Vec<u32> {
    with_word(shared, is_upper)
}

fn is_upper(word: u64) -> bool {
    word & u64::from(abi::INTERFACE_UPPER) != 0
}

fn with_word(shared: &Shared, chosen: impl Fn(u64) -> bool) -> Vec<u32> {
    let words = set_words(&shared.interfaces).into_iter();
    words
        .filter(|(_, word)| chosen(*word))
        .map(|(index, _)| index)
        .collect()
}

fn set_words(words: &Mapping) -> Vec<(u32, u64)> {
    let words = words.words().iter().enumerate();
    words
        .map(|(index, word)| (index as u32, word.load(Ordering::Relaxed)))
        .filter(|(_, word)| *word != 0)
        .collect()
}

pub(crate) fn forget(shared: &Shared, index: u32) {
    nic::restore(index, load(shared, index));
    store(shared, index, 0);
}

/// The name that an interface was attached under.
pub(crate) fn name_of(shared: &Shared, index: u32) -> String {
    let slot = load(shared, index) & u64::from(abi::INTERFACE_SLOT_MASK);
    name_at(
        &shared.interface_names,
        slot as usize % abi::INTERFACE_SLOTS as usize,
    )
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
    let mut words = set_words(&words);
    words.retain(|(_, word)| !is_upper(*word));
    Ok(words)
}
