use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use libbpf_rs::{Map, MapCore, MapFlags, Object, ObjectBuilder, OpenObject, Program, ProgramMut};

/// An ELF image at the alignment that ELF readers expect.
#[repr(C, align(8))]
pub(crate) struct Aligned<T: ?Sized>(pub(crate) T);

/// One of this crate's objects.
macro_rules! image {
    ($name:literal) => {{
        static IMAGE: &$crate::object::Aligned<[u8]> = &$crate::object::Aligned(*include_bytes!(
            concat!(env!("OUT_DIR"), "/", $name, ".bpf.o")
        ));
        &IMAGE.0
    }};
}
pub(crate) use image;

/// Programs and maps that libbpf has loaded: everything but Bailey, which loads itself.
#[derive(Debug)]
pub(crate) struct BpfObject(Object);

impl BpfObject {
    /// An object of this crate, with maps of these sizes.
    pub(crate) fn load_embedded(image: &[u8], sizes: &[(&str, u32)]) -> Result<Self> {
        Self::load(ObjectBuilder::default().open_memory(image)?, sizes)
    }

    /// Somebody else's object. What it pins, it pins below a folder of a bpffs.
    pub(crate) fn load_file(path: &Path, pins: &Path, sizes: &[(&str, u32)]) -> Result<Self> {
        let open = ObjectBuilder::default()
            .pin_root_path(pins)?
            .open_file(path);
        Self::load(open.with_context(|| path.display().to_string())?, sizes)
    }

    fn load(mut open: OpenObject, sizes: &[(&str, u32)]) -> Result<Self> {
        for mut map in open.maps_mut() {
            let known = sizes
                .iter()
                .find(|(name, _)| map.name() == OsStr::new(name));
            if let Some(&(_, entries)) = known {
                map.set_max_entries(entries)?;
            }
        }
        Ok(Self(open.load().context("cannot load; root is needed")?))
    }

    fn program(&self, name: &str) -> Result<Program<'_>> {
        let mut programs = self.0.progs();
        programs
            .find(|program| program.name() == OsStr::new(name))
            .with_context(|| format!("no program {name}"))
    }

    /// To be run.
    pub(crate) fn program_mut(&self, name: &str) -> Result<ProgramMut<'_>> {
        let mut programs = self.0.progs_mut();
        programs
            .find(|program| program.name() == OsStr::new(name))
            .with_context(|| format!("no program {name}"))
    }

    /// A program's descriptor, which outlives the object.
    pub(crate) fn program_fd(&self, name: &str) -> Result<OwnedFd> {
        let program = self.program(name)?;
        program.as_fd().try_clone_to_owned().context("dup")
    }

    pub(crate) fn map(&self, name: &str) -> Result<Map<'_>> {
        let mut maps = self.0.maps();
        maps.find(|map| map.name() == OsStr::new(name))
            .with_context(|| format!("no map {name}"))
    }

    /// Writes many elements of one size each, keys and values one after the other.
    pub(crate) fn fill(&self, map: &str, keys: &[u8], values: &[u8], count: usize) -> Result<()> {
        // One system call takes what fits its buffers.
        const AT_ONCE: usize = 1 << 16;
        let map = self.map(map)?;
        let (key, value) = (keys.len() / count.max(1), values.len() / count.max(1));
        for (keys, values) in keys
            .chunks(AT_ONCE * key.max(1))
            .zip(values.chunks(AT_ONCE * value.max(1)))
        {
            let count = (keys.len() / key) as u32;
            map.update_batch(keys, values, count, MapFlags::ANY, MapFlags::ANY)?;
        }
        Ok(())
    }

    /// Sums of the elements of a per-CPU array of words.
    pub(crate) fn percpu_sums(&self, map: &str, elements: u32) -> Result<Vec<u64>> {
        let map = self.map(map)?;
        (0..elements)
            .map(|at| {
                let values = map.lookup_percpu(&at.to_ne_bytes(), MapFlags::ANY)?;
                let values = values.context("no such element")?;
                let words = values.iter().filter_map(|value| value.first_chunk());
                Ok(words.map(|word| u64::from_ne_bytes(*word)).sum())
            })
            .collect()
    }

    /// Puts a program into the only place of a program array.
    pub(crate) fn set_callee(&self, array: &str, program: BorrowedFd<'_>) -> Result<()> {
        let fd = program.as_raw_fd();
        let map = self.map(array)?;
        map.update(&0_u32.to_ne_bytes(), &fd.to_ne_bytes(), MapFlags::ANY)?;
        Ok(())
    }
}
