//! Mistakes on the command line and in files: each has its exit code, and a message that names the
//! cause and the fix. Needs no root and changes nothing on the machine.
#![cfg(target_os = "linux")]

/// The mistakes and the expected answers.
mod cases;
/// Policies, configurations and tests with mistakes.
mod files;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use cases::{INVALID, MISTAKES};
use files::{GOOD, files};

fn bailey(arguments: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bailey"))
        .args(arguments.split_whitespace())
        .env_remove("BAILEY_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Most commands do not read standard input: a failed write is expected.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn each_mistake_has_exit_code_and_explanation() {
    assert!(MISTAKES.len() >= 60);
    let directory = tempfile::tempdir().unwrap();
    files(directory.path());
    let shown = directory.path().display().to_string();
    let mut wrong = Vec::new();
    for (arguments, input, code, words) in MISTAKES {
        let output = bailey(&arguments.replace("{d}", &shown), input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        let missing: Vec<String> = words
            .iter()
            .map(|word| word.replace("{d}", &shown))
            .filter(|word| !stderr.contains(word.as_str()) && !out.contains(word.as_str()))
            .collect();
        if output.status.code() != Some(*code) || !missing.is_empty() {
            wrong.push(format!(
                "bailey {arguments}: exit {:?} of {code}, without {missing:?}:\n{stderr}{out}",
                output.status.code()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn utf16_file_is_reported_as_utf16() {
    let directory = tempfile::tempdir().unwrap();
    files(directory.path());
    let path = directory.path().join("utf16.yaml");
    let output = bailey(&format!("check {}", path.display()), "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(INVALID));
    assert!(
        stderr.contains("UTF-16LE") && stderr.contains("iconv"),
        "{stderr}"
    );
}

/// Runs a command with `--config`.
fn with_config(config: &Path, arguments: &str) -> Output {
    bailey(&format!("{arguments} --config {}", config.display()), "")
}

/// Runs `explain` of all policies in a file, with `--config`; asserts the exit code.
fn assert_explained(config: &Path, policies: &Path, connection: &str, expected: i32) {
    let output = with_config(
        config,
        &format!("explain {} {connection}", policies.display()),
    );
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let settings = fs::read_to_string(config).unwrap();
    assert_eq!(
        output.status.code(),
        Some(expected),
        "{connection}, {settings}: {stdout}"
    );
}

/// A node and one of its pods, beside [`GOOD`].
const NODE_AND_POD: &str = "\
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 10.0.0.9}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: p}
spec: {nodeName: n1, containers: []}
status: {podIP: 10.0.0.5, podIPs: [{ip: 10.0.0.5}]}
";

/// The verdict of `explain` depends on topology and frames of the configuration.
fn assert_settings_decide(root: &Path, config: &Path) {
    let policies = root.join("own.yaml");
    fs::write(&policies, format!("{GOOD}{NODE_AND_POD}")).unwrap();
    // A node reaches its own pods. A bridge without `[sources]` does not know on which side nodes
    // are.
    for (topology, expected) in [("host", 0), ("router", 0), ("bridge", 1)] {
        fs::write(config, format!("topology = {topology:?}\n")).unwrap();
        let connection = "--from node:n1 --to pod:shop/p --port 81";
        assert_explained(config, &policies, connection, expected);
    }
    // Groups and link-local addresses belong to no endpoint: a bridge denies them while an endpoint
    // is isolated.
    for (to, more, expected) in [
        ("224.0.0.251 --protocol udp --port 5353", "", 1),
        (
            "224.0.0.251 --protocol udp --port 5353",
            "groups = [\"224.0.0.251\"]",
            0,
        ),
        ("224.0.0.5 --protocol 89", "", 0),
        ("169.254.3.4 --port 179", "", 1),
        ("169.254.3.4 --port 179", "link_local = [\"TCP/179\"]", 0),
    ] {
        let text = format!("topology = \"bridge\"\n[frames]\n{more}\n");
        fs::write(config, text).unwrap();
        assert_explained(
            config,
            &policies,
            &format!("--from 192.0.2.1 --to {to}"),
            expected,
        );
    }
}

/// Every verb that reads policies applies the settings of the configuration, and reads standard
/// input like a file.
#[test]
fn all_verbs_read_files_with_same_settings() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("policies/deeper")).unwrap();
    fs::write(root.join("policies/deeper/p.yaml"), GOOD).unwrap();
    let config = root.join("b.toml");
    let text = format!("policies = [\"{}/policies\"]\n", root.display());
    fs::write(&config, &text).unwrap();
    let code = |output: Output| output.status.code();
    let allowed = "explain --from 192.0.2.1 --to workload:shop/web --port http";
    let denied = "explain --from 192.0.3.1 --to workload:shop/web --port http";
    assert_eq!(code(with_config(&config, "check")), Some(0));
    assert_eq!(code(with_config(&config, allowed)), Some(0));
    assert_eq!(code(with_config(&config, denied)), Some(1));

    // BAILEY_CONFIG names the configuration, too.
    let by_environment = |arguments: &str| {
        Command::new(env!("CARGO_BIN_EXE_bailey"))
            .args(arguments.split_whitespace())
            .env("BAILEY_CONFIG", &config)
            .output()
            .unwrap()
    };
    assert_eq!(code(by_environment("check")), Some(0));
    assert_eq!(code(by_environment(allowed)), Some(0));

    // With `recursive = false` the directory contains no policies, for every verb.
    fs::write(&config, format!("recursive = false\n{text}")).unwrap();
    assert_eq!(code(with_config(&config, "check")), Some(INVALID));
    assert_eq!(code(with_config(&config, allowed)), Some(INVALID));

    // Standard input is read like a file.
    for arguments in [
        "check -",
        "check -f -",
        "explain -f - --from 192.0.2.1 --to 10.0.0.1 --port 80",
    ] {
        assert_eq!(code(bailey(arguments, GOOD)), Some(0), "{arguments}");
    }
    assert_settings_decide(root, &config);
}
