//! The interface map: counter slot, flags and MAC address of each ifindex, and the name that each
//! slot was assigned to.

use std::collections::BTreeSet;
use std::mem::offset_of;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bailey_bpf::abi;

use crate::error::DatapathError;
use crate::kernel::netlink::{self, Which};
use crate::maps::mapped::MappedArray;
use crate::maps::pins::PinDir;

const SLOTS: usize = abi::INTERFACE_SLOTS as usize;
const SLOT_MASK: u64 = abi::INTERFACE_SLOT_MASK as u64;
/// Bytes of `struct interface_name` that hold the name; the ifindex follows.
const NAME_BYTES: usize = offset_of!(abi::interface_name, ifindex);

/// The maps `interfaces`, `interface_names` and `reason_counters`. Words are stored whole, because
/// the reconciler and the hotplug thread both write them.
#[derive(Debug)]
pub(crate) struct InterfaceMap {
    words: MappedArray<u64>,
    names: MappedArray<abi::interface_name>,
    counters: MappedArray<abi::reason_counters>,
    /// Held while links are created or detached.
    pub(crate) changing: Mutex<()>,
}

/// Checks of the kernel's forwarding path, besides the route, for packets received on one
/// interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForwardingChecks {
    /// The reverse path of IPv4 sources is checked.
    pub(crate) reverse_path: bool,
    /// There is IPsec policy.
    pub(crate) ipsec: bool,
    /// IPv6 is forwarded at all.
    pub(crate) ipv6: bool,
}

impl InterfaceMap {
    pub(crate) fn new(
        words: MappedArray<u64>,
        names: MappedArray<abi::interface_name>,
        counters: MappedArray<abi::reason_counters>,
    ) -> Self {
        Self {
            words,
            names,
            counters,
            changing: Mutex::new(()),
        }
    }

    /// Assigns an interface the counter slot of its name.
    ///
    /// # Errors
    /// If all slots are in use, or the low bits of the ifindex belong to another interface.
    pub(crate) fn assign_slot(&self, index: u32, name: &str) -> Result<(), DatapathError> {
        let slot = self.slot_for(name)?;
        let word = self.load(index);
        let other = word & SLOT_MASK;
        if other != 0 && word & u64::from(abi::INTERFACE_HIGH_MASK) != high_bits(index) {
            return Err(DatapathError::Unsupported(format!(
                "ifindex {index} and that of {} differ by a multiple of {}; re-create the interface",
                name_at(&self.names, other as usize),
                abi::IFINDEX_MAX
            )));
        }
        let mut bytes = [0_u8; NAME_BYTES];
        for (to, from) in bytes.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        let entry = abi::interface_name {
            word: bytemuck::cast(bytes),
            ifindex: index.into(),
            spare: 0,
        };
        self.names.write(slot, &entry, Ordering::Relaxed);
        let replaced =
            u64::from(abi::INTERFACE_SLOT_MASK | abi::INTERFACE_HIGH_MASK | abi::INTERFACE_UPPER);
        let flags = self.load(index) & !replaced;
        self.store(index, flags | high_bits(index) | slot as u64);
        Ok(())
    }

    /// The slot that has this name; else one never used; else one whose interface is not attached,
    /// with its counters reset.
    fn slot_for(&self, name: &str) -> Result<usize, DatapathError> {
        let mut slots = 1..SLOTS;
        let named = |name: &str| {
            slots
                .clone()
                .find(|&slot| name_at(&self.names, slot) == name)
        };
        if let Some(slot) = named(name).or_else(|| named("")) {
            return Ok(slot);
        }
        let used: BTreeSet<u64> = nonzero_words(&self.words)
            .into_iter()
            .map(|(_, word)| word & SLOT_MASK)
            .collect();
        let free = slots.find(|&slot| !used.contains(&(slot as u64)));
        free.inspect(|&slot| self.clear_counters(slot))
            .ok_or_else(|| {
                DatapathError::Unsupported(format!(
                    "more than {} interfaces are attached at once",
                    SLOTS - 1
                ))
            })
    }

    /// Resets the reason counters of a slot, on all CPUs and hooks.
    fn clear_counters(&self, slot: usize) {
        const HOOKS: usize = abi::HOOKS as usize;
        for cpu in 0..self.counters.len() / (SLOTS * HOOKS) {
            for hook in 0..HOOKS {
                self.counters.clear((cpu * SLOTS + slot) * HOOKS + hook);
            }
        }
    }

    /// Router: leaves the forwarding of every packet to the kernel network stack.
    pub(crate) fn forward_by_stack(&self) {
        for word in self.words.words() {
            if word.load(Ordering::Relaxed) & u64::from(abi::INTERFACE_EVALUATED) != 0 {
                word.fetch_or(abi::INTERFACE_STACK.into(), Ordering::AcqRel);
            }
        }
    }

    fn word(&self, index: u32) -> &AtomicU64 {
        &self.words.words()[low_bits(index)]
    }

    pub(crate) fn store(&self, index: u32, word: u64) {
        self.word(index).store(word, Ordering::Release);
    }

    pub(crate) fn load(&self, index: u32) -> u64 {
        self.word(index).load(Ordering::Acquire)
    }

    /// Whether a counter slot is assigned to the interface.
    pub(crate) fn has_slot(&self, index: u32) -> bool {
        self.load(index) & SLOT_MASK != 0
    }

