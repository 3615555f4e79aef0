//! `guard = "nftables"`: a netfilter table drops the traffic of configured interfaces that carry no XDP
//! program. The table lists protected interfaces by ifindex. An interface that was deleted and created again
//! has a new ifindex, so it stays closed until a program is attached, even without a daemon.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bailey_clock::now;
use bailey_config::Failsafe;
use bailey_policy::Protocol;
use serde_json::Value;

/// Priority before connection tracking and before every chain that could accept (`NF_IP_PRI_RAW` is -300).
const FIRST: i32 = -350;

/// The table's content: closed interfaces by name, except those with a protected ifindex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftGuard {
    table: String,
    names: BTreeSet<String>,
    protected: BTreeSet<u32>,
    failsafe: Vec<Failsafe>,
    /// When the table was last found loaded.
    checked: Instant,
}

/// `IFNAMSIZ`
const NAME_SIZE: usize = 16;

/// Drops names that are too long for the kernel: an interface with such a name has a shorter one too.
fn without_long_names(mut names: BTreeSet<String>) -> BTreeSet<String> {
    names.retain(|name| name.len() < NAME_SIZE);
    names
}

/// Interval of checks that the table is still loaded; each check starts a process.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

impl NftGuard {
    /// Closes these interfaces, whether they exist or not, except those with programs. `pins` distinguishes
    /// several Baileys on one machine.
    pub fn new(
        pins: &Path,
        names: BTreeSet<String>,
        protected: BTreeSet<u32>,
        failsafe: Vec<Failsafe>,
    ) -> Self {
        Self {
            table: table(pins),
            names: without_long_names(names),
            protected,
            failsafe,
            checked: now(),
        }
    }

    /// Loads the table in one transaction.
    ///
    /// # Errors
    /// If nft is not installed, or refuses.
    pub fn install(&mut self) -> io::Result<()> {
        self.checked = now();
        nft(&self.script())
    }

    /// Updates names and protected interfaces. Without a change, only checks from time to time that the
    /// table is loaded. Returns true if another process had removed the table.
    ///
    /// # Errors
    /// As [`Self::install`]; the loaded table does not change.
    pub fn keep(&mut self, names: BTreeSet<String>, protected: BTreeSet<u32>) -> io::Result<bool> {
        let mut names = without_long_names(names);
        names.extend(self.names.iter().cloned());
        let changed = protected != self.protected || names != self.names;
        let lost = now() - self.checked >= CHECK_INTERVAL && {
            self.checked = now();
            list(&self.table).is_none()
        };
        if changed || lost {
            let mut next = Self {
                names,
                protected,
                ..self.clone()
            };
            next.install()?;
            *self = next;
        }
        Ok(lost)
    }

    /// The nft script that replaces the table.
    fn script(&self) -> String {
        let Self {
            table,
            names,
            protected,
            failsafe,
            ..
        } = self;
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let ifindexes: Vec<String> = protected.iter().map(u32::to_string).collect();
        // One transaction deletes and creates the table, so no packet passes between the two.
        let mut text = format!("add table inet {table}\ndelete table inet {table}\n");
        let mut add = |line: &str| {
            let _ = writeln!(text, "{line}");
        };
        add(&format!("table inet {table} {{"));
        for (set, kind, elements) in [
            ("names", "ifname", &quoted),
            ("protected", "iface_index", &ifindexes),
        ] {
            add(&format!("set {set} {{\ntype {kind}"));
            if !elements.is_empty() {
                add(&format!("elements = {{ {} }}", elements.join(", ")));
            }
            add("}");
        }
        for (chain, hook, priority, name, ifindex) in [
            ("in", "prerouting", FIRST, "iifname", "iif"),
            ("out", "postrouting", -FIRST, "oifname", "oif"),
        ] {
            add(&format!(
                "chain {chain} {{\ntype filter hook {hook} priority {priority}; policy accept;"
            ));
            // Both legs in both chains: a forwarded packet traverses both. As in XDP, the answering leg
            // creates no TCP connection.
            for entry in failsafe {
                let family = if entry.cidr.addr().is_ipv4() {
                    "ip"
                } else {
                    "ip6"
                };
                let (cidr, port) = (entry.cidr, entry.port);
                if entry.protocol == Protocol::UDP {
                    add(&format!("{family} saddr {cidr} udp dport {port} accept"));
                    add(&format!("{family} daddr {cidr} udp sport {port} accept"));
                } else {
                    add(&format!("{family} saddr {cidr} tcp dport {port} accept"));
                    add(&format!(
                        "{family} daddr {cidr} tcp sport {port} tcp flags & (syn | ack) != syn accept"
                    ));
                }
            }
            add(
                "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, \
                 nd-neighbor-advert } accept",
            );
            add(&format!(
                "{name} @names {ifindex} != @protected counter drop\n}}"
            ));
        }
        add("}");
        text
    }
}

