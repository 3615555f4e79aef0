//! `bailey rules`: names, fields, source positions, and the file on disk.

use std::collections::BTreeSet;
use std::fs;

use bailey_lab::{Server, daemon};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::demo_lab::*;
use crate::{code, connected, out, said};

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
