use super::{Config, EgressHook, FailsafeEntry, OnPolicyChange, Topology, XdpMode};

#[cfg(target_os = "linux")]
impl Config {
    /// The interfaces, as the datapath wants them.
    ///
    /// # Errors
    /// As [`Self::interfaces`].
    pub fn wanted_interfaces(
        &self,
    ) -> Result<Vec<bailey_datapath::attach::change::Interface>, String> {
        let interface =
            |(name, mode): (String, XdpMode)| bailey_datapath::attach::change::Interface {
                mode: match mode {
                    XdpMode::Native => bailey_datapath::kernel::xdp_mode::XdpMode::Native,
                    XdpMode::Generic => bailey_datapath::kernel::xdp_mode::XdpMode::Generic,
                },
                outside: self.sources.outside.contains(&name),
                name,
            };
        Ok(self.interfaces()?.into_iter().map(interface).collect())
    }

    /// What the datapath is created with.
    pub fn settings(&self) -> bailey_datapath::Settings {
        let t = &self.timeouts;
        bailey_datapath::Settings {
            flows: self.flow_table.flows,
            rules: self.limits.rules as u32,
            flow_counters: self.flow_table.counters,
            tcp_strict: self.tcp_strict,
            topology: match self.topology {
                Topology::Host => bailey_datapath::Topology::Host,
                Topology::Bridge => bailey_datapath::Topology::Bridge,
                Topology::Router => bailey_datapath::Topology::Router,
            },
            frames: self.frames.datapath(),
            inside: self.sources.inside.clone(),
            egress_hook: match self.egress_hook {
                EgressHook::Auto => bailey_datapath::EgressHook::default(),
                EgressHook::Tcx => bailey_datapath::EgressHook::Tcx,
                EgressHook::Clsact => bailey_datapath::EgressHook::Clsact,
            },
            failsafe: self.failsafe.iter().map(FailsafeEntry::datapath).collect(),
            source_flows: self.flow_table.source_flows,
            flood: bailey_datapath::Flood {
                defend: self.flood.defend,
                new_flows: self.flood.new_flows,
                source_new_flows: self.flood.source_new_flows,
            },
            last_resort: self.flow_table.last_resort,
            clock_offset: 0,
            on_policy_change: match self.on_policy_change {
                OnPolicyChange::Revalidate => bailey_datapath::OnPolicyChange::Revalidate,
                OnPolicyChange::Keep => bailey_datapath::OnPolicyChange::Keep,
            },
            timeouts: bailey_datapath::Timeouts {
                tcp_syn_sent: t.tcp_syn_sent,
                tcp_syn_recv: t.tcp_syn_recv,
                tcp_established: t.tcp_established,
                tcp_fin_wait: t.tcp_fin_wait,
                tcp_time_wait: t.tcp_time_wait,
                tcp_closed: t.tcp_closed,
                udp_new: t.udp_new,
                udp_replied: t.udp_replied,
                icmp: t.icmp,
                sctp_new: t.sctp_new,
                sctp_replied: t.sctp_replied,
                other: t.other,
                denied: t.denied,
            },
        }
    }
}

impl Config {
    /// Limits for the reader.
    pub fn read_limits(&self) -> bailey_source::ReadLimits {
        bailey_source::ReadLimits {
            file_bytes: self.read.file_bytes,
            depth: self.read.depth,
            alias_nodes: self.read.alias_nodes,
        }
    }

    /// Limits for the compiler.
    pub fn compile_limits(&self) -> bailey_compile::Limits {
        bailey_compile::Limits {
            rules: self.limits.rules,
            classes: self.limits.classes,
            table_bytes: self.limits.table_bytes,
        }
    }
}
