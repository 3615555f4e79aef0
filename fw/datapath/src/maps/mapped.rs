//! Typed views of BPF arrays that are mapped into memory. Elements are chosen by index and fields
//! by `offset_of!`, so that no caller repeats a structure's layout as a number. A table may be one value
//! or an array of smaller ones: its elements have the same indices in both shapes.

use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::MapData;
use bytemuck::Pod;

use crate::error::DatapathError;
use crate::kernel::mmap::Mapping;
use crate::maps::pinned::{open_pinned, open_pinned_table};
use crate::maps::pins::PinDir;

const WORD: usize = size_of::<u64>();

/// An array of `T` that is shared with the kernel. All access is atomic, one 64-bit word at a time.
#[derive(Debug)]
pub(crate) struct MappedArray<T> {
    memory: Mapping,
    elements: PhantomData<fn() -> T>,
}

impl<T: Pod> MappedArray<T> {
    /// Words per element. BPF rounds values up to 8 bytes; every mapped structure is a multiple.
    const WORDS: usize = {
        assert!(size_of::<T>() > 0 && size_of::<T>().is_multiple_of(WORD));
        size_of::<T>() / WORD
    };

    /// Maps a pinned array for reading.
    ///
    /// # Errors
    /// If the array is not pinned, or its values have another size than `T`.
    pub(crate) fn open(pins: &PinDir, name: &'static str) -> Result<Self, DatapathError> {
        let map = open_pinned(pins, name, size_of::<T>())?;
        Self::readable(&map, name)
    }

    /// Maps a pinned array for reading and writing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_writable(pins: &PinDir, name: &'static str) -> Result<Self, DatapathError> {
        let map = open_pinned(pins, name, size_of::<T>())?;
        Self::of_map(&map, name)
    }

    /// Maps a pinned table, whose values are arrays of `T`, for reading.
    ///
    /// # Errors
    /// If the table is not pinned, or the size of its values is no multiple of that of `T`.
    pub(crate) fn open_table(pins: &PinDir, name: &'static str) -> Result<Self, DatapathError> {
        let map = open_pinned_table(pins, name, size_of::<T>())?;
        Self::readable(&map, name)
    }

    /// Maps a pinned table for reading and writing.
    ///
    /// # Errors
    /// As [`Self::open_table`].
    pub(crate) fn open_writable_table(
        pins: &PinDir,
        name: &'static str,
    ) -> Result<Self, DatapathError> {
        let map = open_pinned_table(pins, name, size_of::<T>())?;
        Self::of_map(&map, name)
    }

    /// Maps an open array or table for reading and writing.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn of_map(map: &MapData, name: &str) -> Result<Self, DatapathError> {
        let bytes = bytes_of_map(map, name)?;
        Self::new(name, Mapping::writable(map.fd().as_fd(), bytes))
    }

    fn readable(map: &MapData, name: &str) -> Result<Self, DatapathError> {
        let bytes = bytes_of_map(map, name)?;
        Self::new(name, Mapping::readable(map.fd().as_fd(), bytes))
    }

    fn new(name: &str, memory: std::io::Result<Mapping>) -> Result<Self, DatapathError> {
        Ok(Self {
            memory: memory.map_err(DatapathError::map(name, "map into memory"))?,
            elements: PhantomData,
        })
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.memory.words().len() / Self::WORDS
    }

    /// The word of an element at a byte offset within it, as `offset_of!` returns it.
    pub(crate) fn field(&self, index: usize, offset: usize) -> &AtomicU64 {
        debug_assert!(offset < size_of::<T>() && offset.is_multiple_of(WORD));
        &self.memory.words()[index * Self::WORDS + offset / WORD]
    }

    /// As [`Self::field`]; `None` if there is no such element.
    pub(crate) fn get_field(&self, index: usize, offset: usize) -> Option<&AtomicU64> {
        (index < self.len()).then(|| self.field(index, offset))
    }

    /// Copies a part of an element, word by word. Concurrent writers may tear it.
    pub(crate) fn read_part<P: Pod>(&self, index: usize, offset: usize) -> P {
        let mut part = P::zeroed();
        let at = index * Self::WORDS + offset / WORD;
        let words = self.memory.words()[at..at + size_of::<P>() / WORD].iter();
        let (chunks, _) = bytemuck::bytes_of_mut(&mut part).as_chunks_mut::<WORD>();
        for (to, word) in chunks.iter_mut().zip(words) {
            *to = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        part
    }

    /// Copies an element, word by word. Concurrent writers may tear it.
    pub(crate) fn read(&self, index: usize) -> T {
        self.read_part(index, 0)
    }

    /// Writes an element, word by word, in order.
    pub(crate) fn write(&self, index: usize, value: &T, ordering: Ordering) {
        let (chunks, _) = bytemuck::bytes_of(value).as_chunks::<WORD>();
        let words = &self.memory.words()[index * Self::WORDS..];
        for (to, word) in words.iter().zip(chunks) {
            to.store(u64::from_ne_bytes(*word), ordering);
        }
    }

    /// Sets an element to zero; does nothing if there is no such element.
    pub(crate) fn clear(&self, index: usize) {
        if index < self.len() {
            self.write(index, &T::zeroed(), Ordering::Relaxed);
        }
    }
}

impl MappedArray<u64> {
    /// The elements of an array of plain words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.memory.words()
    }
}

fn bytes_of_map(map: &MapData, name: &str) -> Result<usize, DatapathError> {
    let info = map.info().map_err(|error| DatapathError::Map {
        name: name.to_owned(),
        operation: "read the size of",
        source: std::io::Error::other(error),
    })?;
    // BPF rounds the size of values up to whole words.
    let stride = (info.value_size() as usize).next_multiple_of(WORD);
    Ok(info.max_entries() as usize * stride)
}
