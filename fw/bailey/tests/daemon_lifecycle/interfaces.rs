//! Interfaces that are renamed, deleted and created again under a running daemon.

use std::thread::sleep;
use std::time::Duration;

use bailey_lab::{Lab, daemon};

use crate::demo_lab::*;
use crate::{attached, relaunch};

/// The kernel attaches programs by ifindex: programs stay where they are, and counters follow the
/// names.
#[test]
#[ignore = "needs root and BPF"]
fn interfaces_that_swap_names_stay_protected() {
    let lab = lab();
    daemon::write_config(lab.root(), "interfaces = [\"nic0\", \"web\"]").unwrap();
    let mut daemon = relaunch(&lab, &[]);
    daemon
        .wait_for("attached interface=\"web\"", PATIENCE)
        .unwrap();
    wait_for_socket(&lab);
    // Ids of the attached programs.
    let programs = |lab: &Lab| {
        let mut programs: Vec<String> = attached(lab)
            .as_array()
            .unwrap()
            .iter()
            .map(|interface| interface["xdp_program"].to_string())
            .collect();
        programs.sort();
        programs
    };
    let before = programs(&lab);
    // Swap the names.
    lab.node.ip("link set nic0 down").unwrap();
    lab.node.ip("link set web down").unwrap();
    for step in ["nic0 name other", "web name nic0", "other name web"] {
        lab.node.ip(&format!("link set {step}")).unwrap();
    }
    // Wait until status reports both interfaces under their new names, without problems.
    let fine = |lab: &Lab| {
        let status = json(lab, "status");
        let interfaces = status["interfaces"].as_array().unwrap().clone();
        status["daemon"]["problems"].as_array().unwrap().is_empty()
            && interfaces.len() == 2
            && interfaces
                .iter()
                .all(|i| i["renamed_to"].is_null() && i["fully_attached"] == true)
    };
    let settled = (0..100).any(|_| {
        sleep(Duration::from_millis(100));
        fine(&lab)
    });
    assert!(settled, "{}", json(&lab, "status"));
    assert_eq!(programs(&lab), before);
}

#[test]
#[ignore = "needs root and BPF"]
fn recreated_interface_is_attached_again() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    lab.node.ip("link set nic0 down").unwrap();
    daemon.wait_for("down interface=", PATIENCE).unwrap();
    lab.node.ip("link set nic0 name nic9").unwrap();
    daemon.wait_for("renamed", PATIENCE).unwrap();
    let text = String::from_utf8(ask(&lab, "status").stdout).unwrap();
    assert!(
        text.contains("nic0 (now nic9)") && text.contains("PROBLEM"),
        "{text}"
    );
    lab.node.ip("link set nic9 name nic0").unwrap();
    daemon.wait_for("interface recovered", PATIENCE).unwrap();
    lab.node.ip("link set nic0 up").unwrap();
    daemon.wait_for("up interface=", PATIENCE).unwrap();
    lab.node.ip("link delete nic0").unwrap();
    daemon.wait_for("interface disappeared", PATIENCE).unwrap();
    lab.reconnect().unwrap();
    daemon.wait_for(ATTACHED, PATIENCE).unwrap();
    assert_enforced(&lab);
    assert_eq!(ask(&lab, "status").status.code(), Some(0));
}
