//! Emergency blocks, written straight into the pinned tables: no daemon is needed, neither to set
//! them nor for them to lapse. One process at a time changes them; who calls sees to that.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, Map, MapData};
use bailey_bpf::abi;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::DatapathError;
use crate::error::unusable;
use crate::kernel::bpf::boot_nanoseconds;
use crate::kernel::mmap::Mapping;
use crate::maps::control_word::{self, ControlWord};
use crate::maps::pinned::{map_pinned_writable, open_pinned};
use crate::maps::pins::PinDir;

const HOSTS: &str = "block_hosts";
const PREFIXES: &str = "block_prefixes";
/// Bytes of a note that are kept.
pub const NOTE_MAX: usize = abi::BLOCK_NOTE as usize;

type Host = [u64; 2];
/// Kind and address.
type Prefix = [u32; 5];
type Value = [u64; size_of::<abi::block>() / 8];

/// A block in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What is blocked.
    pub prefix: IpNet,
    /// Seconds until it lapses.
    pub seconds_left: u64,
    /// When it was set, in seconds since 1970.
    pub added: u64,
    /// Why.
    pub note: String,
}

/// The pinned tables of blocks.
#[derive(Debug)]
pub struct Blocks {
    hosts: HashMap<MapData, Host, Value>,
    prefixes: LpmTrie<MapData, Prefix, Value>,
    control: Mapping,
}

impl Blocks {
    /// Opens what is pinned there.
    ///
    /// # Errors
    /// If nothing is pinned.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let value = size_of::<abi::block>();
        let hosts = Map::HashMap(open_pinned(pins, HOSTS, value)?.0);
        let prefixes = Map::LpmTrie(open_pinned(pins, PREFIXES, value)?.0);
        let control = map_pinned_writable(pins, "control", size_of::<abi::control>())?;
        Ok(Self {
            hosts: HashMap::try_from(hosts).map_err(unusable(HOSTS))?,
            prefixes: LpmTrie::try_from(prefixes).map_err(unusable(PREFIXES))?,
            control,
        })
    }

    /// Blocks each for so many seconds from now.
    ///
    /// # Errors
    /// If a table is full; then what was set is taken back.
    pub fn add(
        &mut self,
        wanted: &[IpNet],
        seconds: u64,
        note: &str,
        now: u64,
    ) -> Result<(), DatapathError> {
        let known = self.purge()?;
        let until = boot_nanoseconds().saturating_add(seconds.saturating_mul(1_000_000_000));
        let mut bytes = [0; NOTE_MAX];
        let note = shorten(note);
        bytes[..note.len()].copy_from_slice(note.as_bytes());
        let value: Value = bytemuck::cast(abi::block {
            until,
            own: until,
            added: now,
            note: bytes,
        });
        // First: killed under way, what is in the tables holds.
        self.store_which(u64::from(abi::BLOCKS_HOSTS | abi::BLOCKS_PREFIXES));
        for (at, &net) in wanted.iter().enumerate() {
            if let Err(error) = self.set(net, value) {
                // What was blocked before stays so.
                for net in &wanted[..at] {
                    let _ = match known.get(net) {
                        Some(&old) => self.set(*net, old),
                        None => self.unset(*net).map(drop),
                    };
                }
                self.settle()?;
                return Err(error);
            }
        }
        self.settle()
    }

    /// Lifts blocks; those that there were.
    ///
    /// # Errors
    /// If a table cannot be written.
    pub fn remove(&mut self, wanted: &[IpNet]) -> Result<Vec<IpNet>, DatapathError> {
        let mut lifted = Vec::new();
        for &net in wanted {
            if self.unset(net)? {
                lifted.push(net);
            }
        }
        self.settle()?;
        Ok(lifted)
    }

    /// Those in force, in order.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub fn list(&self) -> Result<Vec<Block>, DatapathError> {
        let now = boot_nanoseconds();
        let mut blocks = Vec::new();
        for (prefix, value) in self.all()? {
            let value: abi::block = bytemuck::cast(value);
            if value.own > now {
                let end = value.note.iter().position(|&byte| byte == 0);
                let note = &value.note[..end.unwrap_or(NOTE_MAX)];
                blocks.push(Block {
                    prefix,
                    seconds_left: (value.own - now).div_ceil(1_000_000_000),
                    added: value.added,
                    note: String::from_utf8_lossy(note).into_owned(),
                });
            }
        }
        blocks.sort_by_key(|block| block.prefix);
        Ok(blocks)
    }

    /// Forgets those that have lapsed; the others.
    fn purge(&mut self) -> Result<BTreeMap<IpNet, Value>, DatapathError> {
        let now = boot_nanoseconds();
        let (live, lapsed): (Vec<_>, Vec<_>) = self
            .all()?
            .into_iter()
            .partition(|(_, value)| own(value) > now);
        for (net, _) in lapsed {
            self.unset(net)?;
        }
        Ok(live.into_iter().collect())
    }

    /// A longer prefix hides the shorter one that covers it, so it holds for as long as any of both;
    /// then every flow is asked about again.
    fn settle(&mut self) -> Result<(), DatapathError> {
        let all: BTreeMap<IpNet, Value> = self.all_prefixes()?.into_iter().collect();
        for (&net, value) in &all {
            let covering = all.iter().filter(|(other, _)| other.contains(&net));
            let until = covering.map(|(_, other)| own(other)).max().unwrap_or(0);
            if value[0] != until {
                let mut value = *value;
                value[0] = until;
                self.set(net, value)?;
            }
        }
        self.note_which();
        ControlWord::new_epoch(&self.control);
        Ok(())
    }

    /// Tells the programs which tables are worth a look.
    fn note_which(&self) {
        let hosts = u64::from(self.hosts.keys().next().is_some());
        let prefixes = u64::from(self.prefixes.keys().next().is_some());
        let which =
            (hosts * u64::from(abi::BLOCKS_HOSTS)) | (prefixes * u64::from(abi::BLOCKS_PREFIXES));
        self.store_which(which);
    }

    fn store_which(&self, which: u64) {
        self.control.words()[control_word::BLOCKS].store(which, Ordering::Release);
    }

    fn set(&mut self, net: IpNet, value: Value) -> Result<(), DatapathError> {
        let full = |error: aya::maps::MapError| match error {
            aya::maps::MapError::SyscallError(call)
                if matches!(
                    call.io_error.raw_os_error(),
                    Some(libc::E2BIG | libc::ENOSPC)
                ) =>
            {
                DatapathError::Unsupported(format!(
                    "no room for a block of {net}: {} addresses and {} wider prefixes fit",
                    abi::BLOCK_HOSTS,
                    abi::BLOCK_PREFIXES
                ))
            }
            error => unusable("blocks")(error),
        };
        match place(net) {
            Place::Host(host) => self.hosts.insert(host, value, 0).map_err(full),
            Place::Prefix(bits, words) => {
                let key = Key::new(bits, words);
                self.prefixes.insert(&key, value, 0).map_err(full)
            }
        }
    }

    fn unset(&mut self, net: IpNet) -> Result<bool, DatapathError> {
        let result = match place(net) {
            Place::Host(host) => self.hosts.remove(&host),
            Place::Prefix(bits, words) => self.prefixes.remove(&Key::new(bits, words)),
        };
        match result {
            Ok(()) => Ok(true),
            Err(aya::maps::MapError::KeyNotFound) => Ok(false),
            Err(aya::maps::MapError::SyscallError(call))
                if call.io_error.raw_os_error() == Some(libc::ENOENT) =>
            {
                Ok(false)
            }
            Err(error) => Err(unusable("blocks")(error)),
        }
    }

    fn all(&self) -> Result<Vec<(IpNet, Value)>, DatapathError> {
        let mut all = self.all_prefixes()?;
        for entry in self.hosts.iter() {
            let (host, value) = entry.map_err(unusable(HOSTS))?;
            all.push((net_of(128, bytemuck::cast(host)), value));
        }
        Ok(all)
    }

    fn all_prefixes(&self) -> Result<Vec<(IpNet, Value)>, DatapathError> {
        self.prefixes
            .iter()
            .map(|entry| {
                let (key, value) = entry.map_err(unusable(PREFIXES))?;
                Ok((net_of_prefix(key.prefix_len(), key.data()), value))
            })
            .collect()
    }
}

