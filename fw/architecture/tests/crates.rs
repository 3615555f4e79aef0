//! Crates depend on each other in one order (fw/README.md), and only clocks ask for the time.

use std::fs;

use bailey_architecture::files;

/// The shipped crates; each may depend on those before it, and on `bailey-bpf`.
const ORDER: [&str; 14] = [
    "policy",
    "config",
    "compile",
    "source",
    "control",
    "clock",
    "datapath",
    "state",
    "telemetry",
    "introspect",
    "policytest",
    "daemon",
    "tui",
    "bailey",
];

/// The names of the workspace's crates in the dependencies of a crate, without those of its tests.
fn dependencies(name: &str) -> Vec<String> {
    let manifest = files::root().join("fw").join(name).join("Cargo.toml");
    let text = files::text(&manifest);
    let mut found = Vec::new();
    let mut is_product = false;
    for line in text.lines() {
        if line.starts_with('[') {
            is_product = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if is_product && let Some(rest) = line.strip_prefix("bailey-") {
            let end = rest.find(['.', ' ']).unwrap_or(rest.len());
            found.push(rest[..end].to_owned());
        }
    }
    found
}

#[test]
fn crates_depend_only_on_crates_before_them() {
    let mut found = Vec::new();
    for (at, name) in ORDER.iter().enumerate() {
        for dependency in dependencies(name) {
            let is_before = ORDER[..at].contains(&dependency.as_str());
            if dependency != "bpf" && !is_before {
                found.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    assert!(dependencies("daemon").len() > 5, "the manifests are read");
    assert!(found.is_empty(), "against the order:\n{}", found.join("\n"));
}

#[test]
fn shipped_crates_read_time_only_through_clocks() {
    let mut found = Vec::new();
    for name in ORDER.iter().filter(|name| **name != "clock") {
        let source = files::root().join("fw").join(name).join("src");
        assert!(fs::metadata(&source).is_ok(), "{}", source.display());
        for path in files::with_ending(&source, &[".rs"]) {
            let text = files::text(&path);
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            if product.contains("Instant::now()") || product.contains("SystemTime::now()") {
                found.push(files::relative(&path));
            }
        }
    }
    assert!(
        found.is_empty(),
        "use bailey-clock in:\n{}",
        found.join("\n")
    );
}
