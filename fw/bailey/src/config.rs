use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::args::ConfigFile;
use crate::nearest::nearest;
use crate::prefix::parse_or_address;

/// `bailey.toml` as it is written. Every option has a default; the shipped
/// `configs/bailey.toml` spells the defaults out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Interfaces to attach to; at least one.
    pub interfaces: Vec<InterfaceEntry>,
    /// XDP mode of interfaces that name none.
    pub xdp_mode: XdpMode,
    /// Where the interfaces stand in the network.
    pub topology: Topology,
    /// Files and directories with policies and inventory.
    pub policies: Vec<PathBuf>,
    /// Read sub-directories of `policies` too?
    pub recursive: bool,
    /// Accept that a path vanishes, or that the last policy goes away?
    pub allow_empty: bool,
    /// Warn about unknown fields and loosely written CIDRs instead of refusing them?
    pub lenient: bool,
    /// What becomes of established flows when policy changes.
    pub on_policy_change: OnPolicyChange,
    /// Does only a SYN open a TCP flow?
    pub tcp_strict: bool,
    /// Where what the machine sends is judged.
    pub egress_hook: EgressHook,
    /// What passes whatever policy says.
    pub failsafe: Vec<FailsafeEntry>,
    /// What closes an interface that carries no program.
    pub guard: Guard,
    /// Watching `policies`.
    pub watch: Watch,
    /// The first start, and each after a reboot.
    pub boot: Boot,
    /// Limits on what is read.
    pub read: Read,
    /// Limits on what is compiled.
    pub limits: Limits,
    /// Seconds after the first attachment during which policy only observes.
    pub warm_up: u32,
    /// What is declared of addresses beside the objects.
    pub inventory: Inventory,
    /// How frames are read.
    pub frames: Frames,
    /// Where addresses of the inside must not come from.
    pub sources: Sources,
    /// The flow table.
    pub flow_table: FlowTable,
    /// What happens while more flows are opened than the table can take.
    pub flood: Flood,
    /// Idle times of flows, in seconds.
    pub timeouts: Timeouts,
    /// The control socket.
    pub control: Control,
    /// Where Bailey keeps things.
    pub paths: Paths,
    /// Logging.
    pub log: Log,
}

/// An interface: its name alone, or with a mode of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InterfaceEntry {
    /// `"eth0"`
    Name(String),
    /// `{ name = "eth0", xdp_mode = "generic" }`
    Full {
        /// Its name.
        name: String,
        /// Its mode; `xdp_mode` of the top level if absent.
        xdp_mode: Option<XdpMode>,
    },
}

/// How XDP runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// In the driver.
    #[default]
    Native,
    /// In the stack, where the driver cannot.
    Generic,
}

/// Where the interfaces stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// NICs of a node that routes to workloads behind it.
    #[default]
    Host,
    /// A bump in the wire between two NICs.
    Bridge,
    /// A node that routes between NICs.
    Router,
}

/// Where what the machine sends is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EgressHook {
    /// tcx where the kernel has it, else clsact.
    #[default]
    Auto,
    /// tcx, or an error.
    Tcx,
    /// A filter of the clsact qdisc.
    Clsact,
}

/// `{ cidr = "192.0.2.0/24", port = 22 }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailsafeEntry {
    /// The peers.
    #[serde(with = "crate::prefix::one")]
    pub cidr: ipnet::IpNet,
    /// The port of this side.
    pub port: u16,
    /// TCP, unless it says UDP.
    #[serde(default)]
    pub protocol: FailsafeProtocol,
}

/// Protocols that failsafe entries can have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FailsafeProtocol {
    #[default]
    Tcp,
    Udp,
}

/// Established flows on a policy change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPolicyChange {
    /// Judged once more at their next packet.
    #[default]
    Revalidate,
    /// They live on.
    Keep,
}

/// `[watch]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Watch {
    pub settle_ms: u64,
    pub rescan_ms: u64,
    pub write_timeout_ms: u64,
}

/// What closes an interface of the configuration while it carries no program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Nothing.
    #[default]
    Off,
    /// A table of nftables.
    Nftables,
}

/// `[boot]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Boot {
    pub without_policy: WithoutPolicy,
}