    /// Records whether XDP filters the packets that an interface receives.
    pub(crate) fn set_filtered(&self, index: u32, filtered: bool) {
        let flag = u64::from(abi::INTERFACE_EVALUATED);
        let word = self.load(index) & !flag;
        if word != 0 {
            self.store(index, if filtered { word | flag } else { word });
        }
    }

    /// Records the current MAC address of each interface.
    pub(crate) fn update_macs(&self, indices: &BTreeSet<u32>) {
        for &index in indices {
            let state = netlink::interface(Which::Index(index)).ok().flatten();
            let word = self.load(index) & ((1 << abi::INTERFACE_MAC_SHIFT) - 1);
            if let Some([a, b, c, d, e, f]) = state.and_then(|state| state.mac)
                && word != 0
            {
                let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
                self.store(index, word | mac << abi::INTERFACE_MAC_SHIFT);
            }
        }
    }

    /// Records whether an interface is external: internal source addresses received on it are
    /// spoofed.
    pub(crate) fn set_external(&self, index: u32, external: bool) {
        self.set_flag(index, abi::INTERFACE_EXTERNAL, external);
    }

    /// Router: records the checks that the kernel makes on packets received on an interface.
    pub(crate) fn set_forwarding_checks(&self, index: u32, checks: ForwardingChecks) {
        self.set_flag(index, abi::INTERFACE_RP_FILTER, checks.reverse_path);
        self.set_flag(index, abi::INTERFACE_STACK, checks.ipsec);
        self.set_flag(index, abi::INTERFACE_STACK6, !checks.ipv6);
    }

    fn set_flag(&self, index: u32, flag: u32, on: bool) {
        let flag = u64::from(flag);
        let word = self.load(index) & !flag;
        self.store(index, if on { word | flag } else { word });
    }

    /// The ifindexes that have a word, without stacked devices.
    pub(crate) fn known_indices(&self) -> Vec<u32> {
        self.indices_where(|word| !is_stacked(word))
    }

    /// The ifindexes that are marked as stacked on filtered interfaces.
    pub(crate) fn stacked_indices(&self) -> Vec<u32> {
        self.indices_where(is_stacked)
    }

    fn indices_where(&self, chosen: impl Fn(u64) -> bool) -> Vec<u32> {
        let words = nonzero_words(&self.words).into_iter();
        words
            .filter(|(_, word)| chosen(*word))
            .map(|(low, word)| index_of(&self.names, low, word))
            .collect()
    }

    /// The name that the slot of an interface was assigned to.
    pub(crate) fn name_of(&self, index: u32) -> String {
        let slot = (self.load(index) & SLOT_MASK) as usize;
        name_at(&self.names, slot % SLOTS)
    }
}

/// The bits of an ifindex that its word holds; its position in the map holds the others.
pub(crate) fn high_bits(index: u32) -> u64 {
    u64::from(index / abi::IFINDEX_MAX) << abi::INTERFACE_HIGH_SHIFT
        & u64::from(abi::INTERFACE_HIGH_MASK)
}

fn low_bits(index: u32) -> usize {
    (index % abi::IFINDEX_MAX) as usize
}

fn is_stacked(word: u64) -> bool {
    word & u64::from(abi::INTERFACE_UPPER) != 0
}

fn name_at(names: &MappedArray<abi::interface_name>, slot: usize) -> String {
    let entry = names.read(slot);
    let bytes: &[u8] = bytemuck::cast_slice(&entry.word);
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The whole ifindex of a word. Without a slot, only the bits that the word holds are known.
fn index_of(names: &MappedArray<abi::interface_name>, low: u32, word: u64) -> u32 {
    let slot = (word & SLOT_MASK) as usize;
    let named = names.read(slot).ifindex as u32;
    if slot != 0 && low_bits(named) == low as usize {
        return named;
    }
    let high = word & u64::from(abi::INTERFACE_HIGH_MASK);
    (high >> abi::INTERFACE_HIGH_SHIFT) as u32 * abi::IFINDEX_MAX + low
}

fn nonzero_words(words: &MappedArray<u64>) -> Vec<(u32, u64)> {
    let words = words.words().iter().enumerate();
    words
        .map(|(index, word)| (index as u32, word.load(Ordering::Relaxed)))
        .filter(|(_, word)| *word != 0)
        .collect()
}

/// Names by slot, of all interfaces that were ever attached to.
///
/// # Errors
/// If nothing is pinned.
pub(crate) fn read_slot_names(pins: &PinDir) -> Result<Vec<String>, DatapathError> {
    let names = MappedArray::open(pins, "interface_names")?;
    Ok((0..names.len()).map(|slot| name_at(&names, slot)).collect())
}

/// The ifindex and word of each interface that programs are attached to.
///
/// # Errors
/// If nothing is pinned.
pub(crate) fn read_attached(pins: &PinDir) -> Result<Vec<(u32, u64)>, DatapathError> {
    let words = MappedArray::open(pins, "interfaces")?;
    let names = MappedArray::open(pins, "interface_names")?;
    let words = nonzero_words(&words).into_iter();
    let attached = words.filter(|(_, word)| !is_stacked(*word));
    Ok(attached
        .map(|(low, word)| (index_of(&names, low, word), word))
        .collect())
}
