//! The commands of the README.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bailey_lab::daemon::CONFIG;
use bailey_lab::{Lab, Server};

use crate::demo_lab::*;
use crate::{connected, exit_code, stdout};

/// The `bailey` commands of the README, with their comments.
fn readme_commands(readme: &str) -> Vec<&str> {
    let indented = readme.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = indented.map(|line| line.strip_prefix("$ ").unwrap_or(line));
    commands
        .filter(|line| {
            let line = line.strip_prefix("sudo ").unwrap_or(line);
            line.starts_with("bailey ") || line.starts_with("target/release/bailey ")
        })
        .collect()
}

/// The README's PolicyTest.
fn readme_test(readme: &str) -> &str {
    let mut blocks = readme.split("```yaml\n").skip(1);
    let block = blocks
        .find(|block| block.contains("kind: PolicyTest"))
        .unwrap();
    block.split("```").next().unwrap()
}

/// Prepares a working directory as a new user has it: policies, tests, a block list, and the
/// binary.
fn new_users_home(lab: &Lab, readme: &str) -> PathBuf {
    let home = lab.root().join("home");
    let tests = home.join("tests");
    fs::create_dir_all(&tests).unwrap();
    fs::create_dir_all(home.join("configs")).unwrap();
    symlink(demo(), home.join("configs/demo")).unwrap();
    let mut cluster = String::new();
    for file in ["inventory.yaml", "policies.yaml"] {
        let text = fs::read_to_string(demo().join(file)).unwrap();
        fs::write(tests.join(file), &text).unwrap();
        cluster.push_str("---\n");
        cluster.push_str(&text);
    }
    fs::write(home.join("cluster.yaml"), cluster).unwrap();
    fs::write(home.join("tests/shop.yaml"), readme_test(readme)).unwrap();
    fs::write(
        home.join("list.txt"),
        "192.0.2.1\n192.0.2.128/25 # a comment\n",
    )
    .unwrap();
    // The binary under both paths that the README uses, and a `sudo` that only executes.
    let bin = home.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(home.join("target/release")).unwrap();
    for place in [bin.join("bailey"), home.join("target/release/bailey")] {
        symlink(binary(), place).unwrap();
    }
    fs::write(bin.join("sudo"), "#!/bin/sh\nexec \"$@\"\n").unwrap();
    let executable = PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("sudo"), executable).unwrap();
    home
}

/// Runs a command of the README in the home directory, on a terminal of 80 columns.
fn run_in_terminal(lab: &Lab, home: &Path, command: &str) -> Output {
    let here = command
        .replace(
            "/etc/bailey/policies",
            &lab.root().join("policies").display().to_string(),
        )
        .replace(
            "/etc/bailey/bailey.toml",
            &lab.root().join(CONFIG).display().to_string(),
        );
    let line = format!("stty cols 80 rows 24; {here}");
    let (home, bin, config) = (home.to_owned(), home.join("bin"), lab.root().join(CONFIG));
    lab.node.run(move || {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(home)
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("BAILEY_CONFIG", config)
            .env_remove("SSH_CONNECTION")
            .output()
            .unwrap()
    })
}

/// Asserts the exit code of a command, and that tables fit into the terminal.
fn assert_works(command: &str, output: &Output) {
    let shown = stdout(output);
    let expected: &[i32] = if command.contains(" explain ") {
        // Without a destination: whether a packet was dropped.
        if command.contains("--to ") {
            &[1]
        } else {
            &[0, 1]
        }
    } else if command.contains("doctor") {
        &[0, 9]
    } else {
        &[0]
    };
    let found = exit_code(output).unwrap();
    assert!(
        expected.contains(&found),
        "{command}: exit {found}: {shown}"
    );
    let lists = ["status", "rules", "conntrack", "counters", "blocks"];
    if lists.iter().any(|verb| command.contains(verb)) {
        let prose = ["PROBLEM", "warning", "note"];
        for line in shown.lines().map(|line| line.trim_end_matches('\r')) {
            let is_prose = prose.iter().any(|word| line.starts_with(word));
            assert!(
                is_prose || line.chars().count() <= 80,
                "{command}: {} columns: {line}",
                line.chars().count()
            );
        }
    }
}

/// Every command of the README works as written, on a terminal of 80 columns. Only file paths are
/// replaced by those of the lab.
#[test]
#[ignore = "needs root and BPF"]
fn readme_commands_work_as_written() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(&lab, "");
    let _stream = connected(&lab);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(manifest.join("../../README.md")).unwrap();
    let home = new_users_home(&lab, &readme);
    let commands = readme_commands(&readme);
    assert!(commands.len() >= 15, "{commands:?}");
    let mut ran = 0;
    for command in commands {
        // The daemon of the lab is already running.
        if command.starts_with("sudo bailey run") {
            continue;
        }
        assert_works(command, &run_in_terminal(&lab, &home, command));
        ran += 1;
    }
    assert!(ran >= 14, "{ran}");
    assert_detached(&lab);
}
