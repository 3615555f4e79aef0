//! What verbs say of a running Bailey, and of one that is not: true, in every format, and with the exit
//! code that means it.
#![cfg(target_os = "linux")]

#[path = "../demo_lab/mod.rs"]
mod demo_lab;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bailey_lab::daemon::{self, CONFIG};
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server};
use demo_lab::*;
use nix::sys::signal::Signal;
use serde_json::Value;

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A connection of the backup machine to the database that stays.
fn connected(lab: &Lab) -> std::net::TcpStream {
    let mut stream = traffic::tcp_connect(&lab.outside, ip(BACKUP[0]), at(DB[0], 5432)).unwrap();
    assert_eq!(traffic::tcp_talk(&mut stream), Observed::Allowed);
    stream
}

#[test]
#[ignore = "needs root and BPF"]
fn explain_without_paths_uses_running_datapath() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(
        &lab,
        "failsafe = [{ cidr = \"203.0.113.77/32\", port = 5432 }]",
    );
    let _stream = connected(&lab);
    let explain = |from: &str| {
        ask(
            &lab,
            &format!("explain --from {from} --to pod:shop/db --port 5432"),
        )
    };
    let open = explain(BACKUP[0]);
    assert_eq!(code(&open), Some(0), "{}", out(&open));
    assert!(
        out(&open).contains("flow") && out(&open).contains("ESTABLISHED"),
        "{}",
        out(&open)
    );
    assert_eq!(code(&explain(STRANGER[0])), Some(1));
    // The failsafe comes before policy, and a block before both flow and policy.
    let saved = explain("203.0.113.77");
    assert_eq!(code(&saved), Some(0), "{}", out(&saved));
    assert!(
        out(&saved).contains("passes whatever else"),
        "{}",
        out(&saved)
    );
    // The node is in this subnet.
    let all = ask(
        &lab,
        "explain --from 203.0.113.10 --to 203.0.113.255 --port 9 --protocol udp",
    );
    assert!(out(&all).contains("deny   group"), "{}", out(&all));
    ask(&lab, &format!("block {} --ttl 5m --reason scan", BACKUP[0]));
    let blocked = explain(BACKUP[0]);
    assert_eq!(code(&blocked), Some(1), "{}", out(&blocked));
    assert!(
        out(&blocked).contains("BLOCKED") && out(&blocked).contains("scan"),
        "{}",
        out(&blocked)
    );
    let status = ask(&lab, "status");
    assert_eq!(code(&status), Some(0), "a block is no problem");
    assert!(
        out(&status).contains("BLOCKED") && out(&status).contains(BACKUP[0]),
        "{}",
        out(&status)
    );
    assert_eq!(json(&lab, "status")["blocks"], 1);
    // With files it says what it does not know.
    let files = demo();
    let offline = ask(
        &lab,
        &format!(
            "explain {} --from {} --to pod:shop/db --port 5432",
            files.display(),
            BACKUP[0]
        ),
    );
    assert_eq!(code(&offline), Some(0), "files know of no block");
    assert!(out(&offline).contains("are not known"), "{}", out(&offline));
    // Without a daemon the failsafe is not known, the block still is.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let dead = explain(BACKUP[0]);
    assert_eq!(code(&dead), Some(1));
    assert!(
        out(&dead).contains("failsafe") && out(&dead).contains("not known"),
        "{}",
        out(&dead)
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn rules_have_names_and_survive_lost_file() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    let _stream = connected(&lab);
    let rules = json(&lab, "rules");
    for field in ["schema_version", "time", "node", "generation"] {
        assert!(!rules[field].is_null(), "{field}: {rules}");
    }
    let rows = rules["rules"].as_array().unwrap();
    for row in rows {
        let name = row["rule"].as_str().unwrap();
        assert!(name.chars().count() <= 64, "{name}");
    }
    let rule = rows
        .iter()
        .find(|row| row["kind"] == "rule" && row["hits"] != 0);
    let rule = rule.unwrap_or_else(|| panic!("{rules}"));
    for field in [
        "namespace",
        "policy",
        "direction",
        "index",
        "ports",
        "peers",
        "file",
        "line",
    ] {
        assert!(!rule[field].is_null(), "{field}: {rule}");
    }
    let line = rule["line"].as_u64().unwrap() as usize;
    let text = fs::read_to_string(rule["file"].as_str().unwrap()).unwrap();
    assert!(text.lines().count() >= line);
    let deny = rows
        .iter()
        .find(|row| row["kind"] == "default-deny")
        .unwrap();
    assert!(
        !deny["isolated_by"].as_array().unwrap().is_empty(),
        "{deny}"
    );
    // By either name, the number, or the policy.
    let policy = format!(
        "{}/{}",
        rule["namespace"].as_str().unwrap(),
        rule["policy"].as_str().unwrap()
    );
    for name in [
        rule["rule"].as_str().unwrap().to_owned(),
        policy.clone(),
        rule["id"].to_string(),
        format!("{policy} ingress[0]"),
    ] {
        let one = daemon::ask_words(&lab.node, lab.root(), &binary(), &["rules", &name]).unwrap();
        assert_eq!(code(&one), Some(0), "{name}: {}", said(&one));
        assert!(out(&one).contains("peers"), "{name}: {}", out(&one));
    }
    // A policy that only isolates is in the denials of whom it isolates.
    let isolating = ask(&lab, "rules shop/default-deny");
    assert_eq!(code(&isolating), Some(0), "{}", said(&isolating));
    assert!(
        out(&isolating).contains("default-deny"),
        "{}",
        out(&isolating)
    );
    let wrong = ask(&lab, "rules shop/wbe-public");
    assert_eq!(code(&wrong), Some(2));
    assert!(said(&wrong).contains("did you mean"), "{}", said(&wrong));
    // Edits that only move a policy are no new generation, but its place is another.
    let path = rule["file"].as_str().unwrap();
    fs::write(path, format!("# one\n# two\n{text}")).unwrap();
    let id = &rule["id"];
    let line_of = |rules: &Value| {
        let rows = rules["rules"].as_array().unwrap();
        let found = rows.iter().find(|row| row["id"] == *id).unwrap();
        found["line"].as_u64().unwrap() as usize
    };
    soon("the rule stands two lines below", || {
        line_of(&json(&lab, "rules")) == line + 2
    });
    let moved = json(&lab, "rules");
    assert_eq!(moved["generation"], rules["generation"]);
    // Somebody takes the file away.
    let file = lab.root().join("state/rules.json");
    fs::remove_file(&file).unwrap();
    let status = ask(&lab, "status");
    assert_eq!(code(&status), Some(9));
    assert!(out(&status).contains("rules.json"), "{}", out(&status));
    assert_eq!(
        json(&lab, "rules")["rules"].as_array().unwrap().len(),
        rows.len(),
        "the daemon knows them"
    );
    daemon.signal(Signal::SIGHUP).unwrap();
    soon("the file is there again", || file.exists());
    assert_eq!(code(&ask(&lab, "status")), Some(0));
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    let names = |rules: &Value| -> BTreeSet<String> {
        let rows = rules["rules"].as_array().unwrap().iter();
        rows.map(|row| row["rule"].to_string()).collect()
    };
    assert_eq!(names(&json(&lab, "rules")), names(&rules), "from the file");
}

