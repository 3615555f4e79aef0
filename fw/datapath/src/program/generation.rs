//! One generation: the policy programs and their frozen tables.

use std::os::fd::AsFd;
use std::thread;

use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use bailey_compile::Tables;
use bailey_compile::tables::TableImage;

use crate::error::DatapathError;
use crate::maps::control_word::ControlWord;
use crate::maps::frozen::write_and_freeze;
use crate::maps::shared::{SharedMaps, map_data};
use crate::maps::table::map_shapes;
use crate::program::constants::{Constants, PolicyConstants};
use crate::program::entry::{EntryObject, Programs, set_slot};
use crate::program::handles::{classifier_fd, xdp_fd};
use crate::program::object::Object;

/// The loaded policy programs of one generation. Inactive until its control word is committed.
#[derive(Debug)]
pub(crate) struct LoadedGeneration {
    word: ControlWord,
    programs: Ebpf,
}

impl LoadedGeneration {
    /// Loads the policy object with these tables. The tables are frozen and read back first.
    ///
    /// # Errors
    /// If the kernel refuses a map or a program, or a table reads back differently.
    pub(crate) fn load(
        tables: &Tables,
        word: ControlWord,
        entry: &EntryObject,
        maps: &SharedMaps,
    ) -> Result<Self, DatapathError> {
        let images = tables.images();
        let constants = Constants::new(&entry.settings)?;
        let policy = PolicyConstants::new(tables, word, &entry.settings);
        let shapes = map_shapes(&entry.settings)?;
        let mut loader = EbpfLoader::new();
        constants.apply(&mut loader, &maps.pins, maps.build, &shapes);
        policy.apply(&mut loader);
        for image in &images {
            loader.map_max_entries(image.name, image.elements.max(1) as u32);
        }
        let mut programs = Object::policy().load(&mut loader, &maps.values)?;
        for TableImage { name, bytes, .. } in images {
            write_and_freeze(map_data(&programs, name)?.fd().as_fd(), name, bytes)?;
        }
        load_programs(&mut programs, entry.programs)?;
        Ok(Self { word, programs })
    }

    /// Puts the programs into the slot of the generation's word.
    ///
    /// # Errors
    /// If the kernel refuses a program.
    pub(crate) fn fill_slot(&mut self, entry: &mut EntryObject) -> Result<(), DatapathError> {
        let slot = self.word.slot;
        let [xdp_array, tc_array, probe_array] = &mut entry.policies;
        set_slot(probe_array, slot, &xdp_fd(&mut self.programs, PROBE)?)?;
        if entry.programs == Programs::All {
            let xdp = xdp_fd(&mut self.programs, "policy_xdp")?;
            set_slot(xdp_array, slot, &xdp)?;
            let tc = classifier_fd(&mut self.programs, "policy_tc")?;
            set_slot(tc_array, slot, &tc)?;
        }
        Ok(())
    }
}

/// Loads the programs in parallel: most of a commit's time is the verifier's, which works on one
/// program per thread.
fn load_programs(policy: &mut Ebpf, programs: Programs) -> Result<(), DatapathError> {
    let wanted: &[&'static str] = match programs {
        Programs::Probe => &[PROBE],
        Programs::All => &[PROBE, "policy_xdp", "policy_tc"],
    };
    let found = policy.programs_mut().filter_map(|(name, program)| {
        let name = wanted.iter().find(|known| **known == name)?;
        Some((*name, program))
    });
    let found: Vec<(&str, &mut Program)> = found.collect();
    debug_assert_eq!(found.len(), wanted.len(), "the object has them");
    thread::scope(|scope| {
        let load = |(name, program): (&'static str, &mut Program)| {
            let loaded = match program {
                Program::Xdp(program) => program.load(),
                Program::SchedClassifier(program) => program.load(),
                _ => Err(ProgramError::UnexpectedProgramType),
            };
            loaded.map_err(DatapathError::program(name))
        };
        let threads: Vec<_> = found
            .into_iter()
            .map(|program| scope.spawn(move || load(program)))
            .collect();
        let results = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect()
    })
}

const PROBE: &str = "policy_probe";
