//! Interfaces that a Bailey of any configuration protects, with or without a process or pins.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;

use aya::maps::loaded_maps;
use aya::programs::loaded_programs;

use crate::error::DatapathError;
use crate::kernel::capabilities;
use crate::kernel::netlink;

/// An interface whose XDP program is Bailey's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedInterface {
    /// Name of the interface.
    pub interface: String,
    /// Id of the XDP program.
    pub program: u32,
    /// The process that holds the program, if there is one and it is visible.
    pub process: Option<Process>,
}

/// A process and its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Command line.
    pub command: String,
}

impl fmt::Display for ProtectedInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interface, program, ..
        } = self;
        write!(
            f,
            "interface {interface} is protected by a bailey, XDP program {program}"
        )?;
        match &self.process {
            Some(Process { pid, command }) => write!(f, ", of pid {pid}: {command}"),
            None => write!(f, ", without a process"),
        }
    }
}

/// Lists the interfaces of this network namespace that any Bailey protects.
///
/// # Errors
/// If this process lacks the capabilities to read programs.
pub fn protected_interfaces() -> Result<Vec<ProtectedInterface>, DatapathError> {
    let interfaces = netlink::interfaces().map_err(|source| DatapathError::System {
        operation: "list interfaces",
        source,
    })?;
    if interfaces.iter().all(|interface| interface.xdp.is_none()) {
        return Ok(Vec::new());
    }
    capabilities::check()?;
    let ours = entry_program_ids();
    let attached = interfaces.into_iter().filter_map(|interface| {
        let program = interface.xdp?.program;
        ours.contains(&program).then(|| ProtectedInterface {
            process: holder(program),
            interface: interface.name,
            program,
        })
    });
    Ok(attached.collect())
}

/// Ids of the entry programs of any Bailey: found by name, and by a map that only they use.
pub(crate) fn entry_program_ids() -> BTreeSet<u32> {
    const MAP: &str = "flow_keys";
    let maps: BTreeSet<u32> = loaded_maps()
        .flatten()
        .filter(|map| map.name_as_str() == Some(MAP))
        .map(|map| map.id())
        .collect();
    loaded_programs()
        .flatten()
        .filter(|program| matches!(program.name_as_str(), Some("entry_xdp" | "entry_tc")))
        .filter(|program| {
            let used = program.map_ids().ok().flatten();
            used.is_some_and(|used| used.iter().any(|id| maps.contains(id)))
        })
        .map(|program| program.id())
        .collect()
}

/// The `bailey` process that holds a descriptor of the program or of its link.
fn holder(program: u32) -> Option<Process> {
    let wanted = format!("prog_id:\t{program}");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut baileys = pids.filter(|pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.starts_with("bailey"))
    });
    let pid = baileys.find(|pid| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo"));
        let mut texts = descriptors.into_iter().flatten().flatten();
        texts.any(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            text.lines().any(|line| line == wanted)
        })
    })?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = command.split(|&byte| byte == 0).filter(|w| !w.is_empty());
    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
    Some(Process {
        pid,
        command: words.join(" "),
    })
}
