use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bailey_lab::namespace::Frames;
use bailey_lab::wire::{LEFT, RIGHT, SIDES};
use bailey_lab::{Namespace, Wire};
use libbpf_rs::{MapCore, MapFlags, Xdp, XdpFlags};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use super::frames::MACS;
use super::generator::{Generator, Sending};
use crate::object::{BpfObject, image};
use bailey_nic::cpu;

/// Generators run here, and whatever stands for people.
pub(crate) const GENERATOR_CPU: usize = 0;
/// The device under test polls its interfaces here.
pub(crate) const TEST_CPU: usize = 1;

/// A wire with a device under test in the middle, which polls both of its interfaces in threads of its own,
/// on a CPU of its own.
pub(crate) struct WireTestbed {
    pub(crate) wire: Wire,
    /// At the ends of the wire.
    receiver: BpfObject,
    /// The threads that poll.
    napi_threads: Vec<u32>,
    interfaces: [u32; 2],
}

/// How frames get across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// A program does it, or nobody.
    None,
    /// A bridge of the kernel.
    Bridge,
    /// The kernel's IP stack.
    Route,
}

/// What became of frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    /// That the device under test has taken from its interface.
    pub(crate) processed: u64,
    /// That arrived behind it.
    pub(crate) arrived: u64,
    /// How long they were sent.
    pub(crate) elapsed: Duration,
    /// What the threads of the device under test ran meanwhile.
    pub(crate) busy: Duration,
}

impl WireTestbed {
    /// A wire that nobody forwards on yet, with static neighbours: nothing is to wait for them.
    pub(crate) fn new() -> Result<Self> {
        let wire = Wire::new()?;
        for (host, peer, mac) in [(&wire.left, RIGHT, MACS[1]), (&wire.right, LEFT, MACS[0])] {
            host.ip(&format!(
                "neigh replace {} lladdr {} dev eth0 nud permanent",
                peer[0],
                mac_text(mac)
            ))?;
            // What arrives is to be what was sent, and nothing of the hosts' own.
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

    /// Lets the kernel forward.
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
                    // Hosts send to each other's address, which is the router's own on that side.
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
        attached.with_context(|| format!("XDP on {interface}"))
    }

    /// Makes the host behind the device under test count what arrives, or also how long it took, and take
    /// nothing in.
    pub(crate) fn attach_receivers(&self, program: &str) -> Result<()> {
        for host in [&self.wire.left, &self.wire.right] {
            Self::attach(host, "eth0", self.receiver.program_fd(program)?)?;
        }
        Ok(())
    }

    /// Gives the device under test its threads and their CPU; after it is set up.
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
            ensure!(begun.elapsed() < Duration::from_secs(5), "no threads poll");
        }
        for &thread in &self.napi_threads {
            cpu::pin_thread(thread, TEST_CPU)?;
        }
        Ok(())
    }

    /// Sends from one side, and waits until nothing moves any more.
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

    /// What stamped frames took until now.
    pub(crate) fn clear_latencies(&self) -> Result<()> {
        let map = self.receiver.map("samples")?;
        let zero = 0_u32.to_ne_bytes();
        Ok(map.update(&zero, &zero, MapFlags::ANY)?)
    }

    /// What they took since then, in nanoseconds.
    pub(crate) fn latencies(&self) -> Result<Vec<u32>> {
        let map = self.receiver.map("samples")?;
        let most = map.max_entries() - 1;
        let word = |at: u32| -> Result<u32> {
            let value = map.lookup(&at.to_ne_bytes(), MapFlags::ANY)?;
            let value = value.context("no such sample")?;
            Ok(value.first_chunk().map_or(0, |w| u32::from_ne_bytes(*w)))
        };
        let count = word(0)?;
        ensure!(count <= most, "{count} samples do not fit");
        (1..=count).map(word).collect()
    }

    /// How long the device under test has run.
    pub(crate) fn busy_time(&self) -> Result<Duration> {
        let mut sum = 0;
        for thread in &self.napi_threads {
            let path = format!("/proc/{thread}/schedstat");
            let text = fs::read_to_string(&path).context(path)?;
            let ran = text.split_whitespace().next();
            sum += ran
                .and_then(|ran| ran.parse::<u64>().ok())
                .context("schedstat")?;
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

/// The index of an interface.
pub(crate) fn ifindex(namespace: &Namespace, interface: &str) -> Result<u32> {
    let name = interface.to_owned();
    let found = namespace.run(move || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        netdevice::name_to_index(any, &name)
    });
    found.with_context(|| format!("no interface {interface}"))
}

/// All threads of the kernel that poll interfaces of a device under test.
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
