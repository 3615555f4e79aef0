//! Emergency blocks, written directly into the pinned tables. Blocks are set and expire without a
//! daemon. The caller holds a lock, so that only one process changes blocks at a time.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{HashMap, Map, MapData};
use bailey_bpf::abi;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::DatapathError;
use crate::error::unusable;
use crate::flows::restamp::start_epoch;
use crate::kernel::clock::boot_nanoseconds;
use crate::maps::control_word::ControlMap;
use crate::maps::pinned::open_pinned;
use crate::maps::pins::PinDir;

const HOSTS: &str = "block_hosts";
const PREFIXES: &str = "block_prefixes";
/// Maximum length of a note in bytes; longer notes are truncated.
pub const NOTE_MAX: usize = abi::BLOCK_NOTE as usize;

type Host = [u64; 2];
/// Address family (`KIND_*`) and address.
type Prefix = [u32; 5];
type Value = [u64; size_of::<abi::block>() / 8];

/// An active block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Blocked addresses.
    pub prefix: IpNet,
    /// Seconds until the block expires.
    pub remaining_seconds: u64,
    /// Time of creation, in seconds since 1970.
    pub added: u64,
    /// Note of the operator.
    pub note: String,
}

/// The pinned tables of blocks.
#[derive(Debug)]
pub struct Blocks {
    hosts: HashMap<MapData, Host, Value>,
    prefixes: LpmTrie<MapData, Prefix, Value>,
    control: ControlMap,
    pins: PinDir,
}

impl Blocks {
    /// Opens the pinned tables.
    ///
    /// # Errors
    /// If nothing is pinned.
    pub fn open(pins: &PinDir) -> Result<Self, DatapathError> {
        let value = size_of::<abi::block>();
        let hosts = Map::HashMap(open_pinned(pins, HOSTS, value)?);
        let prefixes = Map::LpmTrie(open_pinned(pins, PREFIXES, value)?);
        let control = ControlMap::open_writable(pins, "control")?;
        Ok(Self {
            hosts: HashMap::try_from(hosts).map_err(unusable(HOSTS))?,
            prefixes: LpmTrie::try_from(prefixes).map_err(unusable(PREFIXES))?,
            control,
            pins: pins.clone_handle()?,
        })
    }

    /// Blocks each prefix for `seconds` from now. `now` is the wall-clock time, in seconds since
    /// 1970.
    ///
    /// # Errors
    /// If a table is full; then all tables are as before.
    pub fn add(
        &mut self,
        wanted: &[IpNet],
        seconds: u64,
        note: &str,
        now: u64,
    ) -> Result<(), DatapathError> {
        let known = self.remove_expired()?;
        let until = boot_nanoseconds().saturating_add(seconds.saturating_mul(1_000_000_000));
        let mut bytes = [0; NOTE_MAX];
        let note = truncate_note(note);
        bytes[..note.len()].copy_from_slice(note.as_bytes());
        let value: Value = bytemuck::cast(abi::block {
            until,
            own: until,
            added: now,
            note: bytes,
        });
        // First: if this process is killed meanwhile, blocks that are already in the tables apply.
        self.store_used_tables(u64::from(abi::BLOCKS_TABLES));
        for (at, &net) in wanted.iter().enumerate() {
            if let Err(error) = self.set(net, value) {
                // Restore the blocks that existed before.
                for net in &wanted[..at] {
                    let _ = match known.get(net) {
                        Some(&old) => self.set(*net, old),
                        None => self.unset(*net).map(drop),
                    };
                }
                self.propagate_expiry()?;
                return Err(error);
            }
        }
        self.propagate_expiry()
    }

    /// Removes blocks and returns those that existed.
    ///
    /// # Errors
    /// If a table cannot be written.
    pub fn remove(&mut self, wanted: &[IpNet]) -> Result<Vec<IpNet>, DatapathError> {
        let mut removed = Vec::new();
        for &net in wanted {
            if self.unset(net)? {
                removed.push(net);
            }
        }
        self.propagate_expiry()?;
        Ok(removed)
    }

