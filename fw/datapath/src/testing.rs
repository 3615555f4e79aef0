//! Access that only tests and benchmarks need (feature `testing`).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;

use aya::maps::{HashMap, Map, MapData, MapType};
use bailey_bpf::abi;
use bailey_compile::{RuleIds, Tables};

use crate::datapath::Datapath;
use crate::error::{DatapathError, unusable};
use crate::flows::hash::FlowHash;
use crate::flows::restamp;
use crate::flows::retire::RetireStep;
use crate::flows::sweep::Sweeper;
use crate::kernel::cpu::cpus;
use crate::kernel::link::Link;
use crate::kernel::map_elements;
use crate::kernel::mmap::Mapping;
use crate::maps::control_word::ControlWord;
use crate::maps::mapped::MappedArray;
use crate::maps::pinned::open_pinned;
use crate::maps::pins::TRACE;
use crate::observe::status::is_capturing;
use crate::program::generation::LoadedGeneration;
use crate::program::probe::{ProbeAnswer, probe_frame};

/// Keys and values of a map. An array is one value without a key.
pub type Elements = BTreeMap<Vec<u8>, Vec<u8>>;

/// The id of the program that a pinned link holds.
///
/// # Errors
/// If the pin is no link.
pub fn pinned_program(pin: &Path) -> io::Result<u32> {
    Ok(Link::from_pin(pin, 0)?.info()?.program)
}

/// All elements of the maps that are pinned in a directory, by the name of the pin.
///
/// # Errors
/// If the directory or a map cannot be read.
pub fn contents_of_pins(directory: &Path) -> io::Result<BTreeMap<String, Elements>> {
    let mut contents = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Links are pinned here too.
        if name.starts_with("link_") || name.starts_with(TRACE) {
            continue;
        }
        let map = MapData::from_pin(entry.path()).map_err(io::Error::other)?;
        let elements = elements_of(&map)?;
        contents.insert(name, elements);
    }
    Ok(contents)
}

/// Methods of [`Datapath`] for tests and benchmarks.
pub trait DatapathTesting {
    /// Evaluates a frame of at least 14 bytes, as [`Datapath::probe`] does.
    ///
    /// # Errors
    /// As [`Datapath::probe`].
    fn probe_frame(&self, frame: &[u8]) -> Result<ProbeAnswer, DatapathError>;

    /// As [`Self::probe_frame`], with all values that the program returns.
    ///
    /// # Errors
    /// As [`Datapath::probe`].
    fn probe_raw(&self, frame: &[u8]) -> Result<abi::probe_answer, DatapathError>;

    /// The hash of the flow table.
    ///
    /// # Errors
    /// If its keys cannot be read.
    fn flow_hash(&self) -> Result<FlowHash, DatapathError>;

    /// Live flows by cell of their source, see [`FlowHash::source_cells`].
    ///
    /// # Errors
    /// If the counts cannot be read.
    fn source_counts(&self) -> Result<Vec<u64>, DatapathError>;

    /// Empties the flow table and the fragment records. No packet may be inside a program
    /// meanwhile.
    ///
    /// # Errors
    /// If a map cannot be opened.
    fn forget_flows(&self) -> Result<(), DatapathError>;

    /// Removes all policy programs from the slots.
    fn empty_slots(&mut self);

    /// Points the control word to another slot, with the generation unchanged.
    fn select_slot(&self, slot: u32);

    /// Removes the flow in a slot (its index in the table) until a step, as a sweeper does that is
    /// killed there. False if the slot has no flow.
    ///
    /// # Errors
    /// If the table cannot be mapped.
    fn retire_until(&self, slot: usize, step: RetireStep) -> Result<bool, DatapathError>;

    /// Tag and metadata word of a slot (its index in the table).
    ///
    /// # Errors
    /// If the table cannot be mapped.
    fn slot_words(&self, slot: usize) -> Result<(u8, u64), DatapathError>;

    /// A sweeper whose clock is ahead by so many ticks.
    ///
    /// # Errors
    /// If the maps cannot be mapped.
    fn sweeper_ahead(&self, ticks: u32) -> Result<Sweeper, DatapathError>;