/// What holds where nothing is in force and the policies are invalid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutPolicy {
    /// Nothing is attached; every packet passes.
    #[default]
    Open,
    /// Programs are attached, and nothing passes but the failsafe.
    FailsafeOnly,
}

/// `[read]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Read {
    pub file_bytes: u64,
    pub depth: usize,
    pub alias_nodes: usize,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Limits {
    pub rules: usize,
    pub classes: usize,
    pub table_bytes: usize,
}

/// `[frames]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Frames {
    pub vlan_zones: bool,
    pub dhcp: bool,
    pub ethertypes: Vec<u16>,
    pub groups: Vec<Group>,
    pub link_local: Vec<LinkService>,
    pub tunnels: Vec<Tunnel>,
}

/// `{ kind = "vxlan", port = 4789, peers = ["192.0.2.0/24"] }`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tunnel {
    /// What follows the UDP header.
    pub kind: TunnelKind,
    /// The destination port.
    pub port: u16,
    /// Where it may come from.
    #[serde(with = "crate::prefix::many")]
    pub peers: Vec<ipnet::IpNet>,
}

/// Tunnels that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum TunnelKind {
    Vxlan,
    Geneve,
}

/// A group's prefix or address: `"239.1.0.0/16"`, `"224.0.0.251"`, `"255.255.255.255"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Group(pub ipnet::IpNet);

impl TryFrom<String> for Group {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_or_address(&text).map(Self)
    }
}

impl From<Group> for String {
    fn from(group: Group) -> Self {
        group.0.to_string()
    }
}

/// A service of link-local addresses: `"TCP/179"`, `"ICMPv6"`, `"89"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkService {
    /// The protocol.
    pub protocol: bailey_policy::Protocol,
    /// The port of the side that is asked; any if absent.
    pub port: Option<u16>,
}

impl TryFrom<String> for LinkService {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        use bailey_policy::Protocol;
        let wrong = || {
            format!(
                "{text:?} is no service: write a protocol, and for TCP, UDP and SCTP a port, as in \
                 \"TCP/179\" or \"ICMPv6\""
            )
        };
        let (name, port) = match text.split_once('/') {
            Some((name, port)) => (name, Some(port.parse::<u16>().map_err(|_| wrong())?)),
            None => (text.as_str(), None),
        };
        let protocol = match name.to_ascii_uppercase().as_str() {
            "TCP" => Protocol::TCP,
            "UDP" => Protocol::UDP,
            "SCTP" => Protocol::SCTP,
            "ICMP" => Protocol::ICMP,
            "ICMPV6" => Protocol::ICMPV6,
            number => Protocol(number.parse().map_err(|_| wrong())?),
        };
        if port == Some(0) || (port.is_some() && !protocol.has_ports()) {
            return Err(wrong());
        }
        Ok(Self { protocol, port })
    }
}

impl From<LinkService> for String {
    fn from(service: LinkService) -> Self {
        match service.port {
            Some(port) => format!("{}/{port}", service.protocol),
            None => service.protocol.to_string(),
        }
    }
}

/// `[inventory]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Inventory {
    #[serde(with = "crate::prefix::many")]
    pub isolated: Vec<ipnet::IpNet>,
    pub pod_cidrs: bool,
}

impl Default for Inventory {
    fn default() -> Self {
        let declared = bailey_source::Declared::default();
        Self {
            isolated: declared.isolated,
            pod_cidrs: declared.pod_cidrs,
        }
    }
}

impl Inventory {
    /// As the reader wants it.
    pub fn declared(&self) -> bailey_source::Declared {
        bailey_source::Declared {
            isolated: self.isolated.clone(),
            pod_cidrs: self.pod_cidrs,
        }
    }
}

/// `[sources]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Sources {
    pub outside: Vec<String>,
    #[serde(with = "crate::prefix::many")]
    pub inside: Vec<ipnet::IpNet>,
}

/// `[flow_table]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct FlowTable {
    pub flows: u32,
    pub counters: bool,
    pub source_flows: u32,
    pub last_resort: u32,
}

/// `[flood]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Flood {
    pub defend: bool,
    pub new_flows: u32,
    pub source_new_flows: u32,
}

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Control {
    pub group: String,
}

