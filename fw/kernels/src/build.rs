use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Executables for the guest, by the name they are asked for.
#[derive(Debug)]
pub(crate) struct Programs {
    list: Vec<(String, PathBuf)>,
}

impl Programs {
    /// Where a program is; in the guest as on the host.
    pub(crate) fn path(&self, name: &str) -> Result<&PathBuf> {
        let found = self.list.iter().find(|(known, _)| known == name);
        found
            .map(|(_, path)| path)
            .with_context(|| format!("cargo built no {name}"))
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.list.iter().map(|(_, path)| path)
    }
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the tests, the binary and the guest, statically linked.
pub(crate) fn programs() -> Result<Programs> {
    let mut list = Vec::new();
    let of = |package: &'static str, tests: &[&'static str]| {
        let named = tests.iter().flat_map(|test| ["--test", test]);
        let fixed = ["test", "--no-run", "-p", package];
        fixed.into_iter().chain(named).collect::<Vec<&str>>()
    };
    let datapath = of(
        "bailey-datapath",
        &[
            "fixtures",
            "packets",
            "safety",
            "flood",
            "rate_limit",
            "parse_fuzz",
        ],
    );
    let mut daemon = of(
        "bailey",
        &[
            "real_packets",
            "bridge",
            "router",
            "path",
            "stacked",
            "under_flood",
            "clsact",
        ],
    );
    daemon.extend(["--features", "virtual-machine"]);
    for arguments in [
        datapath,
        daemon,
        vec!["build", "-p", "bailey"],
        vec!["build", "-p", "bailey-kernels", "--bin", "bailey-guest"],
    ] {
        list.extend(cargo(&arguments)?);
    }
    Ok(Programs { list })
}

fn cargo(arguments: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    command
        .args(arguments)
        .args([
            "--target",
            TARGET,
            "--target-dir",
            "target/static",
            "--message-format",
            "json-render-diagnostics",
        ])
        // Line tables would double what the guest has to unpack.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_TEST_DEBUG", "0")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    ensure!(
        output.status.success(),
        "cargo {} failed",
        arguments.join(" ")
    );
    let mut programs = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        if let Some(path) = message["executable"].as_str() {
            let name = message["target"]["name"].as_str().unwrap_or_default();
            programs.push((name.to_owned(), PathBuf::from(path)));
        }
    }
    if programs.is_empty() {
        bail!("cargo {} built no program", arguments.join(" "));
    }
    Ok(programs)
}
