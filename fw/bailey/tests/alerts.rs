//! The alert rules: promtool checks them and runs their unit tests.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// promtool, unpacked if it is not installed.
fn promtool() -> PathBuf {
    let output = Command::new(root().join(".ci/promtool")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let path = String::from_utf8(output.stdout).unwrap();
    root().join(path.trim())
}

fn run(arguments: &[&str]) {
    let mut command = Command::new(promtool());
    let command = command
        .args(arguments)
        .current_dir(root().join("configs/prometheus"));
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&text)
    );
}

#[test]
fn alerts_fire_when_they_should_only() {
    run(&["check", "rules", "bailey.rules.yaml"]);
    run(&["test", "rules", "bailey.rules.test.yaml"]);
}

/// Each alert has a page, and each page of an alert its alert.
#[test]
fn alerts_have_runbooks() {
    let rules =
        std::fs::read_to_string(root().join("configs/prometheus/bailey.rules.yaml")).unwrap();
    let urls = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook_url: "));
    let urls: Vec<&str> = urls.collect();
    assert_eq!(urls.len(), rules.matches("- alert: ").count());
    assert!(urls.len() >= 18);
    for url in urls {
        assert!(root().join(url).is_file(), "{url}");
    }
}