/// `[timeouts]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Timeouts {
    pub tcp_syn_sent: u32,
    pub tcp_syn_recv: u32,
    pub tcp_established: u32,
    pub tcp_fin_wait: u32,
    pub tcp_time_wait: u32,
    pub tcp_closed: u32,
    pub udp_new: u32,
    pub udp_replied: u32,
    pub icmp: u32,
    pub sctp_new: u32,
    pub sctp_replied: u32,
    pub other: u32,
    pub denied: u32,
}

/// `[paths]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Paths {
    pub pins: PathBuf,
    pub run: PathBuf,
    pub state: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The least important lines that are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            xdp_mode: XdpMode::default(),
            topology: Topology::default(),
            policies: vec!["/etc/bailey/policies".into()],
            recursive: true,
            allow_empty: false,
            lenient: false,
            on_policy_change: OnPolicyChange::default(),
            tcp_strict: false,
            egress_hook: EgressHook::default(),
            failsafe: Vec::new(),
            guard: Guard::default(),
            watch: Watch::default(),
            boot: Boot::default(),
            read: Read::default(),
            limits: Limits::default(),
            warm_up: 0,
            inventory: Inventory::default(),
            frames: Frames::default(),
            sources: Sources::default(),
            flow_table: FlowTable::default(),
            flood: Flood::default(),
            timeouts: Timeouts::default(),
            control: Control::default(),
            paths: Paths::default(),
            log: Log::default(),
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            settle_ms: 20,
            rescan_ms: 2_000,
            write_timeout_ms: 30_000,
        }
    }
}

impl Default for Read {
    fn default() -> Self {
        let limits = bailey_source::ReadLimits::default();
        Self {
            file_bytes: limits.file_bytes,
            depth: limits.depth,
            alias_nodes: limits.alias_nodes,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let limits = bailey_compile::Limits::default();
        Self {
            rules: limits.rules,
            classes: limits.classes,
            table_bytes: limits.table_bytes,
        }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            vlan_zones: false,
            dhcp: true,
            ethertypes: Vec::new(),
            groups: Vec::new(),
            link_local: Vec::new(),
            tunnels: Vec::new(),
        }
    }
}

impl Default for FlowTable {
    fn default() -> Self {
        Self {
            flows: 1 << 19,
            counters: true,
            source_flows: 1 << 16,
            last_resort: 300,
        }
    }
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            defend: true,
            new_flows: 0,
            source_new_flows: 1000,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_syn_sent: 120,
            tcp_syn_recv: 60,
            tcp_established: 7440,
            tcp_fin_wait: 120,
            tcp_time_wait: 120,
            tcp_closed: 10,
            udp_new: 30,
            udp_replied: 120,
            icmp: 30,
            sctp_new: 30,
            sctp_replied: 210,
            other: 600,
            denied: 60,
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            group: "bailey".into(),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            pins: "/sys/fs/bpf/bailey".into(),
            run: "/run/bailey".into(),
            state: "/var/lib/bailey".into(),
        }
    }
}