#[test]
#[ignore = "needs root and BPF"]
fn lists_support_all_formats_filters_and_sorting() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    let streams: Vec<_> = (0..3).map(|_| connected(&lab)).collect();
    traffic::ping(&lab.outside, ip(BACKUP[0]), ip(DB[0]));
    let lines = |verb: &str| -> Vec<String> {
        let output = ask(&lab, verb);
        assert_eq!(code(&output), Some(0), "{verb}: {}", said(&output));
        out(&output).lines().map(ToOwned::to_owned).collect()
    };
    let check = || {
        let flows = json(&lab, "conntrack list");
        let all = flows["flows"].as_array().unwrap();
        assert!(!flows["time"].is_null() && !flows["generation"].is_null());
        for (filter, matches) in [
            ("--src 203.0.113.0/24", 4),
            ("--src 203.0.113.10 --port 5432", 3),
            ("--dst 10.42.0.12", 4),
            ("--dst 10.42.0.99", 0),
            ("--protocol tcp", 3),
            ("--protocol icmp", 1),
            ("--state established", 3),
            ("--rule shop/db-backup", 4),
        ] {
            let found = lines(&format!("conntrack list -o ndjson {filter}"));
            assert_eq!(found.len(), matches, "{filter}: {found:?} of {all:?}");
            for line in found {
                let flow: Value = serde_json::from_str(&line).unwrap();
                assert!(!flow["node"].is_null() && flow["ingress_rule"]["rule"].is_string());
            }
        }
        let packets: Vec<u64> = lines("conntrack list -o ndjson --sort pkts")
            .iter()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["packets"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        assert!(packets.is_sorted_by(|a, b| a >= b), "{packets:?}");
        assert_eq!(
            lines("conntrack list --sort src -n 2 --no-headers").len(),
            2
        );
        assert_eq!(lines("conntrack list -o name").len(), all.len());
        let none = lines("conntrack list -o yaml --dst 192.0.2.1");
        assert_eq!(none.last().unwrap(), "flows: []");
        for verb in ["rules", "counters", "conntrack list"] {
            let (table, wide) = (lines(verb), lines(&format!("{verb} -o wide")));
            let columns = |lines: &[String]| -> Vec<String> {
                lines[0].split_whitespace().map(ToOwned::to_owned).collect()
            };
            assert_eq!(columns(&table), columns(&wide), "{verb}: a pipe has all");
            assert!(
                lines(&format!("{verb} -o yaml"))[0].contains("schema_version"),
                "{verb}"
            );
            // Neighbours are found meanwhile, and that is counted.
            if verb != "counters" {
                let rows = table.len() - 1;
                assert_eq!(lines(&format!("{verb} --no-headers")).len(), rows, "{verb}");
                assert_eq!(lines(&format!("{verb} -o ndjson")).len(), rows, "{verb}");
            }
        }
        for (verb, word) in [
            ("conntrack list --state sleeping", "SYN_SENT"),
            ("conntrack list --rule shop/db-backpu", "did you mean"),
            ("rules --sort hit", "did you mean `hits`?"),
            ("conntrack list -r", "--sort"),
            ("blocks -n 0", "0"),
        ] {
            let output = ask(&lab, verb);
            assert_eq!(code(&output), Some(2), "{verb}");
            assert!(said(&output).contains(word), "{verb}: {}", said(&output));
        }
    };
    check();
    // From pins it is the same.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    check();
    drop(streams);
}