/// Removes the table of the Bailey with these pins, if it is loaded.
///
/// # Errors
/// If nft refuses. Without nft there is no table.
pub fn remove(pins: &Path) -> io::Result<()> {
    let table = table(pins);
    if list(&table).is_none() {
        return Ok(());
    }
    nft(&format!(
        "add table inet {table}\ndelete table inet {table}\n"
    ))
}

/// True if the table of the Bailey with these pins is loaded.
pub fn is_loaded(pins: &Path) -> bool {
    list(&table(pins)).is_some()
}

/// True if the table of the Bailey with these pins closes this interface.
pub fn closes(pins: &Path, name: &str, index: Option<u32>) -> bool {
    let Some(listed) = list(&table(pins)) else {
        return false;
    };
    let elements = |set: &str| -> Vec<&Value> {
        let objects = listed["nftables"].as_array().into_iter().flatten();
        let found = objects.map(|object| &object["set"]);
        let mut found = found.filter(|found| found["name"] == set);
        let list = found.next().and_then(|found| found["elem"].as_array());
        list.into_iter().flatten().collect()
    };
    // nft lists an existing interface by name, a vanished one by ifindex.
    let is_protected = |element: &&Value| {
        **element == *name || index.is_some_and(|index| element.as_u64() == Some(index.into()))
    };
    elements("names").iter().any(|element| **element == *name)
        && !elements("protected").iter().any(is_protected)
}

/// A table as JSON; `None` if it is not loaded.
fn list(table: &str) -> Option<Value> {
    let listed = Command::new("nft")
        .args(["-j", "list", "table", "inet", table])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    listed
        .status
        .success()
        .then(|| serde_json::from_slice(&listed.stdout).ok())
        .flatten()
}

/// True if nft is installed.
pub fn is_installed() -> bool {
    let mut version = Command::new("nft");
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// The name of the table; each pin directory has its own.
fn table(pins: &Path) -> String {
    let letters = pins.to_string_lossy();
    let letters = letters.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    });
    format!("bailey_guard{}", letters.collect::<String>())
}

fn nft(script: &str) -> io::Result<()> {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("nft: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or("failed");
    Err(io::Error::other(format!("nft: {first}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_lists_interfaces_ifindexes_and_failsafe() {
        let failsafe = Failsafe {
            cidr: "192.0.2.0/24".parse().unwrap(),
            protocol: Protocol::TCP,
            port: 22,
        };
        let pins = Path::new("/sys/fs/bpf/bailey");
        let names = ["eth0", "a-name-that-is-too-long-for-one"].map(str::to_owned);
        let guard = NftGuard::new(pins, names.into(), [7].into(), vec![failsafe]);
        let script = guard.script();
        for part in [
            "delete table inet bailey_guard_sys_fs_bpf_bailey",
            "elements = { \"eth0\" }",
            "elements = { 7 }",
            "ip saddr 192.0.2.0/24 tcp dport 22 accept",
            "ip daddr 192.0.2.0/24 tcp sport 22 tcp flags & (syn | ack) != syn accept",
            "iifname @names iif != @protected counter drop",
        ] {
            assert!(script.contains(part), "{part}: {script}");
        }
    }
}