/// Where the configuration is, if nobody says another place.
pub const DEFAULT_PATH: &str = "/etc/bailey/bailey.toml";

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has an unknown key or a value that cannot be.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).map_err(|message| format!("{}: {message}", path.display()))
    }

    /// The configuration that a command line or `$BAILEY_CONFIG` names; else the one at its usual
    /// place; else the defaults.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn find(file: &ConfigFile) -> Result<Self, String> {
        match &file.config {
            Some(file) => Self::read(file),
            None if Path::new(DEFAULT_PATH).exists() => Self::read(Path::new(DEFAULT_PATH)),
            None => Ok(Self::default()),
        }
    }

    /// What may go to groups and link-local addresses. The addresses of the machine are not in the
    /// configuration.
    pub fn link_scope(&self) -> bailey_policy::LinkScope {
        let services = self.frames.link_local.iter();
        bailey_policy::LinkScope {
            bridge: self.topology == Topology::Bridge,
            groups: self.frames.groups.iter().map(|group| group.0).collect(),
            services: services.map(|known| (known.protocol, known.port)).collect(),
            ..bailey_policy::LinkScope::default()
        }
    }

    /// Does the kernel let a node reach its own pods whatever policy says? A bridge cannot tell such a
    /// packet from a forged one, unless it knows on which side the inside is.
    pub fn knows_own_nodes(&self) -> bool {
        self.topology != Topology::Bridge || !self.sources.outside.is_empty()
    }

    /// Parses a text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str) -> Result<Self, String> {
        check_shapes(text)?;
        let mut unknown = Vec::new();
        let deserializer = toml::Deserializer::parse(text).map_err(|e| e.to_string())?;
        let config: Self =
            serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string()))
                .map_err(|e| e.to_string())?;
        if !unknown.is_empty() {
            return Err(describe_unknown(&unknown));
        }
        config.check()?;
        Ok(config)
    }

    /// Values of the right type that still cannot be.
    fn check(&self) -> Result<(), String> {
        let at_least_one = [
            ("flow_table.flows", u64::from(self.flow_table.flows)),
            ("limits.rules", self.limits.rules as u64),
            ("limits.classes", self.limits.classes as u64),
            ("limits.table_bytes", self.limits.table_bytes as u64),
            ("read.file_bytes", self.read.file_bytes),
            ("read.depth", self.read.depth as u64),
            ("watch.rescan_ms", self.watch.rescan_ms),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                return Err(format!("{key} = 0: must be at least 1"));
            }
        }
        const FLOWS_MAX: u32 = 1 << 26;
        if self.flow_table.flows > FLOWS_MAX {
            let flows = self.flow_table.flows;
            return Err(format!(
                "flow_table.flows = {flows}: must be at most {FLOWS_MAX}"
            ));
        }
        const FAILSAFE_MAX: usize = bailey_bpf::abi::FAILSAFE_MAX as usize;
        if self.failsafe.len() > FAILSAFE_MAX {
            let entries = self.failsafe.len();
            return Err(format!(
                "failsafe: {entries} entries, at most {FAILSAFE_MAX} fit; join CIDRs"
            ));
        }
        if let Some(entry) = self.failsafe.iter().find(|entry| entry.port == 0) {
            return Err(format!("failsafe: port 0 for {}", entry.cidr));
        }
        self.check_places()?;
        if self.policies.iter().any(|path| path == Path::new("-")) {
            return Err("policies: \"-\" is standard input, which is read once; name files".into());
        }
        self.frames.check()?;
        self.check_sources()?;
        const WARM_UP_MAX: u32 = 3600;
        if self.warm_up > WARM_UP_MAX {
            let seconds = self.warm_up;
            return Err(format!(
                "warm_up = {seconds}: must be at most {WARM_UP_MAX} seconds"
            ));
        }
        self.timeouts.check()?;
        const CLASSES_MAX: usize = 1 << 24;
        if self.limits.classes > CLASSES_MAX {
            let classes = self.limits.classes;
            return Err(format!(
                "limits.classes = {classes}: must be at most {CLASSES_MAX}"
            ));
        }
        const RULES_MAX: usize = 1 << 22;
        if self.limits.rules > RULES_MAX {
            let rules = self.limits.rules;
            return Err(format!(
                "limits.rules = {rules}: must be at most {RULES_MAX}"
            ));
        }
        Ok(())
    }

    /// Paths that do not depend on where the daemon is started, and names that an interface can have.
    fn check_places(&self) -> Result<(), String> {
        let Paths { pins, run, state } = &self.paths;
        for (key, path) in [("pins", pins), ("run", run), ("state", state)] {
            if !path.is_absolute() {
                return Err(format!(
                    "paths.{key} = {path:?}: must be absolute, as in \"/run/bailey\""
                ));
            }
        }
        // ALTIFNAMSIZ, linux/if.h: names by which the kernel knows an interface too.
        const NAME_MAX: usize = 127;
        for entry in &self.interfaces {
            let (InterfaceEntry::Name(name) | InterfaceEntry::Full { name, .. }) = entry;
            let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
            if name.is_empty() || name.len() > NAME_MAX || name.contains(odd) {
                return Err(format!("interfaces: {name:?} is no name of an interface"));
            }
        }
        Ok(())
    }

    fn check_sources(&self) -> Result<(), String> {
        const INSIDE_MAX: usize = bailey_bpf::abi::INSIDE_MAX as usize;
        let Sources { outside, inside } = &self.sources;
        if inside.len() > INSIDE_MAX {
            let prefixes = inside.len();
            return Err(format!(
                "sources.inside: {prefixes} prefixes, at most {INSIDE_MAX} fit"
            ));
        }
        if outside.is_empty() != inside.is_empty() {
            return Err("sources: inside and outside go together, one of them is empty".into());
        }
        let named = |name: &String| {
            self.interfaces.iter().any(|entry| match entry {
                InterfaceEntry::Name(known) | InterfaceEntry::Full { name: known, .. } => {
                    known == name
                }
            })
        };
        match outside.iter().find(|name| !named(name)) {
            Some(name) => Err(format!("sources.outside: {name:?} is none of `interfaces`")),
            None => Ok(()),
        }
    }

    /// The interfaces and their modes.
    ///
    /// # Errors
    /// If there are none, or one is named twice.
    pub fn interfaces(&self) -> Result<Vec<(String, XdpMode)>, String> {
        let mut interfaces: Vec<(String, XdpMode)> = Vec::new();
        for entry in &self.interfaces {
            let (name, mode) = match entry {
                InterfaceEntry::Name(name) => (name, None),
                InterfaceEntry::Full { name, xdp_mode } => (name, *xdp_mode),
            };
            if interfaces.iter().any(|(known, _)| known == name) {
                return Err(format!("interfaces: {name:?} is named twice"));
            }
            interfaces.push((name.clone(), mode.unwrap_or(self.xdp_mode)));
        }
        if self.topology == Topology::Bridge && interfaces.len() != 2 {
            return Err(format!(
                "interfaces: a bridge has two sides, {} are named",
                interfaces.len()
            ));
        }
        const INTERFACES_MAX: usize = bailey_bpf::abi::INTERFACE_SLOTS as usize - 1;
        if interfaces.len() > INTERFACES_MAX {
            return Err(format!(
                "interfaces: {} are named, at most {INTERFACES_MAX} can be",
                interfaces.len()
            ));
        }
        if interfaces.is_empty() {
            return Err(
                "interfaces: none is named, so nothing would be protected; name the NICs \
                        to protect, as in interfaces = [\"eth0\"]"
                    .into(),
            );
        }
        Ok(interfaces)
    }
}