#[test]
#[ignore = "needs root and BPF"]
fn second_start_names_protecting_daemon() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    let pid = format!("pid {}", daemon.pid());
    // With the same paths: it is running already.
    let mut second = Daemon::launch(&lab.node, lab.root(), &binary(), &[]).unwrap();
    second.wait_for(&pid, PATIENCE).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(1));
    // With other paths: another one's program is on the interface, and it is a Bailey's.
    let other = lab.root().join("other");
    fs::create_dir(&other).unwrap();
    let text = fs::read_to_string(lab.root().join(CONFIG)).unwrap();
    let text = text
        .replace("/bpf/bailey", "/bpf/other")
        .replace("/run\"", "/other/run\"");
    fs::write(
        other.join(CONFIG),
        text.replace("/state\"", "/other/state\""),
    )
    .unwrap();
    let mut third = Daemon::launch(&lab.node, &other, &binary(), &[]).unwrap();
    third.wait_for(&pid, PATIENCE).unwrap();
    assert_eq!(third.wait().unwrap().code(), Some(1));
    assert!(
        !third.log().iter().any(|line| line.contains("UNPROTECTED")),
        "{:?}",
        third.log()
    );
    let asked = daemon::ask(&lab.node, &other, &binary(), "status").unwrap();
    assert_eq!(code(&asked), Some(4));
    assert!(
        said(&asked).contains("protected by a bailey"),
        "{}",
        said(&asked)
    );
    // Invalid files beside one that enforces.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let dead = ask(&lab, "status");
    assert_eq!(code(&dead), Some(9), "it enforces, and nobody tends it");
    assert!(out(&dead).starts_with("ENFORCING"), "{}", out(&dead));
    // Programs that somebody takes off meanwhile: nothing is enforced.
    lab.node.ip("link set dev nic0 xdp off").ok();
    let off = ask(&lab, "status");
    if out(&off).contains("NOT ENFORCING") {
        assert_eq!(code(&off), Some(9));
    }
    ask(&lab, "detach --yes-unfiltered");
    assert_eq!(code(&ask(&lab, "status")), Some(4));
}