    /// Lists the active blocks, sorted by prefix.
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
                    remaining_seconds: (value.own - now).div_ceil(1_000_000_000),
                    added: value.added,
                    note: String::from_utf8_lossy(note).into_owned(),
                });
            }
        }
        blocks.sort_by_key(|block| block.prefix);
        Ok(blocks)
    }

    /// Removes expired blocks and returns the others.
    fn remove_expired(&mut self) -> Result<BTreeMap<IpNet, Value>, DatapathError> {
        let now = boot_nanoseconds();
        let (live, expired): (Vec<_>, Vec<_>) = self
            .all()?
            .into_iter()
            .partition(|(_, value)| own_expiry(value) > now);
        for (net, _) in expired {
            self.unset(net)?;
        }
        Ok(live.into_iter().collect())
    }

    /// Extends each prefix to the expiry of the prefixes that cover it, because the LPM lookup
    /// returns only the longest match. Then starts an epoch, so that every flow is revalidated.
    fn propagate_expiry(&mut self) -> Result<(), DatapathError> {
        let all: BTreeMap<IpNet, Value> = self.all_prefixes()?.into_iter().collect();
        for (&net, value) in &all {
            let covering = all.iter().filter(|(other, _)| other.contains(&net));
            let until = covering
                .map(|(_, other)| own_expiry(other))
                .max()
                .unwrap_or(0);
            let mut block: abi::block = bytemuck::cast(*value);
            if block.until != until {
                block.until = until;
                self.set(net, bytemuck::cast(block))?;
            }
        }
        self.update_used_tables();
        start_epoch(&self.control, &self.pins).map(drop)
    }

    /// Records which tables have entries; the programs skip the others.
    fn update_used_tables(&self) {
        let hosts = u64::from(self.hosts.keys().next().is_some());
        let prefixes = u64::from(self.prefixes.keys().next().is_some());
        let used =
            (hosts * u64::from(abi::BLOCKS_HOSTS)) | (prefixes * u64::from(abi::BLOCKS_PREFIXES));
        self.store_used_tables(used);
    }

    fn store_used_tables(&self, used: u64) {
        let word = self.control.field(0, offset_of!(abi::control, blocks));
        // Another process may be capturing.
        word.fetch_or(used, Ordering::Release);
        let unused = u64::from(abi::BLOCKS_TABLES) & !used;
        word.fetch_and(!unused, Ordering::Release);
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
        match key_of(net) {
            BlockKey::Host(host) => self.hosts.insert(host, value, 0).map_err(full),
            BlockKey::Prefix(bits, words) => {
                let key = Key::new(bits, words);
                self.prefixes.insert(&key, value, 0).map_err(full)
            }
        }
    }

    fn unset(&mut self, net: IpNet) -> Result<bool, DatapathError> {
        let result = match key_of(net) {
            BlockKey::Host(host) => self.hosts.remove(&host),
            BlockKey::Prefix(bits, words) => self.prefixes.remove(&Key::new(bits, words)),
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

/// Expiry of the block itself, without that of covering prefixes.
fn own_expiry(value: &Value) -> u64 {
    let block: &abi::block = bytemuck::cast_ref(value);
    block.own
}

/// Truncates a note to [`NOTE_MAX`] bytes, between characters.
fn truncate_note(note: &str) -> &str {
    let end = (0..=note.len().min(NOTE_MAX)).rev();
    let end = end.into_iter().find(|&at| note.is_char_boundary(at));
    &note[..end.unwrap_or(0)]
}

/// Table and key of a block.
enum BlockKey {
    Host(Host),
    Prefix(u32, Prefix),
}

/// Key of a prefix. Full-length prefixes are in the hash table of hosts.
fn key_of(net: IpNet) -> BlockKey {
    let (address, bits) = match net.trunc() {
        IpNet::V4(net) => (
            net.addr().to_ipv6_mapped(),
            96 + u32::from(net.prefix_len()),
        ),
        IpNet::V6(net) => (net.addr(), u32::from(net.prefix_len())),
    };
    if bits == 128 {
        BlockKey::Host(bytemuck::cast(address.octets()))
    } else {
        let [a, b, c, d]: [u32; 4] = bytemuck::cast(address.octets());
        let kind = match net {
            IpNet::V4(_) => abi::KIND_IPV4,
            IpNet::V6(_) => abi::KIND_IPV6,
        };
        BlockKey::Prefix(KIND_BITS + bits, [kind, a, b, c, d])
    }
}

/// Bits of the address family, which comes first in a key.
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
    // Unreachable: the tables only hold keys of `key_of`.
    net.unwrap_or_else(|_| IpNet::V6(Ipv6Net::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_decode_from_their_keys() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "192.0.2.1/32",
            "2001:db8::/32",
            "::/0",
            "fd00::1/128",
        ] {
            let net: IpNet = text.parse().unwrap();
            let back = match key_of(net) {
                BlockKey::Host(host) => net_of(128, bytemuck::cast(host)),
                BlockKey::Prefix(bits, words) => net_of_prefix(bits, words),
            };
            assert_eq!(back, net);
        }
    }

    #[test]
    fn notes_are_truncated_between_characters() {
        assert_eq!(truncate_note("scan"), "scan");
        let long = "ä".repeat(30);
        assert_eq!(truncate_note(&long).len(), 40);
        assert_eq!(truncate_note(&format!("x{long}")).len(), 39);
    }
}