/// Tables are tables, texts are texts: serde would also read a list as a table's values in their order, and
/// a table as the name of a choice. What is no TOML is told by who reads it next.
fn check_shapes(text: &str) -> Result<(), String> {
    let (Ok(given), Ok(toml::Value::Table(known))) = (
        text.parse::<toml::Table>(),
        toml::Value::try_from(Config::default()),
    ) else {
        return Ok(());
    };
    check_table("", &given, &known)?;
    for (key, entries) in &given {
        let (Some(entries), "interfaces" | "failsafe") = (entries.as_array(), key.as_str()) else {
            continue;
        };
        let example = match key.as_str() {
            "failsafe" => "{ cidr = \"192.0.2.0/24\", port = 22 }",
            _ => "\"eth0\" or { name = \"eth0\", xdp_mode = \"generic\" }",
        };
        let fits =
            |entry: &&toml::Value| entry.is_table() || (key == "interfaces" && entry.is_str());
        if let Some(entry) = entries.iter().find(|entry| !fits(entry)) {
            return Err(format!("{key}: {entry} is no entry; one is {example}"));
        }
        let named =
            |entry: &&toml::Value| entry.as_table().is_some_and(|t| !t.contains_key("name"));
        if key == "interfaces"
            && let Some(entry) = entries.iter().find(named)
        {
            return Err(format!("{key}: {entry} has no name; an entry is {example}"));
        }
    }
    Ok(())
}