/// Without the right to read maps that is said, by its name, and it is no defect.
#[test]
#[ignore = "needs root and BPF"]
fn missing_capability_is_named() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let config = lab.root().join(CONFIG);
    for verb in [
        "status",
        "rules",
        "conntrack list",
        "counters",
        "blocks",
        "block 192.0.2.1 --ttl 5m",
    ] {
        let arguments = format!("{verb} --config {}", config.display());
        let output = lab.node.run(move || {
            Command::new("setpriv")
                .args(["--reuid=65534", "--clear-groups", "--inh-caps=-all"])
                .arg(binary())
                .args(arguments.split_whitespace())
                .output()
                .unwrap()
        });
        assert_eq!(code(&output), Some(5), "{verb}: {}", said(&output));
        assert!(said(&output).contains("CAP_"), "{verb}: {}", said(&output));
    }
}

/// The commands of the README that are Bailey's, with their comments.
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

/// Every command of the README works as it stands there, on a terminal of 80 columns; but for the places
/// of files, which are the lab's.
#[test]
#[ignore = "needs root and BPF"]
fn readme_commands_work_as_written() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(&lab, "");
    let _stream = connected(&lab);
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(manifest.join("../../README.md")).unwrap();
    // As a new user has it.
    let home = lab.root().join("home");
    let tests = home.join("tests");
    fs::create_dir_all(&tests).unwrap();
    fs::create_dir_all(home.join("configs")).unwrap();
    std::os::unix::fs::symlink(demo(), home.join("configs/demo")).unwrap();
    let mut cluster = String::new();
    for file in ["inventory.yaml", "policies.yaml"] {
        let text = fs::read_to_string(demo().join(file)).unwrap();
        fs::write(tests.join(file), &text).unwrap();
        cluster.push_str("---\n");
        cluster.push_str(&text);
    }
    fs::write(home.join("cluster.yaml"), cluster).unwrap();
    fs::write(home.join("tests/shop.yaml"), readme_test(&readme)).unwrap();
    fs::write(
        home.join("list.txt"),
        "192.0.2.1\n192.0.2.128/25 # a comment\n",
    )
    .unwrap();
    let bin = home.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(home.join("target/release")).unwrap();
    for place in [bin.join("bailey"), home.join("target/release/bailey")] {
        std::os::unix::fs::symlink(binary(), place).unwrap();
    }
    fs::write(bin.join("sudo"), "#!/bin/sh\nexec \"$@\"\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("sudo"), executable).unwrap();
    let commands = readme_commands(&readme);
    assert!(commands.len() >= 15, "{commands:?}");
    let mut ran = 0;
    for command in commands {
        // Runs already, as the daemon of the lab.
        if command.starts_with("sudo bailey run") {
            continue;
        }
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
        let (home, bin, config) = (home.clone(), bin.clone(), lab.root().join(CONFIG));
        let output = lab.node.run(move || {
            let path = std::env::var("PATH").unwrap_or_default();
            Command::new("script")
                .args(["-qec", &line, "/dev/null"])
                .current_dir(home)
                .env("PATH", format!("{}:{path}", bin.display()))
                .env("BAILEY_CONFIG", config)
                .env_remove("SSH_CONNECTION")
                .output()
                .unwrap()
        });
        let shown = out(&output);
        let expected: &[i32] = if command.contains(" explain ") {
            &[1]
        } else if command.contains("doctor") {
            &[0, 9]
        } else {
            &[0]
        };
        let found = code(&output).unwrap();
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
        ran += 1;
    }
    assert!(ran >= 14, "{ran}");
    assert_detached(&lab);
}
