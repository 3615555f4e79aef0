use std::os::fd::AsFd;
use std::thread;

use aya::programs::{Program, ProgramError};
use aya::{Ebpf, EbpfLoader};
use bailey_bpf::object;
use bailey_compile::Tables;
use bailey_compile::tables::TableImage;
use bailey_config::OnPolicyChange;

use crate::error::DatapathError;
use crate::maps::control_word::ControlWord;
use crate::maps::frozen::write_and_freeze;
use crate::maps::table::map_shapes;
use crate::program::constants::Constants;
use crate::program::entry::{Programs, Shared};
use crate::program::handles::map_data;
use crate::settings::OnPolicyChange;

/// The policy programs of one generation, loaded, their tables written, read back and frozen.
/// Not in force until its slot is committed.
#[derive(Debug)]
pub(crate) struct LoadedGeneration {
    pub(crate) word: ControlWord,
    pub(crate) programs: Ebpf,
}

impl LoadedGeneration {
    pub(crate) fn load(
        tables: &Tables,
        word: ControlWord,
        shared: &Shared,
    ) -> Result<Self, DatapathError> {
        let settings = &shared.settings;
        let images = tables.images();
        let globals = Constants::new(settings);
        let params = tables.params;
        let keep = u32::from(settings.on_policy_change == OnPolicyChange::Keep);
        let [lpm4, lpm6] = [params.lpm4, params.lpm6].map(u32::from);
        let mut loader = EbpfLoader::new();
        let shapes = map_shapes(settings)?;
        let has_limits = u32::from(!tables.limits.is_empty());
        let tcp_strict = u32::from(settings.tcp_strict);
        globals.apply(&mut loader, &shared.pins, shared.build, &shapes);
        loader
            .override_global("GENERATION", &word.generation, true)
            .override_global("KEEP", &keep, true)
            .override_global("TCP_STRICT", &tcp_strict, true)
            .override_global("HOST_BUCKET_BITS", &params.host_bucket_bits, true)
            .override_global("HOST_KEYS", &params.host_keys[..], true)
            .override_global("LPM4", &lpm4, true)
            .override_global("LPM6", &lpm6, true)
            .override_global("DEFAULT_CLASS4", &params.default_class4, true)
            .override_global("DEFAULT_CLASS6", &params.default_class6, true)
            .override_global("ISOLATES", &params.isolates, true)
            .override_global("PEER_PAGES", &params.peer_pages, true)
            .override_global("ROW_CELLS", &params.row_cells, true)
            .override_global("PORT_PAGES", &params.port_pages, true)
            .override_global("LIMITS", &has_limits, true);
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
        load_programs(&mut programs, shared.programs)?;
        Ok(Self { word, programs })
    }
}

/// All at once: most of a commit's time is the verifier's, which takes each program by itself.
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
            .map(|one| scope.spawn(move || load(one)))
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
