use std::hash::{DefaultHasher, Hash, Hasher};

use aya::EbpfLoader;
use bailey_bpf::{abi, object};
use bailey_config::{Settings, Topology};

use crate::maps::pins::PinDir;
use crate::maps::shape::{bucket_bits, rule_stride};
use crate::maps::table::{BUILD_MAPS, MapShape, build_pin};
use crate::program::flood_constants::FloodConstants;
use crate::program::frame_constants::ParserConstants;
use crate::program::timeout_constants::by_state;

/// The numbers that every program is told, as loader globals want them: borrowed.
#[derive(Debug)]
pub(crate) struct Constants {
    pub(crate) bucket_bits: u32,
    pub(crate) rule_stride: u32,
    flow_counters: u32,
    source_limit: u32,
    last_resort: u32,
    bridge: u32,
    router: u32,
    clock_offset: u32,
    timeouts: [u32; abi::STATE_COUNT as usize],
    frames: ParserConstants,
    flood: FloodConstants,
}

impl Constants {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            bucket_bits: bucket_bits(settings),
            rule_stride: rule_stride(settings),
            flow_counters: u32::from(settings.flow_counters),
            source_limit: settings.flows_per_source,
            last_resort: crate::kernel::clock::ticks_of_seconds(settings.evict_live_after_seconds),
            bridge: u32::from(settings.topology == Topology::Bridge),
            router: u32::from(settings.topology == Topology::Router),
            clock_offset: settings.clock_offset,
            timeouts: by_state(&settings.timeouts),
            frames: ParserConstants::new(&settings.frames, &settings.inside),
            flood: FloodConstants::new(settings),
        }
    }

    /// Tells a loader the numbers and where the shared maps are.
    pub(crate) fn apply<'a>(
        &'a self,
        loader: &mut EbpfLoader<'a>,
        pins: &PinDir,
        build: u64,
        shapes: &[MapShape],
    ) {
        loader
            .override_global("FLOW_BUCKET_BITS", &self.bucket_bits, true)
            .override_global("RULE_STRIDE", &self.rule_stride, true)
            .override_global("FLOW_COUNTERS", &self.flow_counters, false)
            .override_global("SOURCE_LIMIT", &self.source_limit, true)
            .override_global("EVICT_LIVE_AFTER", &self.last_resort, false)
            .override_global("BRIDGE", &self.bridge, false)
            .override_global("ROUTER", &self.router, false)
            .override_global("CLOCK_OFFSET", &self.clock_offset, false)
            .override_global("TIMEOUTS", &self.timeouts[..], true);
        let frames = &self.frames;
        // Only the programs that read frames have these.
        loader
            .override_global("VLAN_ZONES", &frames.vlan_zones, false)
            .override_global("DHCP", &frames.dhcp, false)
            .override_global("ETHERTYPE_COUNT", &frames.ethertype_count, false)
            .override_global("ETHERTYPES", &frames.ethertypes[..], false)
            .override_global("TUNNEL_COUNT", &frames.tunnel_count, false)
            .override_global("TUNNEL_PORTS", &frames.tunnel_ports[..], false)
            .override_global("TUNNEL_KINDS", &frames.tunnel_kinds[..], false)
            .override_global("TUNNEL_PEER_COUNT", &frames.tunnel_peer_count, false)
            .override_global(
                "TUNNEL_PEERS",
                bytemuck::cast_slice::<_, u8>(&frames.tunnel_peers),
                false,
            )
            .override_global("INTERNAL_COUNT", &frames.inside_count, false)
            .override_global(
                "INTERNAL",
                bytemuck::cast_slice::<_, u8>(&frames.inside),
                false,
            );
        // Only the policy programs have these.
        loader
            .override_global("GROUP_COUNT", &frames.group_count, false)
            .override_global(
                "GROUPS",
                bytemuck::cast_slice::<_, u8>(&frames.groups),
                false,
            )
            .override_global("LINK_SERVICE_COUNT", &frames.link_service_count, false)
            .override_global(
                "LINK_SERVICES",
                bytemuck::cast_slice::<_, u8>(&frames.link_services),
                false,
            );
        let flood = &self.flood;
        loader
            .override_global("FLOOD_LIMIT", &flood.limit, false)
            .override_global("UNPROVEN_INTERVAL", &flood.unproven.interval, false)
            .override_global("UNPROVEN_BURST", &flood.unproven.burst, false)
            .override_global("SOURCE_INTERVAL", &flood.source.interval, false)
            .override_global("SOURCE_BURST", &flood.source.burst, false);
        for shape in shapes {
            loader
                .map_max_entries(shape.name, shape.entries)
                .map_pin_path(shape.name, pins.pin(shape.name));
        }
        for name in BUILD_MAPS {
            loader.map_pin_path(name, pins.pin(&build_pin(name, build)));
        }
    }
}

/// A number for the programs and their constants. Another number costs a replacement of the
/// attached programs, nothing more, so the standard hash will do.
pub(crate) fn build_number(settings: &Settings) -> u64 {
    let mut hasher = DefaultHasher::new();
    object::ENTRY.hash(&mut hasher);
    object::POLICY.hash(&mut hasher);
    settings.hash(&mut hasher);
    hasher.finish() | 1
}
