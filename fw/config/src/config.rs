//! The whole of `bailey.toml`: reading, unknown keys, checks across tables.

use std::fs;
use std::path::{Path, PathBuf};

use bailey_policy::LinkScope;
use serde::{Deserialize, Serialize};

use crate::shapes::{check_shapes, describe_unknown};
use crate::{
    Boot, CompileLimits, Control, DeclaredPrefixes, EgressHook, Failsafe, Flood, FlowLog,
    FlowTable, Frames, Guard, Interface, InterfaceEntry, Log, Metrics, OnPolicyChange, Paths,
    ReadLimits, Recorder, Sources, Timeouts, Topology, Watch, XdpMode,
};

/// `bailey.toml` in its written form. Every option has a default; the shipped `configs/bailey.toml` lists
/// all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Interfaces to attach to; at least one.
    pub interfaces: Vec<InterfaceEntry>,
    /// XDP mode of interfaces without a mode of their own.
    pub xdp_mode: XdpMode,
    /// Topology: host, bridge or router.
    pub topology: Topology,
    /// Files and directories with policies and inventory.
    pub policies: Vec<PathBuf>,
    /// Read sub-directories of `policies` too?
    pub recursive: bool,
    /// Accept that a path vanishes, or that the last policy is deleted?
    pub allow_empty: bool,
    /// Warn about unknown fields and loosely written CIDRs instead of refusing the file?
    pub lenient: bool,
    /// Established flows on a policy change.
    pub on_policy_change: OnPolicyChange,
    /// Does only a SYN create a TCP flow?
    pub tcp_strict: bool,
    /// Kernel hook that filters egress traffic.
    pub egress_hook: EgressHook,
    /// Peers and ports that pass regardless of policy; at most `FAILSAFE_MAX`.
    pub failsafe: Vec<Failsafe>,
    /// Protection of an interface that carries no program.
    pub guard: Guard,
    /// Watching `policies`.
    pub watch: Watch,
    /// The first start, and each start after a reboot.
    pub boot: Boot,
    /// CompileLimits on files.
    pub read: ReadLimits,
    /// CompileLimits on a policy set.
    pub limits: CompileLimits,
    /// Seconds after the first attachment during which denied packets are counted and passed.
    pub warm_up: u32,
    /// Prefixes that are declared to hold endpoints.
    pub inventory: DeclaredPrefixes,
    /// How the parser treats frames.
    pub frames: Frames,
    /// Ingress source filtering.
    pub sources: Sources,
    /// The flow table.
    pub flow_table: FlowTable,
    /// Rates of new flows.
    pub flood: Flood,
    /// Records of packets.
    pub recorder: Recorder,
    /// Records of packets as a file.
    pub flow_log: FlowLog,
    /// The exposition for Prometheus.
    pub metrics: Metrics,
    /// Timeouts of flows, in seconds.
    pub timeouts: Timeouts,
    /// The control socket.
    pub control: Control,
    /// Directories.
    pub paths: Paths,
    /// Logging.
    pub log: Log,
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
            read: ReadLimits::default(),
            limits: CompileLimits::default(),
            warm_up: 0,
            inventory: DeclaredPrefixes::default(),
            frames: Frames::default(),
            sources: Sources::default(),
            flow_table: FlowTable::default(),
            flood: Flood::default(),
            recorder: Recorder::default(),
            flow_log: FlowLog::default(),
            metrics: Metrics::default(),
            timeouts: Timeouts::default(),
            control: Control::default(),
            paths: Paths::default(),
            log: Log::default(),
        }
    }
}

/// Options of earlier versions that have no effect any more. The configuration that was installed with
/// those versions has them, so they are no error: a start after an upgrade must not fail for them.
const OBSOLETE: [&str; 1] = ["flow_table.counters"];

