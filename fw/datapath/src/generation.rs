use std::os::fd::AsFd;

use aya::{Ebpf, EbpfLoader};
use bailey_bpf::object;
use bailey_compile::Tables;

use crate::control::ControlWord;
use crate::error::DatapathError;
use crate::frozen::write_and_freeze;
use crate::globals::Globals;
use crate::maps::map_shapes;
use crate::settings::OnPolicyChange;
use crate::shared::{Programs, Shared, classifier, map_data, xdp};

/// The policy programs of one generation, loaded, their tables written, read back and frozen.
/// Not in force until its slot is committed.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) word: ControlWord,
    pub(crate) programs: Ebpf,
}

/// Bytes of one element of each table.
fn element(name: &str) -> usize {
    use bailey_bpf::abi;
    match name {
        "host_tags" => size_of::<u64>(),
        "host_buckets" => size_of::<abi::host_bucket>(),
        "lpm4_nodes" | "lpm6_nodes" => size_of::<abi::lpm_node>(),
        "classes" => size_of::<abi::class_record>(),
        "port_classes" => size_of::<abi::port_chunk>(),
        "row_pages" | "cell_pages" => size_of::<abi::page>(),
        "limits" => size_of::<abi::rule_limit>(),
        _ => size_of::<abi::u32_chunk>(),
    }
}

impl Generation {
    pub(crate) fn load(
        tables: &Tables,
        word: ControlWord,
        shared: &Shared,
    ) -> Result<Self, DatapathError> {
        let settings = &shared.settings;
        let images = tables.images();
        let globals = Globals::new(settings);
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
            .override_global("PEER_PAGES", &params.peer_pages, true)
            .override_global("PORT_PAGES", &params.port_pages, true)
            .override_global("LIMITS", &has_limits, true);
        for (&name, image) in &images {
            loader.map_max_entries(name, (image.len() / element(name)).max(1) as u32);
        }
        let mut programs = loader
            .load(object::POLICY)
            .map_err(|error| DatapathError::Load {
                object: "policy.bpf.o",
                source: Box::new(error),
            })?;
        for (name, image) in images {
            write_and_freeze(map_data(&programs, name)?.fd().as_fd(), name, image)?;
        }
        load_programs(&mut programs, shared.programs)?;
        Ok(Self { word, programs })
    }
}

fn load_programs(policy: &mut Ebpf, programs: Programs) -> Result<(), DatapathError> {
    xdp(policy, "policy_probe")?
        .load()
        .map_err(DatapathError::program("policy_probe"))?;
    if programs == Programs::Probe {
        return Ok(());
    }
    xdp(policy, "policy_xdp")?
        .load()
        .map_err(DatapathError::program("policy_xdp"))?;
    classifier(policy, "policy_tc")?
        .load()
        .map_err(DatapathError::program("policy_tc"))
}
