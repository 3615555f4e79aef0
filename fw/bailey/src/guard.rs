//! `guard = "nftables"`: what goes through a configured interface that carries no XDP program is dropped
//! by netfilter. The table lists protected interfaces by their numbers: one that was deleted and made again
//! has another number, and is closed until a program is attached, also with the daemon dead.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bailey_config::Failsafe;
use bailey_policy::Protocol;
use serde_json::Value;

use crate::clock::now;

/// Before connection tracking and everything that could accept (`NF_IP_PRI_RAW` is -300).
const FIRST: i32 = -350;

/// What the table says: closed interfaces by name, but for those of these numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    table: String,
    names: BTreeSet<String>,
    protected: BTreeSet<u32>,
    failsafe: Vec<Failsafe>,
    /// When the table was last there.
    looked: Instant,
}

/// `IFNAMSIZ`
const NAME_SIZE: usize = 16;

/// Packets come by names that fit; of what does not, the kernel has another.
fn that_fit(mut names: BTreeSet<String>) -> BTreeSet<String> {
    names.retain(|name| name.len() < NAME_SIZE);
    names
}

/// How often is looked whether somebody has taken the table away: each look starts a process.
const LOOK: Duration = Duration::from_secs(5);

impl Guard {
    /// Closes these interfaces, whether they exist or not, but for those with programs; `pins` tells one
    /// Bailey from another.
    pub fn new(
        pins: &Path,
        names: BTreeSet<String>,
        protected: BTreeSet<u32>,
        failsafe: Vec<Failsafe>,
    ) -> Self {
        Self {
            table: table(pins),
            names: that_fit(names),
            protected,
            failsafe,
            looked: now(),
        }
    }

    /// Makes the table as it is to be, by one transaction.
    ///
    /// # Errors
    /// If nft is not there, or refuses.
    pub fn install(&mut self) -> io::Result<()> {
        self.looked = now();
        nft(&self.script())
    }

    /// The same for these names, where these interfaces have programs now. Nothing is done if that was so,
    /// but a look from time to time. True if somebody had taken the table away.
    ///
    /// # Errors
    /// As [`Self::install`]; the table stays as it was.
    pub fn keep(&mut self, names: BTreeSet<String>, protected: BTreeSet<u32>) -> io::Result<bool> {
        let mut names = that_fit(names);
        names.extend(self.names.iter().cloned());
        let changed = protected != self.protected || names != self.names;
        let lost = now() - self.looked >= LOOK && {
            self.looked = now();
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

    fn script(&self) -> String {
        let Self {
            table,
            names,
            protected,
            failsafe,
            ..
        } = self;
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let numbers: Vec<String> = protected.iter().map(u32::to_string).collect();
        // Deleted and made within one transaction: there is no moment without it.
        let mut text = format!("add table inet {table}\ndelete table inet {table}\n");
        let mut add = |line: &str| {
            let _ = writeln!(text, "{line}");
        };
        add(&format!("table inet {table} {{"));
        for (set, kind, elements) in [
            ("names", "ifname", &quoted),
            ("protected", "iface_index", &numbers),
        ] {
            add(&format!("set {set} {{\ntype {kind}"));
            if !elements.is_empty() {
                add(&format!("elements = {{ {} }}", elements.join(", ")));
            }
            add("}");
        }
        for (chain, hook, priority, name, number) in [
            ("in", "prerouting", FIRST, "iifname", "iif"),
            ("out", "postrouting", -FIRST, "oifname", "oif"),
        ] {
            add(&format!(
                "chain {chain} {{\ntype filter hook {hook} priority {priority}; policy accept;"
            ));
            // Both legs in both chains: what a router forwards goes through both. The answering leg opens
            // nothing, as in XDP.
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
                "{name} @names {number} != @protected counter drop\n}}"
            ));
        }
        add("}");
        text
    }
}

/// Takes the table of a Bailey away, if there is one.
///
/// # Errors
/// If nft refuses. Where there is no nft, there is no table.
pub fn remove(pins: &Path) -> io::Result<()> {
    let table = table(pins);
    if list(&table).is_none() {
        return Ok(());
    }
    nft(&format!(
        "add table inet {table}\ndelete table inet {table}\n"
    ))
}

/// Is the table of a Bailey there?
pub fn is_there(pins: &Path) -> bool {
    list(&table(pins)).is_some()
}

/// Does the table of a Bailey close this interface?
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
    // An interface that is there is listed by its name.
    let is_protected = |element: &&Value| {
        **element == *name || index.is_some_and(|index| element.as_u64() == Some(index.into()))
    };
    elements("names").iter().any(|element| **element == *name)
        && !elements("protected").iter().any(is_protected)
}

/// A table as JSON.
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

/// Is there an nft?
pub fn is_possible() -> bool {
    let mut version = Command::new("nft");
    version
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// The name of the table: of each directory of pins another.
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
    fn the_table_names_interfaces_numbers_and_the_failsafe() {
        let failsafe = Failsafe {
            cidr: "192.0.2.0/24".parse().unwrap(),
            protocol: Protocol::TCP,
            port: 22,
        };
        let pins = Path::new("/sys/fs/bpf/bailey");
        let names = ["eth0", "a-name-that-is-too-long-for-one"].map(str::to_owned);
        let guard = Guard::new(pins, names.into(), [7].into(), vec![failsafe]);
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
