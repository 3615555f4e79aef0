//! `bailey rules`: names, fields, source positions, and the file on disk.

use std::collections::BTreeSet;
use std::fs;

use bailey_lab::{Lab, Server, daemon};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::demo_lab::*;
use crate::{connected, exit_code, stderr, stdout};

/// The fields of the answer, and of its rows. Returns the row of a rule with hits.
fn assert_fields(rules: &Value) -> Value {
    for field in ["schema_version", "time", "node", "generation"] {
        assert!(!rules[field].is_null(), "{field}: {rules}");
    }
    let rows = rules["rules"].as_array().unwrap();
    for row in rows {
        let name = row["rule"].as_str().unwrap();
        assert!(name.chars().count() <= 64, "{name}");
    }
    // A rule of a policy names its policy and its position in a file.
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
    // A default-deny rule names the policies that isolate.
    let deny = rows
        .iter()
        .find(|row| row["kind"] == "default-deny")
        .unwrap();
    assert!(
        !deny["isolated_by"].as_array().unwrap().is_empty(),
        "{deny}"
    );
    rule.clone()
}

/// A rule by name has the endpoints that it concerns, and the last packets that it decided.
fn assert_details(lab: &Lab) {
    let rules = json(lab, "rules shop/db-backup");
    for rule in rules["rules"].as_array().unwrap() {
        let endpoints = rule["endpoints"].as_array().unwrap();
        assert_eq!(endpoints, &["pod:shop/db"], "{rule}");
        assert_eq!(rule["endpoints_total"], 1);
    }
    let rows = rules["rules"].as_array().unwrap().iter();
    let rule = rows.clone().find(|row| row["kind"] == "rule").unwrap();
    let packets = rule["last_packets"].as_array().unwrap();
    assert!((1..=5).contains(&packets.len()), "{rule}");
    for packet in packets {
        assert_eq!(packet["ingress_rule"]["id"], rule["id"], "{packet}");
    }
    let text = stdout(&ask(lab, "rules shop/db-backup"));
    for expected in [
        "endpoints    pod:shop/db",
        "the last recorded packets:",
        " new ",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

/// `rules NAME` accepts the short name, the policy, the id and the long name.
fn assert_found_by_each_name(lab: &Lab, rule: &Value) {
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
        let one = daemon::query_args(&lab.node, lab.root(), &binary(), &["rules", &name]).unwrap();
        assert_eq!(exit_code(&one), Some(0), "{name}: {}", stderr(&one));
        assert!(stdout(&one).contains("peers"), "{name}: {}", stdout(&one));
    }
    // A policy without rules is listed by the default-deny rule of the endpoints that it isolates.
    let isolating = ask(lab, "rules shop/default-deny");
    assert_eq!(exit_code(&isolating), Some(0), "{}", stderr(&isolating));
    assert!(
        stdout(&isolating).contains("default-deny"),
        "{}",
        stdout(&isolating)
    );
    let wrong = ask(lab, "rules shop/wbe-public");
    assert_eq!(exit_code(&wrong), Some(2));
    assert!(
        stderr(&wrong).contains("did you mean"),
        "{}",
        stderr(&wrong)
    );
}

/// An edit that only moves a policy creates no generation, but changes the reported line.
fn assert_line_follows_edit(lab: &Lab, rules: &Value, rule: &Value) {
    let line = rule["line"].as_u64().unwrap() as usize;
    let path = rule["file"].as_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    assert!(text.lines().count() >= line);
    fs::write(path, format!("# one\n# two\n{text}")).unwrap();
    let id = &rule["id"];
    let line_of = |rules: &Value| {
        let rows = rules["rules"].as_array().unwrap();
        let found = rows.iter().find(|row| row["id"] == *id).unwrap();
        found["line"].as_u64().unwrap() as usize
    };
    wait_until("the rule is reported two lines below", || {
        line_of(&json(lab, "rules")) == line + 2
    });
    let moved = json(lab, "rules");
    assert_eq!(moved["generation"], rules["generation"]);
}

#[test]
#[ignore = "needs root and BPF"]
fn rules_have_names_and_survive_lost_file() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    let _stream = connected(&lab);
    let rules = json(&lab, "rules");
    let rule = assert_fields(&rules);
    assert_found_by_each_name(&lab, &rule);
    assert_details(&lab);
    assert_line_follows_edit(&lab, &rules, &rule);

    // The file of rule ids is removed: the daemon still knows the rules, and SIGHUP writes the file
    // again.
    let file = lab.root().join("state/rules.json");
    fs::remove_file(&file).unwrap();
    let status = ask(&lab, "status");
    assert_eq!(exit_code(&status), Some(9));
    assert!(
        stdout(&status).contains("rules.json"),
        "{}",
        stdout(&status)
    );
    assert_eq!(
        json(&lab, "rules")["rules"].as_array().unwrap().len(),
        rules["rules"].as_array().unwrap().len(),
        "the daemon knows the rules"
    );
    daemon.signal(Signal::SIGHUP).unwrap();
    wait_until("the file of rule ids exists again", || file.exists());
    assert_eq!(exit_code(&ask(&lab, "status")), Some(0));

    // Without the daemon the names come from that file.
    daemon.signal(Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    let names = |rules: &Value| -> BTreeSet<String> {
        let rows = rules["rules"].as_array().unwrap().iter();
        rows.map(|row| row["rule"].to_string()).collect()
    };
    assert_eq!(
        names(&json(&lab, "rules")),
        names(&rules),
        "names come from the file"
    );
}
