use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::args::ConfigFile;

/// Peers and ports that pass whatever policy says.
mod failsafe;
/// Sizes and idle times of flows, and floods of new ones.
mod flow_table;
/// How frames are read.
mod frames;
/// Interfaces, where they stand, and what closes them.
mod interfaces;
/// Prefixes of endpoints and of the inside.
mod inventory;
/// Paths, the control socket, the log.
mod places;
/// How files are read, and how much of them there may be.
mod reading;
/// The configuration in the words of the crates that do the work.
mod settings;
/// Tables, texts and keys, before values are read.
mod shapes;

pub use failsafe::{FailsafeEntry, FailsafeProtocol};
pub use flow_table::{Flood, FlowTable, OnPolicyChange, Timeouts};
pub use frames::{Frames, Group, LinkService, Tunnel, TunnelKind};
pub use interfaces::{Boot, EgressHook, Guard, InterfaceEntry, Topology, WithoutPolicy, XdpMode};
pub use inventory::{Inventory, Sources};
pub use places::{Control, Log, LogFormat, LogLevel, Paths};
pub use reading::{Limits, Read, Watch};
use shapes::{check_shapes, describe_unknown};

/// `bailey.toml` as it is written. Every option has a default; the shipped
/// `configs/bailey.toml` spells the defaults out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Interfaces to attach to; at least one.
    pub interfaces: Vec<InterfaceEntry>,
    /// XDP mode of interfaces that name none.
    pub xdp_mode: XdpMode,
    /// Topology: host, bridge or router.
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

    /// Exceptions for groups and link-local addresses. The addresses of the machine are not in the
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

#[cfg(test)]
mod tests {
    use super::shapes::known_keys;
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
