//! One generation: the policy programs and their frozen tables.

use std::os::fd::AsFd;
use std::thread;

use aya::programs::{Program, ProgramError, ProgramFd};
use aya::{Ebpf, EbpfLoader};
use bailey_bpf::object;
use bailey_compile::Tables;
use bailey_compile::tables::TableImage;

use crate::error::DatapathError;
use crate::maps::control_word::ControlWord;
use crate::maps::frozen::write_and_freeze;
use crate::maps::shared::{SharedMaps, map_data};
use crate::maps::table::map_shapes;
use crate::program::constants::{Constants, PolicyConstants};
use crate::program::entry::{EntryObject, Programs};
use crate::program::handles::{classifier, xdp};

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
        let constants = Constants::new(&entry.settings);
        let policy = PolicyConstants::new(tables, word, &entry.settings);
        let shapes = map_shapes(&entry.settings)?;
        let mut loader = EbpfLoader::new();
        constants.apply(&mut loader, &maps.pins, maps.build, &shapes);
        policy.apply(&mut loader);
        for image in &images {
            loader.map_max_entries(image.name, image.elements.max(1) as u32);
        }
        let mut programs = loader
            .load(object::POLICY)
            .map_err(|error| DatapathError::Load {
                object: "policy.bpf.o",
                source: Box::new(error),
            })?;
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
        let programs = &mut self.programs;
        let failed = |error| DatapathError::program("policy")(error);
        let [xdp_array, tc_array, probe_array] = &mut entry.policies;
        let mut filled = vec![(
            probe_array,
            clone_fd(xdp(programs, PROBE)?.fd().map_err(failed)?)?,
        )];
        if entry.programs == Programs::All {
            let fd = clone_fd(xdp(programs, "policy_xdp")?.fd().map_err(failed)?)?;
            filled.push((xdp_array, fd));
            let fd = clone_fd(classifier(programs, "policy_tc")?.fd().map_err(failed)?)?;
            filled.push((tc_array, fd));
        }
        for (array, fd) in &mut filled {
            let set = array.set(self.word.slot, fd, 0);
            set.map_err(|error| DatapathError::Map {
                name: "policies".into(),
                operation: "put a program into its slot",
                source: std::io::Error::other(error),
            })?;
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

fn clone_fd(fd: &ProgramFd) -> Result<ProgramFd, DatapathError> {
    fd.try_clone().map_err(|source| DatapathError::System {
        operation: "dup",
        source,
    })
}

const PROBE: &str = "policy_probe";