fn own(value: &Value) -> u64 {
    value[1]
}

/// As much of a note as is kept.
fn shorten(note: &str) -> &str {
    let end = (0..=note.len().min(NOTE_MAX)).rev();
    let end = end.into_iter().find(|&at| note.is_char_boundary(at));
    &note[..end.unwrap_or(0)]
}

enum Place {
    Host(Host),
    Prefix(u32, Prefix),
}

/// Where a prefix belongs: full-length ones are looked up exactly.
fn place(net: IpNet) -> Place {
    let (address, bits) = match net.trunc() {
        IpNet::V4(net) => (
            net.addr().to_ipv6_mapped(),
            96 + u32::from(net.prefix_len()),
        ),
        IpNet::V6(net) => (net.addr(), u32::from(net.prefix_len())),
    };
    if bits == 128 {
        Place::Host(bytemuck::cast(address.octets()))
    } else {
        let [a, b, c, d]: [u32; 4] = bytemuck::cast(address.octets());
        let kind = match net {
            IpNet::V4(_) => abi::KIND_IPV4,
            IpNet::V6(_) => abi::KIND_IPV6,
        };
        Place::Prefix(KIND_BITS + bits, [kind, a, b, c, d])
    }
}

/// The kind of addresses comes first in a key.
const KIND_BITS: u32 = 32;

fn net_of_prefix(bits: u32, [_, a, b, c, d]: Prefix) -> IpNet {
    net_of(bits - KIND_BITS, bytemuck::cast([a, b, c, d]))
}

fn net_of(bits: u32, octets: [u8; 16]) -> IpNet {
    let address = Ipv6Addr::from(octets);
    let v4 = address.to_ipv4_mapped().filter(|_| bits >= 96);
    let net = match v4 {
        Some(v4) => Ipv4Net::new(v4, (bits - 96) as u8).map(IpNet::V4),
        None => Ipv6Net::new(address, bits as u8).map(IpNet::V6),
    };
    // The tables hold what `place` made of a prefix.
    net.unwrap_or_else(|_| IpNet::V6(Ipv6Net::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_survive_their_place() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "192.0.2.1/32",
            "2001:db8::/32",
            "::/0",
            "fd00::1/128",
        ] {
            let net: IpNet = text.parse().unwrap();
            let back = match place(net) {
                Place::Host(host) => net_of(128, bytemuck::cast(host)),
                Place::Prefix(bits, words) => net_of_prefix(bits, words),
            };
            assert_eq!(back, net);
        }
    }

    #[test]
    fn notes_are_cut_between_characters() {
        assert_eq!(shorten("scan"), "scan");
        let long = "ä".repeat(30);
        assert_eq!(shorten(&long).len(), 40);
        assert_eq!(shorten(&format!("x{long}")).len(), 39);
    }
}
