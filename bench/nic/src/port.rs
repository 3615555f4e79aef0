//! Interfaces of the tester: state, speed, PCIe slot, current use.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bailey_datapath::Queues;
use bailey_datapath::kernel::netlink::interface_by_name;
use nix::ifaddrs::getifaddrs;

/// An interface that sends or receives frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name in the network namespace of the calling thread.
    pub name: String,
    /// ifindex in that namespace.
    pub index: u32,
    /// MAC address.
    pub mac: [u8; 6],
    /// Queues; each can have an AF_XDP socket.
    pub queues: Queues,
    /// Link speed in Mbit/s, if the driver reports it.
    pub speed: Option<u64>,
    /// PCIe slot, such as `8.0 GT/s PCIe x4`; none for virtual interfaces.
    pub slot: Option<Slot>,
}

/// A PCI Express slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Transfers per second of one lane.
    pub transfers: f64,
    /// Number of lanes.
    pub lanes: f64,
}

impl Eq for Slot {}

impl Slot {
    /// Bits per second in each direction, without line encoding.
    pub fn bits(&self) -> f64 {
        // 8b/10b up to 5 GT/s, 128b/130b above.
        let encoding = if self.transfers > 5e9 {
            128.0 / 130.0
        } else {
            0.8
        };
        self.transfers * self.lanes * encoding
    }

    fn of(interface: &str) -> Option<Self> {
        let device = Path::new("/sys/class/net").join(interface).join("device");
        let word = |name: &str| {
            let text = fs::read_to_string(device.join(name)).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        };
        Some(Self {
            transfers: word("current_link_speed")? * 1e9,
            lanes: word("current_link_width")?,
        })
    }
}

impl Port {
    /// Looks up an interface, and rejects an interface that the machine uses.
    ///
    /// # Errors
    /// If the interface does not exist, is down or is not Ethernet; without `force` also if it has
    /// an address or a default route.
    pub fn open(name: &str, force: bool) -> Result<Self> {
        let state = interface_by_name(name)?
            .with_context(|| format!("no interface {name}; `ip link` lists all"))?;
        let mac = state.mac.filter(|mac| *mac != [0; 6]);
        let mac = mac.with_context(|| format!("{name} is not an Ethernet interface"))?;
        ensure!(state.up, "{name} is down; run `ip link set {name} up`");
        wait_for_carrier(name)?;
        if !force && let Some(found_use) = find_use(name)? {
            bail!(
                "{name} {found_use}, and the tester would consume every frame that arrives there; \
                 choose another interface or use --force"
            );
        }
        let one = Queues {
            receiving: 1,
            sending: 1,
        };
        Ok(Self {
            index: state.index,
            mac,
            queues: bailey_datapath::queues(name).unwrap_or(one),
            speed: bailey_datapath::link_speed(name),
            slot: Slot::of(name),
            name: name.to_owned(),
        })
    }

    /// Frames that the interface dropped on reception since it was created.
    pub(crate) fn dropped(&self) -> Result<u64> {
        let path = "/proc/thread-self/net/dev";
        let text = fs::read_to_string(path).context(path)?;
        let mut lines = text.lines().map(str::trim_start);
        let line = lines.find_map(|line| line.strip_prefix(&self.name)?.strip_prefix(':'));
        let fields = line.with_context(|| format!("interface {} no longer exists", self.name))?;
        // Columns: bytes, packets, errors, dropped or missed, FIFO overruns.
        let fields = fields.split_whitespace().skip(2).take(3);
        Ok(fields.filter_map(|field| field.parse::<u64>().ok()).sum())
    }
}

/// How long a NIC may take to restore its carrier after a program is attached or detached.
const CARRIER: Duration = Duration::from_secs(10);

/// Waits until the interface has a carrier.
pub(crate) fn wait_for_carrier(name: &str) -> Result<()> {
    let begun = Instant::now();
    while !interface_by_name(name)?.is_some_and(|state| state.running) {
        ensure!(
            begun.elapsed() < CARRIER,
            "{name} has no carrier; check the cable and the remote port"
        );
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The address or route for which the machine uses an interface.
fn find_use(name: &str) -> Result<Option<String>> {
    if has_default_route(name)? {
        return Ok(Some("carries a default route".into()));
    }
    for address in getifaddrs().context("cannot list addresses")? {
        if address.interface_name != name {
            continue;
        }
        let Some(storage) = address.address else {
            continue;
        };
        if let Some(v4) = storage.as_sockaddr_in() {
            return Ok(Some(format!("has the address {}", v4.ip())));
        }
        if let Some(v6) = storage.as_sockaddr_in6()
            && !v6.ip().is_unicast_link_local()
        {
            return Ok(Some(format!("has the address {}", v6.ip())));
        }
    }
    Ok(None)
}

fn has_default_route(name: &str) -> Result<bool> {
    let path = "/proc/thread-self/net/route";
    let v4 = fs::read_to_string(path).context(path)?;
    let any = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Columns: interface, destination, …, mask.
        fields.first() == Some(&name)
            && fields.get(1) == Some(&"00000000")
            && fields.get(7) == Some(&"00000000")
    };
    // The file does not exist without IPv6.
    let v6 = fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    let any_v6 = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Columns: destination, prefix length, …, interface.
        fields.last() == Some(&name)
            && fields.get(1) == Some(&"00")
            && fields[0].bytes().all(|byte| byte == b'0')
    };
    Ok(v4.lines().any(any) || v6.lines().any(any_v6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_bandwidth_matches_the_standard() {
        let third = Slot {
            transfers: 8e9,
            lanes: 4.0,
        };
        assert_eq!((third.bits() / 1e6).round(), 31_508.0);
        let first = Slot {
            transfers: 2.5e9,
            lanes: 1.0,
        };
        assert_eq!(first.bits(), 2e9);
    }

    #[test]
    fn missing_interface_is_named_in_the_error() {
        let error = Port::open("nosuch0", true).unwrap_err().to_string();
        assert!(error.contains("no interface nosuch0"), "{error}");
    }

    #[test]
    fn loopback_is_rejected_as_not_ethernet() {
        let error = Port::open("lo", true).unwrap_err().to_string();
        assert!(error.contains("lo is not"), "{error}");
    }
}