    /// Whether packets take the slow path because frames are captured.
    fn is_capturing(&self) -> bool;

    /// Records whether loopback, on which test runs arrive, is external.
    fn set_test_interface_external(&self, external: bool);

    /// Advances the epoch as this many commits would. Old stamps are replaced on the way.
    ///
    /// # Errors
    /// If the flow table cannot be mapped.
    fn skip_epochs(&self, epochs: u32) -> Result<(), DatapathError>;

    /// Sets the epoch, without regard for stamps and for the last pass over the table.
    fn set_epoch(&self, epoch: u32);

    /// The epoch at which the last complete pass over the flow table began.
    fn pass_epoch(&self) -> u32;

    /// Opens the datapath once more, over the same pins.
    ///
    /// # Errors
    /// As [`Datapath::open`].
    fn open_again(&self) -> Result<Datapath, DatapathError>;

    /// Loads the policy programs of the next generation, and drops them.
    ///
    /// # Errors
    /// If the kernel refuses a map or a program.
    fn load_generation(&self, tables: &Tables) -> Result<(), DatapathError>;

    /// Stores a pattern into every word that is 0 of the values that programs address directly, except
    /// the tables. No packet may be processed afterwards.
    ///
    /// # Errors
    /// If a value cannot be mapped.
    fn fill_values(&self) -> Result<(), DatapathError>;

    /// All bytes of all pinned maps: keys and values by the name of the pin.
    ///
    /// # Errors
    /// If a map cannot be read.
    fn pinned_contents(&self) -> Result<BTreeMap<String, Elements>, DatapathError>;

    /// Instructions that the verifier processed, for each entry and policy program that was loaded
    /// last.
    fn verified_instructions(&self) -> Vec<(String, u32)>;
}

impl DatapathTesting for Datapath {
    fn probe_frame(&self, frame: &[u8]) -> Result<ProbeAnswer, DatapathError> {
        self.probe_raw(frame).map(ProbeAnswer::from)
    }

    fn probe_raw(&self, frame: &[u8]) -> Result<abi::probe_answer, DatapathError> {
        probe_frame(&self.entry, frame)
    }

    fn flow_hash(&self) -> Result<FlowHash, DatapathError> {
        FlowHash::open(&self.maps.pins)
    }

    fn source_counts(&self) -> Result<Vec<u64>, DatapathError> {
        let cells = MappedArray::<u64>::open(&self.maps.pins, "source_flows")?;
        let counts = cells.words().iter();
        Ok(counts.map(|count| count.load(Ordering::Relaxed)).collect())
    }

    fn forget_flows(&self) -> Result<(), DatapathError> {
        let pins = &self.maps.pins;
        let sources = MappedArray::<u64>::open_writable(pins, "source_flows")?;
        // Counters of rules include those of live flows, and no reader sees them go down.
        self.sweeper()?.retire_all();
        for cell in sources.words() {
            cell.store(0, Ordering::Relaxed);
        }

        type Key = [u8; size_of::<abi::fragment_key>()];
        type Record = [u8; size_of::<abi::fragment_record>()];
        let map = open_pinned(pins, "fragments", size_of::<Record>())?;
        let fragments = HashMap::<_, Key, Record>::try_from(Map::LruHashMap(map));
        let mut fragments = fragments.map_err(unusable("fragments"))?;
        let known: Vec<Key> = fragments.keys().flatten().collect();
        for key in known {
            let removed = fragments.remove(&key);
            removed.map_err(unusable("fragments"))?;
        }
        Ok(())
    }

    fn empty_slots(&mut self) {
        self.entry.empty_slots();
    }

    fn select_slot(&self, slot: u32) {
        let word = ControlWord {
            slot,
            ..ControlWord::load(&self.maps.control)
        };
        word.store(&self.maps.control);
    }

    fn retire_until(&self, slot: usize, step: RetireStep) -> Result<bool, DatapathError> {
        Ok(self.sweeper()?.retire_until(slot, step))
    }

    fn slot_words(&self, slot: usize) -> Result<(u8, u64), DatapathError> {
        Ok(self.sweeper()?.slot_words(slot))
    }

