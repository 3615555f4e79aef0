//! `guard = "nftables"`: what goes through a configured interface that carries no XDP program is dropped
//! by netfilter. The table lists protected interfaces by their numbers: one that was deleted and made again
//! has another number, and is closed until a program is attached, also with the daemon dead.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bailey_datapath::Failsafe;
use bailey_policy::Protocol;

/// Before connection tracking and everything that could accept (`NF_IP_PRI_RAW` is -300).
const FIRST: i32 = -350;

/// What the table says: closed interfaces by name, but for those of these numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    table: String,
    names: BTreeSet<String>,
    protected: BTreeSet<u32>,
    failsafe: Vec<Failsafe>,
}

impl Guard {
    /// Closes these interfaces, whether they exist or not; `pins` tells one Bailey from another.
    pub fn new(pins: &Path, names: BTreeSet<String>, failsafe: Vec<Failsafe>) -> Self {
        Self {
            table: table(pins),
            names,
            protected: BTreeSet::new(),
            failsafe,
        }
    }

    /// The names that it closes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Makes the table as it is to be, by one transaction.
    ///
    /// # Errors
    /// If nft is not there, or refuses.
    pub fn install(&self) -> io::Result<()> {
        nft(&self.script())
    }

    /// The same where these interfaces have programs now. Nothing is done if they had.
    ///
    /// # Errors
    /// As [`Self::install`]; the table stays as it was.
    pub fn protect(&mut self, protected: BTreeSet<u32>) -> io::Result<()> {
        if protected == self.protected {
            return Ok(());
        }
        let next = Self {
            protected,
            ..self.clone()
        };
        next.install()?;
        *self = next;
        Ok(())
    }

    fn script(&self) -> String {
        let Self {
            table,
            names,
            protected,
            failsafe,
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
        // The last word has the one who drops; what others accept is asked here all the same.
        for (chain, hook, priority, name, number, peer, port) in [
            (
                "in",
                "prerouting",
                FIRST,
                "iifname",
                "iif",
                "saddr",
                "dport",
            ),
            (
                "out",
                "postrouting",
                -FIRST,
                "oifname",
                "oif",
                "daddr",
                "sport",
            ),
        ] {
            add(&format!(
                "chain {chain} {{\ntype filter hook {hook} priority {priority}; policy accept;"
            ));
            for entry in failsafe {
                let family = if entry.cidr.addr().is_ipv4() {
                    "ip"
                } else {
                    "ip6"
                };
                let protocol = if entry.protocol == Protocol::UDP {
                    "udp"
                } else {
                    "tcp"
                };
                add(&format!(
                    "{family} {peer} {} {protocol} {port} {} accept",
                    entry.cidr, entry.port
                ));
            }
            add(
                "meta l4proto ipv6-icmp icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
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
    let removed = nft(&format!(
        "add table inet {table}\ndelete table inet {table}\n"
    ));
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Is the table of a Bailey there?
pub fn is_there(pins: &Path) -> bool {
    let listed = Command::new("nft")
        .args(["list", "table", "inet", &table(pins)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    listed.is_ok_and(|status| status.success())
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
        let mut guard = Guard::new(pins, ["eth0".to_owned()].into(), vec![failsafe]);
        assert!(!guard.script().contains("elements = { 7 }"));
        guard.protected = [7].into();
        let script = guard.script();
        for part in [
            "delete table inet bailey_guard_sys_fs_bpf_bailey",
            "elements = { \"eth0\" }",
            "elements = { 7 }",
            "ip saddr 192.0.2.0/24 tcp dport 22 accept",
            "ip daddr 192.0.2.0/24 tcp sport 22 accept",
            "iifname @names iif != @protected counter drop",
        ] {
            assert!(script.contains(part), "{part}: {script}");
        }
    }
}
