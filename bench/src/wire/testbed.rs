//! The testbed: two hosts, a device under test between them, and its counters.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::inline_testbed::{LEFT, RIGHT, SIDES};
use bailey_lab::namespace::Frames;
use bailey_lab::{InlineTestbed, Namespace};
use libbpf_rs::{MapCore, MapFlags, Xdp, XdpFlags};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::frames::MACS;
use super::generator::{Generator, Sending};
use crate::object::{BpfObject, image};
use bailey_nic::cpu;

/// CPU of the generators, the hosts and every other process.
pub(crate) const GENERATOR_CPU: usize = 0;
/// CPU of the threads that poll the interfaces of the device under test.
pub(crate) const TEST_CPU: usize = 1;

/// Two hosts with a device under test between them. Dedicated threads on a dedicated CPU poll both
/// interfaces of the device.
pub(crate) struct WireTestbed {
    pub(crate) wire: InlineTestbed,
    /// Receive programs of both hosts.
    receiver: BpfObject,
    /// Kernel threads that poll the device's interfaces.
    napi_threads: Vec<u32>,
    interfaces: [u32; 2],
}

/// How the kernel forwards frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// No kernel forwarding: an XDP program forwards, or the device drops.
    None,
    /// A Linux bridge.
    Bridge,
    /// The kernel's IP stack.
    Route,
}

/// Counters of one transmission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    /// Frames that the device under test read from its interface.
    pub(crate) processed: u64,
    /// Frames that arrived at the receiving host.
    pub(crate) arrived: u64,
    /// Duration of sending.
    pub(crate) elapsed: Duration,
    /// CPU time of the device's threads during sending.
    pub(crate) busy: Duration,
}

impl WireTestbed {
    /// A testbed without forwarding. Neighbours are static, so that no frame waits for resolution.
    pub(crate) fn new() -> Result<Self> {
        let wire = InlineTestbed::new()?;
        for (host, peer, mac) in [(&wire.left, RIGHT, MACS[1]), (&wire.right, LEFT, MACS[0])] {
            host.ip(&format!(
                "neigh replace {} lladdr {} dev eth0 nud permanent",
                peer[0],
                mac_text(mac)
            ))?;
            // Without IPv6 the hosts send no frames of their own, such as router solicitations.
            host.sysctl("net.ipv6.conf.all.disable_ipv6", "1")?;
        }
        for side in SIDES {
            wire.bump.command("ethtool", &format!("-K {side} gro on"))?;
        }
        let interfaces = [ifindex(&wire.left, "eth0")?, ifindex(&wire.right, "eth0")?];
        wire.left.run(|| cpu::pin(GENERATOR_CPU))?;
        wire.right.run(|| cpu::pin(GENERATOR_CPU))?;
        Ok(Self {
            wire,
            receiver: BpfObject::load_embedded(image!("generate"), &[("frames", 1)])?,
            napi_threads: Vec::new(),
            interfaces,
        })
    }

    /// Configures kernel forwarding on the device.
    pub(crate) fn forward(&self, how: Forwarding) -> Result<()> {
        let bump = &self.wire.bump;
        match how {
            Forwarding::None => Ok(()),
            Forwarding::Bridge => {
                bump.ip("link add br0 type bridge")?;
                for side in SIDES {
                    bump.ip(&format!("link set {side} master br0"))?;
                }
                bump.ip("link set br0 up")
            }
            Forwarding::Route => {
                bump.sysctl("net.ipv4.ip_forward", "1")?;
                for (at, (side, host)) in SIDES.into_iter().zip([LEFT, RIGHT]).enumerate() {
                    // Hosts send to each other's MAC, which is the router's own MAC on that side.
                    bump.ip(&format!(
                        "link set {side} address {}",
                        mac_text(MACS[1 - at])
                    ))?;
                    bump.ip(&format!("route add {} dev {side}", host[0]))?;
                    bump.ip(&format!(
                        "neigh replace {} lladdr {} dev {side} nud permanent",
                        host[0],
                        mac_text(MACS[at])
                    ))?;
                }
                let left = SIDES[0];
                bump.ip(&format!(
                    "route add default via {} dev {left} onlink",
                    LEFT[0]
                ))
            }
        }
    }

    /// Attaches a program to an interface of a namespace.
    pub(crate) fn attach(namespace: &Namespace, interface: &str, program: OwnedFd) -> Result<()> {
        let ifindex = ifindex(namespace, interface)? as i32;
        let attached =
            namespace.run(move || Xdp::new(program.as_fd()).attach(ifindex, XdpFlags::DRV_MODE));
        attached.with_context(|| format!("cannot attach XDP to {interface}"))
    }

