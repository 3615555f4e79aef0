//! The programs that guests run, linked statically.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::scope::Scope;

/// Executables for the guest, by name.
#[derive(Debug)]
pub(crate) struct Programs {
    list: Vec<(String, PathBuf)>,
}

impl Programs {
    /// The path of a program, which is the same in the guest and on the host.
    pub(crate) fn path(&self, name: &str) -> Result<&PathBuf> {
        let found = self.list.iter().find(|(known, _)| known == name);
        found
            .map(|(_, path)| path)
            .with_context(|| format!("cargo built no {name}"))
    }

    /// The paths of all programs.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.list.iter().map(|(_, path)| path)
    }
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The packages, binaries and tests that guests run.
const PACKAGES: [&str; 4] = ["bailey-datapath", "bailey", "bailey-nic", "bailey-guest"];
const BINARIES: [&str; 2] = ["bailey", "bailey-guest"];
const TESTS: [&str; 14] = [
    // The datapath.
    "fixtures",
    "packets",
    "safety",
    "flood",
    "rate_limit",
    "parse_fuzz",
    // The daemon.
    "real_packets",
    "bridge",
    "router",
    "path",
    "stacked",
    "under_flood",
    "clsact",
    // The tester of NICs.
    "links",
];

/// Builds the tests of a scope, the binary and the guest, statically linked. One call of cargo
/// builds shared dependencies once, with the features of all packages.
///
/// # Errors
/// If cargo fails.
pub(crate) fn programs(scope: &Scope) -> Result<Programs> {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command.args(["build", "--profile", "test"]);
    let tests: Vec<&str> = TESTS
        .into_iter()
        .filter(|test| scope.needs_program(test))
        .collect();
    for (option, names) in [
        ("--package", &PACKAGES[..]),
        ("--bin", &BINARIES),
        ("--test", &tests),
    ] {
        command.args(names.iter().flat_map(|name| [option, name]));
    }
    command
        .args(["--features", "bailey/virtual-machine"])
        .args([
            "--target",
            TARGET,
            "--target-dir",
            "target/static",
            "--message-format",
            "json-render-diagnostics",
        ])
        // Symbols and line tables would treble the size of the initramfs.
        .env("CARGO_PROFILE_TEST_DEBUG", "0")
        .env("CARGO_PROFILE_TEST_STRIP", "symbols")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo cannot build the programs of the guests"
    );
    let mut list = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        if let Some(path) = message["executable"].as_str() {
            let name = message["target"]["name"].as_str().unwrap_or_default();
            list.push((name.to_owned(), PathBuf::from(path)));
        }
    }
    Ok(Programs { list })
}