fn check_table(path: &str, given: &toml::Table, known: &toml::Table) -> Result<(), String> {
    for (key, value) in given {
        let Some(default) = known.get(key) else {
            continue;
        };
        let name = format!("{path}{key}");
        match (value, default) {
            (toml::Value::Table(value), toml::Value::Table(default)) => {
                check_table(&format!("{name}."), value, default)?;
            }
            (_, toml::Value::Table(_)) => {
                return Err(format!(
                    "{name} = {value}: is a table; write [{name}] and its keys"
                ));
            }
            (_, toml::Value::String(default)) if !value.is_str() => {
                return Err(format!(
                    "{name} = {value}: is a text, as in {name} = {default:?}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn describe_unknown(unknown: &[String]) -> String {
    let known = known_keys();
    let mut message = String::new();
    for key in unknown {
        let suffix = known
            .iter()
            .find(|candidate| candidate.ends_with(&format!(".{key}")));
        if !message.is_empty() {
            message.push_str("; ");
        }
        let _ = write!(message, "unknown key `{key}`");
        match suffix {
            Some(candidate) => {
                let _ = write!(message, ", did you mean `{candidate}`?");
            }
            None => message.push_str(&nearest(key, &known)),
        }
    }
    message
}

/// All keys, `table.key` for those of tables.
fn known_keys() -> Vec<String> {
    let Ok(toml::Value::Table(top)) = toml::Value::try_from(Config::default()) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (key, value) in top {
        if let toml::Value::Table(inner) = value {
            keys.extend(inner.keys().map(|name| format!("{key}.{name}")));
        }
        keys.push(key);
    }
    keys
}

impl Frames {
    fn check(&self) -> Result<(), String> {
        use bailey_bpf::abi;
        const READ: [u16; 6] = [0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x9100];
        const ETHERTYPES_MAX: usize = abi::ETHERTYPES_MAX as usize;
        const TUNNELS_MAX: usize = abi::TUNNELS_MAX as usize;
        const PEERS_MAX: usize = abi::TUNNEL_PEERS_MAX as usize;
        for &ethertype in &self.ethertypes {
            if ethertype < 0x0600 {
                return Err(format!(
                    "frames.ethertypes: {ethertype:#06x} is a length, types begin at 0x0600"
                ));
            }
            if READ.contains(&ethertype) {
                return Err(format!(
                    "frames.ethertypes: {ethertype:#06x} (IP, ARP, VLAN) is always read"
                ));
            }
        }
        let peers = self.tunnels.iter().map(|tunnel| tunnel.peers.len()).sum();
        for (what, count, most) in [
            ("ethertypes", self.ethertypes.len(), ETHERTYPES_MAX),
            ("groups", self.groups.len(), abi::GROUPS_MAX as usize),
            (
                "services of link-local addresses",
                self.link_local.len(),
                abi::LINK_SERVICES_MAX as usize,
            ),
            ("tunnels", self.tunnels.len(), TUNNELS_MAX),
            ("peers of tunnels", peers, PEERS_MAX),
        ] {
            if count > most {
                return Err(format!("frames: {count} {what}, at most {most} fit"));
            }
        }
        for (at, tunnel) in self.tunnels.iter().enumerate() {
            let port = tunnel.port;
            if tunnel.peers.is_empty() {
                return Err(format!(
                    "frames.tunnels: port {port} has no peers, so nothing could come through it"
                ));
            }
            if port == 0 || self.tunnels[..at].iter().any(|other| other.port == port) {
                return Err(format!("frames.tunnels: port {port} is 0 or named twice"));
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl Frames {
    fn datapath(&self) -> bailey_datapath::Frames {
        let tunnel = |tunnel: &Tunnel| bailey_datapath::Tunnel {
            kind: match tunnel.kind {
                TunnelKind::Vxlan => bailey_datapath::TunnelKind::Vxlan,
                TunnelKind::Geneve => bailey_datapath::TunnelKind::Geneve,
            },
            port: tunnel.port,
            peers: tunnel.peers.clone(),
        };
        bailey_datapath::Frames {
            vlan_zones: self.vlan_zones,
            dhcp: self.dhcp,
            ethertypes: self.ethertypes.clone(),
            groups: self.groups.iter().map(|group| group.0).collect(),
            link_local: self
                .link_local
                .iter()
                .map(|service| (service.protocol, service.port))
                .collect(),
            tunnels: self.tunnels.iter().map(tunnel).collect(),
        }
    }
}

impl Timeouts {
    /// Ages wrap after 208 days; nothing may live so long without a packet.
    fn check(&self) -> Result<(), String> {
        const LONGEST: u32 = 30 * 24 * 3600;
        let Ok(toml::Value::Table(all)) = toml::Value::try_from(self) else {
            return Ok(());
        };
        for (key, value) in all {
            let seconds = value.as_integer().unwrap_or_default();
            if !(1..=i64::from(LONGEST)).contains(&seconds) {
                return Err(format!(
                    "timeouts.{key} = {seconds}: must be 1 to {LONGEST} seconds (30 days)"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl FailsafeEntry {
    fn datapath(&self) -> bailey_datapath::Failsafe {
        bailey_datapath::Failsafe {
            cidr: self.cidr,
            protocol: match self.protocol {
                FailsafeProtocol::Tcp => bailey_policy::Protocol::TCP,
                FailsafeProtocol::Udp => bailey_policy::Protocol::UDP,
            },
            port: self.port,
        }
    }
}

impl Paths {
    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.run.join("bailey.sock")
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_equals_the_defaults_and_names_every_key() {
        let shipped = include_str!("../../../configs/bailey.toml");
        assert_eq!(Config::parse(shipped).unwrap(), Config::default());
        for key in known_keys() {
            let name = key.rsplit('.').next().unwrap();
            let stands =
                |line: &str| line.starts_with(&format!("{name} =")) || line == format!("[{name}]");
            assert!(
                shipped.lines().any(stands),
                "{key} is not in configs/bailey.toml"
            );
        }
    }

    #[test]
    fn the_shipped_example_protects_ssh() {
        let example = Config::parse(include_str!("../../../configs/example/bailey.toml"));
        let example = example.unwrap();
        assert_eq!(example.failsafe[0].port, 22);
        assert!(example.interfaces().is_ok());
        let text = |cidr: &str| format!("failsafe = [{{ cidr = \"{cidr}\", port = 22 }}]");
        let error = Config::parse(&text("192.0.2.1/24")).unwrap_err();
        assert!(error.contains("192.0.2.0/24 is meant?"), "{error}");
        for wrong in ["192.0.2.0", "x/24", "192.0.2.0/33"] {
            assert!(Config::parse(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(Config::parse("failsafe = [{ cidr = \"::/0\", port = 0 }]").is_err());
        assert!(Config::parse("failsafe = [{ cidr = \"::/0\" }]").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn defaults_are_those_of_the_datapath() {
        assert_eq!(
            Config::default().settings(),
            bailey_datapath::Settings::default()
        );
    }

    #[test]
    fn unknown_keys_are_errors_with_a_suggestion() {
        let error = Config::parse("interfcaes = [\"eth0\"]").unwrap_err();
        assert!(error.contains("did you mean `interfaces`?"), "{error}");
        let error = Config::parse("[timeouts]\ntcp_etsablished = 5").unwrap_err();
        assert!(
            error.contains("did you mean `timeouts.tcp_established`?"),
            "{error}"
        );
        let error = Config::parse("tcp_established = 5").unwrap_err();
        assert!(
            error.contains("did you mean `timeouts.tcp_established`?"),
            "{error}"
        );
        let error = Config::parse("zzz = 5").unwrap_err();
        assert_eq!(error, "unknown key `zzz`");
    }

    #[test]
    fn no_interface_and_one_named_twice_are_errors() {
        assert!(
            Config::default()
                .interfaces()
                .unwrap_err()
                .contains("none is named")
        );
        let twice = Config::parse("interfaces = [\"a\", {name = \"a\"}]").unwrap();
        assert!(twice.interfaces().unwrap_err().contains("twice"));
        let mixed = Config::parse(
            "xdp_mode = \"generic\"\ninterfaces = [\"a\", {name = \"b\", xdp_mode = \"native\"}]",
        );
        let expected = vec![
            ("a".to_owned(), XdpMode::Generic),
            ("b".to_owned(), XdpMode::Native),
        ];
        assert_eq!(mixed.unwrap().interfaces().unwrap(), expected);
    }

    #[test]
    fn values_that_cannot_be_are_errors() {
        for text in [
            "[flow_table]\nflows = 0",
            "[limits]\nrules = 9999999",
            "xdp_mode = \"x\"",
            "[frames]\nethertypes = [0x0800]",
            "warm_up = 3601",
            "interfaces = [\"a\"]\n[sources]\noutside = [\"b\"]\ninside = [\"10.0.0.0/8\"]",
            "interfaces = [\"a\"]\n[sources]\noutside = [\"a\"]",
            "interfaces = [\"a\"]\n[sources]\noutside = [\"a\"]\ninside = [\"10.0.0.1/8\"]",
            "[frames]\nethertypes = [0x05dc]",
            "[frames]\ntunnels = [{ kind = \"vxlan\", port = 4789 }]",
            "[frames]\ntunnels = [{ kind = \"vxlan\", port = 4789, peers = [] }]",
            "[frames]\ntunnels = [{ kind = \"gre\", port = 1, peers = [\"::/0\"] }]",
        ] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
