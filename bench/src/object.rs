//! BPF objects loaded by libbpf: all programs except Bailey's own, which Bailey loads.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use libbpf_rs::{
    Map, MapCore, MapFlags, Object, ObjectBuilder, OpenMapMut, OpenObject, Program, ProgramMut,
};

/// An ELF image with the alignment that ELF readers require.
#[repr(C, align(8))]
pub(crate) struct Aligned<T: ?Sized>(pub(crate) T);

/// Embeds an object of this crate.
macro_rules! image {
    ($name:literal) => {{
        static IMAGE: &$crate::object::Aligned<[u8]> = &$crate::object::Aligned(*include_bytes!(
            concat!(env!("OUT_DIR"), "/", $name, ".bpf.o")
        ));
        &IMAGE.0
    }};
}
pub(crate) use image;

/// Loaded programs and maps.
#[derive(Debug)]
pub(crate) struct BpfObject(Object);

impl BpfObject {
    /// Loads an object of this crate, with these map sizes.
    pub(crate) fn load_embedded(image: &[u8], sizes: &[(&str, u32)]) -> Result<Self> {
        Self::load(ObjectBuilder::default().open_memory(image)?, sizes)
    }

    /// Loads an object of this crate. `set_global` changes its sections of global variables, which
    /// it gets by name.
    pub(crate) fn load_with_globals(
        image: &[u8],
        mut set_global: impl FnMut(&str, &mut OpenMapMut<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut open = ObjectBuilder::default().open_memory(image)?;
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            set_global(&name, &mut map).with_context(|| name.clone())?;
        }
        Self::load(open, &[])
    }

    /// Loads an object file; its maps are pinned below the folder `pins` of a bpffs.
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
        Ok(Self(
            open.load()
                .context("cannot load a BPF object; run as root")?,
        ))
    }

    fn program(&self, name: &str) -> Result<Program<'_>> {
        let mut programs = self.0.progs();
        programs
            .find(|program| program.name() == OsStr::new(name))
            .with_context(|| format!("the BPF object has no program {name}"))
    }

    /// A program for a test run.
    pub(crate) fn program_mut(&self, name: &str) -> Result<ProgramMut<'_>> {
        let mut programs = self.0.progs_mut();
        programs
            .find(|program| program.name() == OsStr::new(name))
            .with_context(|| format!("the BPF object has no program {name}"))
    }

    /// A duplicate descriptor of a program, which outlives the object.
    pub(crate) fn program_fd(&self, name: &str) -> Result<OwnedFd> {
        let program = self.program(name)?;
        program.as_fd().try_clone_to_owned().context("dup")
    }

    pub(crate) fn map(&self, name: &str) -> Result<Map<'_>> {
        let mut maps = self.0.maps();
        maps.find(|map| map.name() == OsStr::new(name))
            .with_context(|| format!("the BPF object has no map {name}"))
    }

    /// Writes `count` elements; `keys` and `values` hold fixed-size items one after the other.
    pub(crate) fn fill(&self, map: &str, keys: &[u8], values: &[u8], count: usize) -> Result<()> {
        // Elements per system call, limited by the kernel's buffers.
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

    /// Sums over all CPUs of the first elements of a per-CPU array of 64-bit counters.
    pub(crate) fn percpu_sums(&self, map: &str, elements: u32) -> Result<Vec<u64>> {
        let map = self.map(map)?;
        (0..elements)
            .map(|at| {
                let values = map.lookup_percpu(&at.to_ne_bytes(), MapFlags::ANY)?;
                let values = values.context("a per-CPU array has fewer elements than requested")?;
                let words = values.iter().filter_map(|value| value.first_chunk());
                Ok(words.map(|word| u64::from_ne_bytes(*word)).sum())
            })
            .collect()
    }

    /// Writes a program into the only slot of a program array.
    pub(crate) fn set_callee(&self, array: &str, program: BorrowedFd<'_>) -> Result<()> {
        let fd = program.as_raw_fd();
        let map = self.map(array)?;
        map.update(&0_u32.to_ne_bytes(), &fd.to_ne_bytes(), MapFlags::ANY)?;
        Ok(())
    }
}