/// Path of the configuration unless the command line or the environment names another one.
pub const DEFAULT_PATH: &str = "/etc/bailey/bailey.toml";

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown key or an invalid value.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Self::parse(&text).map_err(|message| format!("{}: {message}", path.display()))
    }

    /// Reads the named file; without a name, the file at [`DEFAULT_PATH`] if it exists, else the defaults.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn find(file: Option<&Path>) -> Result<Self, String> {
        match file {
            Some(file) => Self::read(file),
            None if Path::new(DEFAULT_PATH).exists() => Self::read(Path::new(DEFAULT_PATH)),
            None => Ok(Self::default()),
        }
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = default_table();
        check_shapes(text, &known)?;
        let mut unknown = Vec::new();
        let deserializer = toml::Deserializer::parse(text).map_err(|e| e.to_string())?;
        let config: Self =
            serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string()))
                .map_err(|e| e.to_string())?;
        unknown.retain(|key| !OBSOLETE.contains(&key.as_str()));
        if !unknown.is_empty() {
            return Err(describe_unknown(&unknown, &known));
        }
        config.check()?;
        Ok(config)
    }

    /// Exceptions for multicast groups and link-local services. The machine's addresses are not part of
    /// the configuration.
    pub fn link_scope(&self) -> LinkScope {
        LinkScope {
            bridge: self.topology == Topology::Bridge,
            groups: self.frames.groups.clone(),
            services: self.frames.link_local.clone(),
            ..LinkScope::default()
        }
    }

    /// True if a node's own traffic to its pods can be told from a spoofed packet. A bridge can do so only
    /// if `sources` names its external side. Kubernetes lets a node reach its own pods regardless of policy.
    pub fn knows_own_nodes(&self) -> bool {
        self.topology != Topology::Bridge || !self.sources.external.is_empty()
    }

    /// The interfaces to attach to.
    ///
    /// # Errors
    /// If there are none, one is named twice, or the number does not fit the topology.
    pub fn interfaces(&self) -> Result<Vec<Interface>, String> {
        let mut interfaces: Vec<Interface> = Vec::new();
        for entry in &self.interfaces {
            let name = entry.name();
            if interfaces.iter().any(|known| known.name == name) {
                return Err(format!("interfaces: {name:?} is named twice"));
            }
            interfaces.push(Interface {
                name: name.to_owned(),
                mode: entry.xdp_mode().unwrap_or(self.xdp_mode),
                external: self.sources.external.iter().any(|known| known == name),
            });
        }
        let count = interfaces.len();
        if self.topology == Topology::Bridge && count != 2 {
            return Err(format!(
                "interfaces: topology \"bridge\" needs exactly 2 interfaces, got {count}"
            ));
        }
        const INTERFACES_MAX: usize = bailey_bpf::abi::INTERFACE_SLOTS as usize - 1;
        if count > INTERFACES_MAX {
            return Err(format!(
                "interfaces: {count} are named, at most {INTERFACES_MAX} fit"
            ));
        }
        if interfaces.is_empty() {
            return Err(
                "interfaces: none is named, so no traffic would be filtered; name the NICs \
                 to protect, as in interfaces = [\"eth0\"]"
                    .into(),
            );
        }
        Ok(interfaces)
    }

    /// Checks values that have the right type and are still invalid.
    fn check(&self) -> Result<(), String> {
        self.check_minima()?;
        self.flow_table.check()?;
        self.recorder.check()?;
        self.flow_log.check()?;
        self.metrics.check()?;
        self.check_failsafe()?;
        self.paths.check()?;
        for entry in &self.interfaces {
            entry.check()?;
        }
        if self.policies.iter().any(|path| path == Path::new("-")) {
            return Err("policies: \"-\" is standard input, which is read once; name files".into());
        }
        self.frames.check()?;
        let names: Vec<&str> = self.interfaces.iter().map(InterfaceEntry::name).collect();
        self.sources.check(&names)?;
        const WARM_UP_MAX: u32 = 3600;
        if self.warm_up > WARM_UP_MAX {
            let seconds = self.warm_up;
            return Err(format!(
                "warm_up = {seconds}: must be at most {WARM_UP_MAX} seconds"
            ));
        }
        self.timeouts.check()?;
        self.limits.check()
    }

    fn check_minima(&self) -> Result<(), String> {
        let at_least_one = [
            ("flow_table.flows", u64::from(self.flow_table.flows)),
            ("limits.rules", self.limits.rules as u64),
            ("limits.classes", self.limits.classes as u64),
            ("limits.table_bytes", self.limits.table_bytes as u64),
            ("read.file_bytes", self.read.file_bytes),
            ("read.depth", self.read.depth as u64),
            ("watch.rescan_ms", self.watch.rescan_ms),
        ];
        match at_least_one.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(format!("{key} = 0: must be at least 1")),
            None => Ok(()),
        }
    }

    fn check_failsafe(&self) -> Result<(), String> {
        const FAILSAFE_MAX: usize = bailey_bpf::abi::FAILSAFE_MAX as usize;
        if self.failsafe.len() > FAILSAFE_MAX {
            let entries = self.failsafe.len();
            return Err(format!(
                "failsafe: {entries} entries, at most {FAILSAFE_MAX} fit; join CIDRs"
            ));
        }
        match self.failsafe.iter().find(|entry| entry.port == 0) {
            Some(entry) => Err(format!("failsafe: port 0 for {}", entry.cidr)),
            None => Ok(()),
        }
    }
}