    fn sweeper_ahead(&self, ticks: u32) -> Result<Sweeper, DatapathError> {
        let mut settings = self.settings().clone();
        settings.clock_offset = settings.clock_offset.wrapping_add(ticks);
        Sweeper::open(&self.maps.pins, &settings)
    }

    fn is_capturing(&self) -> bool {
        is_capturing(&self.maps.control)
    }

    fn set_test_interface_external(&self, external: bool) {
        const LOOPBACK: u32 = 1;
        self.maps.interfaces.set_external(LOOPBACK, external);
    }

    fn skip_epochs(&self, epochs: u32) -> Result<(), DatapathError> {
        for _ in 0..epochs {
            restamp::commit(ControlWord::load(&self.maps.control), &self.maps)?;
        }
        Ok(())
    }

    fn set_epoch(&self, epoch: u32) {
        let word = ControlWord {
            epoch,
            ..ControlWord::load(&self.maps.control)
        };
        word.store(&self.maps.control);
    }

    fn pass_epoch(&self) -> u32 {
        self.maps.pass_epoch.load()
    }

    fn open_again(&self) -> Result<Datapath, DatapathError> {
        let pins = self.maps.pins.clone_handle()?;
        Self::open(pins, self.settings().clone(), RuleIds::default())
    }

    fn load_generation(&self, tables: &Tables) -> Result<(), DatapathError> {
        let word = ControlWord::load(&self.maps.control).next();
        LoadedGeneration::load(tables, word, &self.entry, &self.maps).map(drop)
    }

    fn fill_values(&self) -> Result<(), DatapathError> {
        for value in self.maps.values.list().iter().filter(|v| !v.is_table) {
            let map = self.maps.values.map(value.name).expect("it is listed");
            let memory = Mapping::writable(map.fd().as_fd(), value.size);
            let memory = memory.map_err(DatapathError::map(value.name, "map into memory"))?;
            for word in memory.words() {
                let _ = word.compare_exchange(
                    0,
                    0x5a5a_5a5a_5a5a_5a5a,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
            }
        }
        Ok(())
    }

    fn pinned_contents(&self) -> Result<BTreeMap<String, Elements>, DatapathError> {
        let names = self.maps.pinned.iter().map(|(name, _)| name);
        let contents = names.map(|name| {
            let map = MapData::from_pin(self.maps.pins.pin(name)).map_err(io::Error::other);
            let elements = map.and_then(|map| elements_of(&map));
            let elements = elements.map_err(DatapathError::map(name, "read all of"))?;
            Ok((name.clone(), elements))
        });
        contents.collect()
    }

    fn verified_instructions(&self) -> Vec<(String, u32)> {
        let names = [
            "entry_xdp",
            "entry_tc",
            "entry_probe",
            "policy_xdp",
            "policy_tc",
            "policy_probe",
        ];
        let mut newest: Vec<(String, u32)> = Vec::new();
        for info in aya::programs::loaded_programs().flatten() {
            let name = info.name_as_str().unwrap_or_default().to_owned();
            let Some(count) = info.verified_instruction_count() else {
                continue;
            };
            if names.contains(&name.as_str()) {
                newest.retain(|(known, _)| *known != name);
                newest.push((name, count));
            }
        }
        newest
    }
}

fn elements_of(map: &MapData) -> io::Result<Elements> {
    let info = map.info().map_err(io::Error::other)?;
    let kind = info.map_type().map_err(io::Error::other)?;
    let value_size = info.value_size().next_multiple_of(8) as usize;
    let fd = map.fd().as_fd();
    if kind == MapType::PerfEventArray {
        // Has descriptors, which no process can read back.
        return Ok(Elements::new());
    }
    if kind == MapType::Array {
        let memory = Mapping::readable(fd, value_size * info.max_entries() as usize)?;
        let words = memory.words().iter();
        let bytes = words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        return Ok(Elements::from([(Vec::new(), bytes.collect())]));
    }
    let copies = match kind {
        MapType::PerCpuArray => cpus().map_err(io::Error::other)? as usize,
        _ => 1,
    };
    map_elements::read(fd, info.key_size() as usize, value_size * copies)
}
