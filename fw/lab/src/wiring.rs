use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::namespace::Namespace;

/// Names real cards that are wired to each other, as `SLOT=SLOT,…` with PCI slots of the namespace
/// that the tests start in. Without it cables are veth pairs.
const PAIRS: &str = "BAILEY_LAB_PAIRS";

type End<'a> = (&'a Namespace, &'a str);

/// The cable of this number between two namespaces, both ends up.
pub(crate) fn cable(number: usize, a: End<'_>, b: End<'_>) -> Result<()> {
    let Ok(pairs) = std::env::var(PAIRS) else {
        return connect(a.0, a.1, b.0, b.1);
    };
    let pair = pairs.split(',').nth(number);
    let slots = pair.and_then(|pair| pair.split_once('='));
    let (first, second) = slots.with_context(|| format!("{PAIRS} has no cable {number}"))?;
    plug(first, a)?;
    plug(second, b)
}

/// A veth pair, both ends up.
///
/// # Errors
/// If a name is taken.
pub fn connect(a: &Namespace, a_name: &str, b: &Namespace, b_name: &str) -> Result<()> {
    a.ip(&format!(
        "link add {a_name} type veth peer name {b_name} netns {}",
        b.id()
    ))?;
    a.ip(&format!("link set {a_name} up"))?;
    b.ip(&format!("link set {b_name} up"))
}

/// A macvlan on an interface, which another namespace has.
///
/// # Errors
/// If a name is taken, or the kernel has none.
pub fn move_macvlan(host: &Namespace, on: &str, guest: &Namespace, name: &str) -> Result<()> {
    host.ip(&format!(
        "link add link {on} name {name} netns {} type macvlan mode bridge",
        guest.id()
    ))?;
    guest.ip(&format!("link set {name} up"))
}

/// Moves the card of a slot into a namespace, under a name of its own there.
fn plug(slot: &str, (namespace, name): End<'_>) -> Result<()> {
    let card = wait_for(slot)?;
    let output = Command::new("ip")
        .args(["link", "set", "dev", &card, "down", "netns"])
        .arg(namespace.id().to_string())
        .output()
        .context("cannot run ip")?;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "cannot move {card}: {error}");
    namespace.ip(&format!("link set dev {card} name {name}"))?;
    namespace.ip(&format!("link set dev {name} up"))?;
    wait_for_carrier(&[(namespace, name)]);
    Ok(())
}

/// Waits until interfaces carry, at most 10 s: a card has its carrier a moment after it is up, and anew
/// after a program was attached to it.
pub(crate) fn wait_for_carrier(ends: &[End<'_>]) {
    let begin = Instant::now();
    let all_carry = || {
        ends.iter().all(|(namespace, name)| {
            let name = (*name).to_owned();
            namespace.run(move || has_carrier(&name))
        })
    };
    while !all_carry() && begin.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(20));
    }
}

/// Asks `ip`: sysfs shows the namespace that it was mounted in.
fn has_carrier(name: &str) -> bool {
    let output = Command::new("ip")
        .args(["link", "show", "dev", name])
        .output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("LOWER_UP"))
}

/// A card comes back some time after the namespace that it was in is gone.
fn wait_for(slot: &str) -> Result<String> {
    let begin = Instant::now();
    loop {
        if let Some(name) = interface_of_slot(slot) {
            return Ok(name);
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(20),
            "no interface in slot {slot}: it is in use, or has no driver"
        );
        sleep(Duration::from_millis(20));
    }
}

/// The interface of a PCI slot, in the namespace that sysfs was mounted in.
pub fn interface_of_slot(slot: &str) -> Option<String> {
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
