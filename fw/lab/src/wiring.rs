//! Cables: veth pairs, or real NICs that are connected to each other.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::namespace::Namespace;

/// Environment variable with pairs of real NICs that are connected to each other: `SLOT=SLOT,…`,
/// PCI slots of the namespace in which the tests start. Without it, cables are veth pairs.
const PAIRS: &str = "BAILEY_LAB_PAIRS";

/// One end of a cable: a namespace and the name of the interface.
type End<'a> = (&'a Namespace, &'a str);

/// Connects two namespaces by the cable with this index, and sets both ends up.
pub(crate) fn connect_cable(index: usize, a: End<'_>, b: End<'_>) -> Result<()> {
    let Ok(pairs) = std::env::var(PAIRS) else {
        return connect(a.0, a.1, b.0, b.1);
    };
    let pair = pairs.split(',').nth(index);
    let slots = pair.and_then(|pair| pair.split_once('='));
    let (first, second) = slots.with_context(|| format!("{PAIRS} has no pair {index}"))?;
    move_nic(first, a)?;
    move_nic(second, b)
}

/// Connects two namespaces by a veth pair, and sets both ends up.
///
/// # Errors
/// If a name is in use.
pub fn connect(a: &Namespace, a_name: &str, b: &Namespace, b_name: &str) -> Result<()> {
    a.ip(&format!(
        "link add {a_name} type veth peer name {b_name} netns {}",
        b.id()
    ))?;
    a.ip(&format!("link set {a_name} up"))?;
    b.ip(&format!("link set {b_name} up"))
}

/// Adds a macvlan on an interface of `host` and moves it into `guest`.
///
/// # Errors
/// If the name is in use, or the kernel has no macvlan.
pub fn add_macvlan(host: &Namespace, on: &str, guest: &Namespace, name: &str) -> Result<()> {
    host.ip(&format!(
        "link add link {on} name {name} netns {} type macvlan mode bridge",
        guest.id()
    ))?;
    guest.ip(&format!("link set {name} up"))
}

/// Moves the NIC in a PCI slot into a namespace and renames it there.
fn move_nic(slot: &str, (namespace, name): End<'_>) -> Result<()> {
    let nic = wait_for_nic(slot)?;
    let output = Command::new("ip")
        .args(["link", "set", "dev", &nic, "down", "netns"])
        .arg(namespace.id().to_string())
        .output()
        .context("cannot run ip")?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "cannot move {nic}: {error}");
    namespace.ip(&format!("link set dev {nic} name {name}"))?;
    namespace.ip(&format!("link set dev {name} up"))?;
    wait_for_carrier(&[(namespace, name)]);
    Ok(())
}

/// Waits until interfaces have carrier, at most 10 s. A real NIC gets its carrier some time after
/// it is up, and loses it for a while when an XDP program is attached.
pub(crate) fn wait_for_carrier(ends: &[End<'_>]) {
    let begin = Instant::now();
    let all_have_carrier = || {
        ends.iter().all(|(namespace, name)| {
            let name = (*name).to_owned();
            namespace.run(move || has_carrier(&name))
        })
    };
    while !all_have_carrier() && begin.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(20));
    }
}

/// Reads the output of `ip`, because sysfs shows the namespace in which it was mounted.
fn has_carrier(name: &str) -> bool {
    let output = Command::new("ip")
        .args(["link", "show", "dev", name])
        .output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("LOWER_UP"))
}

/// Waits for the NIC in a PCI slot: it returns some time after its former namespace has ended.
fn wait_for_nic(slot: &str) -> Result<String> {
    let begin = Instant::now();
    loop {
        if let Some(name) = interface_in_slot(slot) {
            return Ok(name);
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(20),
            "no interface in PCI slot {slot}: the NIC is in use, or has no driver"
        );
        sleep(Duration::from_millis(20));
    }
}

/// The interface in a PCI slot, in the namespace in which sysfs was mounted.
pub fn interface_in_slot(slot: &str) -> Option<String> {
    let device = Path::new("/sys/bus/pci/devices").join(slot);
    let nested = fs::read_dir(&device)
        .ok()?
        .flatten()
        .map(|e| e.path().join("net"));
    let folders = nested.chain([device.join("net")]);
    let mut names = folders
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten();
    let first = names.find_map(Result::ok)?;
    first.file_name().into_string().ok()
}