/// Every option with its default value.
fn default_table() -> toml::Table {
    toml::Table::try_from(Config::default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::shapes::known_keys;

    #[test]
    fn shipped_file_equals_defaults_and_lists_every_key() {
        let shipped = include_str!("../../../configs/bailey.toml");
        assert_eq!(Config::parse(shipped).unwrap(), Config::default());
        for key in known_keys(&default_table()) {
            let name = key.rsplit('.').next().unwrap();
            let lists =
                |line: &str| line.starts_with(&format!("{name} =")) || line == format!("[{name}]");
            assert!(
                shipped.lines().any(lists),
                "{key} is not in configs/bailey.toml"
            );
        }
    }

    #[test]
    fn shipped_example_protects_ssh() {
        let example = Config::parse(include_str!("../../../configs/example/bailey.toml"));
        let example = example.unwrap();
        assert_eq!(example.failsafe[0].port, 22);
        assert!(example.interfaces().is_ok());
        let text = |cidr: &str| format!("failsafe = [{{ cidr = \"{cidr}\", port = 22 }}]");
        let error = Config::parse(&text("192.0.2.1/24")).unwrap_err();
        assert!(error.contains("did you mean 192.0.2.0/24?"), "{error}");
        for wrong in ["192.0.2.0", "x/24", "192.0.2.0/33"] {
            assert!(Config::parse(&text(wrong)).is_err(), "{wrong}");
        }
        assert!(Config::parse("failsafe = [{ cidr = \"::/0\", port = 0 }]").is_err());
        assert!(Config::parse("failsafe = [{ cidr = \"::/0\" }]").is_err());
    }

    #[test]
    fn default_settings_follow_from_default_config() {
        assert_eq!(Config::default().settings(), Settings::default());
    }

    #[test]
    fn unknown_key_is_an_error_with_suggestion() {
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
    fn obsolete_option_has_no_effect() {
        let config = Config::parse("[flow_table]\ncounters = false\nflows = 9\n").unwrap();
        assert_eq!(config.flow_table.flows, 9);
        assert!(Config::parse("[flow_table]\ncounter = false\n").is_err());
    }

    #[test]
    fn missing_or_repeated_interface_is_an_error() {
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
        let modes = mixed.unwrap().interfaces().unwrap();
        let modes: Vec<XdpMode> = modes.iter().map(|interface| interface.mode).collect();
        assert_eq!(modes, [XdpMode::Generic, XdpMode::Native]);
    }

    #[test]
    fn invalid_value_is_an_error() {
        for text in [
            "[flow_table]\nflows = 0",
            "[limits]\nrules = 9999999",
            "xdp_mode = \"x\"",
            "[frames]\nethertypes = [0x0800]",
            "warm_up = 3601",
            "interfaces = [\"a\"]\n[sources]\nexternal = [\"b\"]\ninternal = [\"10.0.0.0/8\"]",
            "interfaces = [\"a\"]\n[sources]\nexternal = [\"a\"]",
            "interfaces = [\"a\"]\n[sources]\nexternal = [\"a\"]\ninternal = [\"10.0.0.1/8\"]",
            "[frames]\nethertypes = [0x05dc]",
            "[frames]\ntunnels = [{ kind = \"vxlan\", port = 4789 }]",
            "[frames]\ntunnels = [{ kind = \"vxlan\", port = 4789, peers = [] }]",
            "[frames]\ntunnels = [{ kind = \"gre\", port = 1, peers = [\"::/0\"] }]",
        ] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }
}