    /// Attaches a receive program to both hosts: `count` counts frames, `arrive` also records
    /// latencies. Both drop the frames.
    pub(crate) fn attach_receivers(&self, program: &str) -> Result<()> {
        for host in [&self.wire.left, &self.wire.right] {
            Self::attach(host, "eth0", self.receiver.program_fd(program)?)?;
        }
        Ok(())
    }

    /// Moves the polling of the device's interfaces into threads, and pins the threads to
    /// [`TEST_CPU`]. Call after the system is set up.
    pub(crate) fn pin_device_threads(&mut self) -> Result<()> {
        let sysfs: PathBuf = self.wire.root().join("sys");
        let before = list_napi_threads();
        let bump = &self.wire.bump;
        let target = sysfs.clone();
        bump.run(move || fs::create_dir(target))?;
        bump.command("mount", &format!("-t sysfs bench {}", sysfs.display()))?;
        for side in SIDES {
            let path = sysfs.join("class/net").join(side).join("threaded");
            bump.run(move || fs::write(&path, "1").with_context(|| path.display().to_string()))?;
        }
        let begun = Instant::now();
        while self.napi_threads.len() < SIDES.len() {
            let now = list_napi_threads();
            self.napi_threads = now.into_iter().filter(|id| !before.contains(id)).collect();
            ensure!(
                begun.elapsed() < Duration::from_secs(5),
                "the kernel started no NAPI threads"
            );
        }
        for &thread in &self.napi_threads {
            cpu::pin_thread(thread, TEST_CPU)?;
        }
        Ok(())
    }

    /// Sends frames from one side, and waits until no counter changes.
    pub(crate) fn transfer(
        &self,
        generator: &Generator,
        side: usize,
        sending: Sending,
    ) -> Result<Transfer> {
        let before = (self.processed(side)?, self.arrived()?, self.busy_time()?);
        let from = [&self.wire.left, &self.wire.right][side];
        let elapsed = generator.send(from, self.interfaces[side], sending)?;
        let busy = self.busy_time()? - before.2;
        let mut now = (self.processed(side)?, self.arrived()?);
        loop {
            sleep(Duration::from_millis(2));
            let next = (self.processed(side)?, self.arrived()?);
            if next == now {
                break;
            }
            now = next;
        }
        Ok(Transfer {
            processed: now.0.received - before.0.received,
            arrived: now.1 - before.1,
            elapsed,
            busy,
        })
    }

    /// Clears the recorded latencies.
    pub(crate) fn clear_latencies(&self) -> Result<()> {
        let map = self.receiver.map("samples")?;
        let zero = 0_u32.to_ne_bytes();
        Ok(map.update(&zero, &zero, MapFlags::ANY)?)
    }

    /// Latencies since the last clear, in nanoseconds.
    pub(crate) fn latencies(&self) -> Result<Vec<u32>> {
        let map = self.receiver.map("samples")?;
        let most = map.max_entries() - 1;
        let word = |at: u32| -> Result<u32> {
            let value = map.lookup(&at.to_ne_bytes(), MapFlags::ANY)?;
            let value = value.context("the sample map has fewer entries than its counter")?;
            Ok(value.first_chunk().map_or(0, |w| u32::from_ne_bytes(*w)))
        };
        let count = word(0)?;
        ensure!(
            count <= most,
            "{count} latency samples exceed the map's {most}"
        );
        (1..=count).map(word).collect()
    }

    /// CPU time of the device's threads since their start.
    pub(crate) fn busy_time(&self) -> Result<Duration> {
        let mut sum = 0;
        for thread in &self.napi_threads {
            let path = format!("/proc/{thread}/schedstat");
            let text = fs::read_to_string(&path).context(path)?;
            let ran = text.split_whitespace().next();
            sum += ran
                .and_then(|ran| ran.parse::<u64>().ok())
                .with_context(|| format!("no run time in /proc/{thread}/schedstat"))?;
        }
        Ok(Duration::from_nanos(sum))
    }

    fn processed(&self, side: usize) -> Result<Frames> {
        self.wire.bump.frames(SIDES[side])
    }

    fn arrived(&self) -> Result<u64> {
        Ok(self.receiver.percpu_sums("arrived", 1)?[0])
    }
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The ifindex of an interface in a namespace.
pub(crate) fn ifindex(namespace: &Namespace, interface: &str) -> Result<u32> {
    let name = interface.to_owned();
    let found = namespace.run(move || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        netdevice::name_to_index(any, &name)
    });
    found.with_context(|| format!("no interface {interface}"))
}

/// Kernel threads that poll interfaces of devices under test.
fn list_napi_threads() -> Vec<u32> {
    let ours = |id: &u32| {
        let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        SIDES
            .iter()
            .any(|side| name.starts_with(&format!("napi/{side}")))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(ours).collect()
}
