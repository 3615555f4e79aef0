//! The daemon starts, stops and crashes; the attached programs continue to enforce.
#![cfg(target_os = "linux")]

/// Lock-out warning, failsafe, control socket.
mod access;
/// Starts beside other daemons and programs.
mod conflicts;
#[path = "../demo_lab/mod.rs"]
mod demo_lab;
/// Detaching, and restoring NIC settings.
mod detach;
/// The systemd unit and the doctor.
mod installation;
/// Interfaces that change under the daemon.
mod interfaces;
/// Stops, crashes and restarts.
mod restart;
/// Upgrades from the former layout.
mod upgrade;

use std::fs;
use std::path::{Path, PathBuf};

use bailey_datapath::testing::pinned_program;
use bailey_lab::daemon::CONFIG;
use bailey_lab::{Daemon, Lab};
use demo_lab::*;

fn relaunch(lab: &Lab, arguments: &[&str]) -> Daemon {
    Daemon::launch(&lab.node, lab.root(), &binary(), arguments).unwrap()
}

fn edit_config(lab: &Lab, from: &str, to: &str) {
    let path = lab.root().join(CONFIG);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The pins in a folder whose names begin with `start`, sorted.
fn pins_named(folder: &Path, start: &str) -> Vec<PathBuf> {
    let pins = fs::read_dir(folder).unwrap().map(|pin| pin.unwrap());
    let named = pins.filter(|pin| pin.file_name().to_string_lossy().starts_with(start));
    let mut paths: Vec<_> = named.map(|pin| pin.path()).collect();
    paths.sort();
    paths
}

/// The pinned links whose names begin with `start`, with the ids of their programs.
fn pinned_links(folder: &Path, start: &str) -> Vec<(PathBuf, u32)> {
    let links = pins_named(folder, start).into_iter();
    links
        .map(|link| (link.clone(), pinned_program(&link).unwrap()))
        .collect()
}

/// The interfaces of `bailey status`, with the ids of their programs and links.
fn attached(lab: &Lab) -> serde_json::Value {
    let status = json(lab, "status");
    status["interfaces"].clone()
}
