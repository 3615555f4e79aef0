use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bailey_datapath::Queues;
use bailey_datapath::kernel::netlink::interface_by_name;
use nix::ifaddrs::getifaddrs;

/// An interface that frames leave through, or come back by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in this thread's network namespace.
    pub name: String,
    /// Its index there.
    pub index: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Each can have a socket.
    pub queues: Queues,
    /// Megabits a second, if it tells.
    pub speed: Option<u64>,
    /// What it is plugged into: `8.0 GT/s PCIe x4`.
    pub slot: Option<Slot>,
}

/// A PCI Express slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Of one lane: transfers a second.
    pub transfers: f64,
    /// How many lanes there are.
    pub lanes: f64,
}

impl Eq for Slot {}

impl Slot {
    /// Bits a second in each direction, without what lanes spend on encoding.
    pub fn bits(&self) -> f64 {
        // 8b/10b until 5 GT/s, 128b/130b since.
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
    /// Looks an interface up, and refuses one that the machine needs.
    ///
    /// # Errors
    /// If there is none of this name, it is down, it is not Ethernet, or, unless forced, it has addresses
    /// or a default route.
    pub fn open(name: &str, force: bool) -> Result<Self> {
        let state = interface_by_name(name)?
            .with_context(|| format!("there is no interface {name}; `ip link` lists them"))?;
        let mac = state.mac.filter(|mac| *mac != [0; 6]);
        let mac = mac.with_context(|| format!("{name} is no Ethernet"))?;
        ensure!(state.up, "{name} is down; ip link set {name} up");
        wait_for_carrier(name)?;
        if !force && let Some(use_of_it) = used_for(name)? {
            bail!(
                "{name} {use_of_it}, and the tester would take every frame that arrives there; \
                 choose another interface, or insist with --force"
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

    /// Frames that it says it dropped on reception so far.
    pub(crate) fn dropped(&self) -> Result<u64> {
        let path = "/proc/thread-self/net/dev";
        let text = fs::read_to_string(path).context(path)?;
        let mut lines = text.lines().map(str::trim_start);
        let line = lines.find_map(|line| line.strip_prefix(&self.name)?.strip_prefix(':'));
        let fields = line.with_context(|| format!("{} is gone", self.name))?;
        // Bytes, packets, errors, then what was dropped or missed, and what the FIFO lost.
        let fields = fields.split_whitespace().skip(2).take(3);
        Ok(fields.filter_map(|field| field.parse::<u64>().ok()).sum())
    }
}

/// How long a card may take until it has its carrier back, after a program came or went.
const CARRIER: Duration = Duration::from_secs(10);

/// Waits for it.
pub(crate) fn wait_for_carrier(name: &str) -> Result<()> {
    let begun = Instant::now();
    while !interface_by_name(name)?.is_some_and(|state| state.running) {
        ensure!(
            begun.elapsed() < CARRIER,
            "{name} has no carrier: is its cable plugged in, and the other end up?"
        );
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What the machine uses an interface for.
fn used_for(name: &str) -> Result<Option<String>> {
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
        // Interface, destination, …, mask.
        fields.first() == Some(&name)
            && fields.get(1) == Some(&"00000000")
            && fields.get(7) == Some(&"00000000")
    };
    // Without IPv6 there is no such file.
    let v6 = fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default();
    let any_v6 = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Destination, its length, …, interface.
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
    fn slots_carry_what_the_standard_says() {
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
    fn an_interface_that_does_not_exist_is_named() {
        let error = Port::open("nosuch0", true).unwrap_err().to_string();
        assert!(error.contains("no interface nosuch0"), "{error}");
    }

    #[test]
    fn loopback_is_no_ethernet() {
        let error = Port::open("lo", true).unwrap_err().to_string();
        assert!(error.contains("lo is no"), "{error}");
    }
}
