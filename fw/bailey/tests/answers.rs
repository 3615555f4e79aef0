//! Every answer of the API matches its published schema, with traffic of all kinds behind it.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use bailey_control::api::path;
use bailey_control::client;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server, schema};
use demo_lab::*;
use serde_json::{Value, json as value};

fn socket(lab: &Lab) -> PathBuf {
    lab.root().join("run/bailey.sock")
}

/// Gets an answer of one object, and checks it.
fn get(lab: &Lab, path: &str, query: &Value, name: &str) -> Value {
    let answer: Value = client::get(&socket(lab), path, query).unwrap();
    schema::assert_valid(name, &answer);
    answer
}

/// Gets an answer of lines, and checks header and lines. Returns the number of lines.
fn get_lines(lab: &Lab, path: &str, query: &Value, header: &str, name: &str) -> usize {
    let mut count = 0;
    client::stream_lines(
        &socket(lab),
        path,
        query,
        false,
        |common: Value| schema::assert_valid(header, &common),
        |lines| {
            for line in lines
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                schema::assert_valid(name, &serde_json::from_slice(line).unwrap());
                count += 1;
            }
            true
        },
    )
    .unwrap();
    count
}

#[test]
#[ignore = "needs root and BPF"]
fn every_answer_matches_its_schema() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start(
        &lab,
        "failsafe = [{ cidr = \"203.0.113.77/32\", port = 22 }]",
    );
    wait_for_socket(&lab);
    for family in [0, 1] {
        let connect = |from: &str| traffic::tcp(&lab.outside, ip(from), at(DB[family], 5432));
        assert_eq!(connect(BACKUP[family]), Observed::Allowed);
        assert_eq!(connect(STRANGER[family]), Observed::Silent);
    }
    ask(&lab, "block 192.0.2.9 --ttl 5m --reason test");
    // Rates, forecasts and last packets come with the first samples.
    sleep(Duration::from_secs(12));

    let none = value!({});
    for (path, name) in [
        (path::STATUS, "status"),
        (path::RULES, "rules"),
        (path::COUNTERS, "counters"),
        (path::FLOW_STATS, "conntrack-stats"),
        (path::FLOW_TOP, "conntrack-top"),
        (path::TALKERS, "talkers"),
        (path::BLOCKS, "blocks"),
    ] {
        get(&lab, path, &none, name);
    }
    let stats = get(&lab, path::FLOW_STATS, &none, "conntrack-stats");
    assert!(stats["forecast"]["live_per_second"].is_f64(), "{stats}");
    let named = get(
        &lab,
        path::RULES,
        &value!({"name": "shop/db-backup"}),
        "rules",
    );
    assert!(named["rules"][0]["last_packets"].is_array(), "{named}");
    let connection = value!({"src": STRANGER[0], "dst": DB[0], "protocol": 6, "port": 5432});
    let explained = get(&lab, path::EXPLAIN, &connection, "explain");
    assert_eq!(explained["policy"]["allowed"], false, "{explained}");
    assert!(
        !explained["records"].as_array().unwrap().is_empty(),
        "{explained}"
    );

    assert!(get_lines(&lab, path::FLOWS, &none, "stamp", "conntrack") >= 2);
    let sorted = value!({"sort": "rate"});
    assert!(get_lines(&lab, path::FLOWS, &sorted, "stamp", "conntrack") >= 2);
    assert!(get_lines(&lab, path::RECORDS, &none, "events-header", "events") >= 4);
    for (path, query) in [
        (path::RULES, value!({"name": "shop/nothing"})),
        (path::FLOW_TOP, value!({"limt": 5})),
        (path::EXPLAIN, value!({"src": "x"})),
    ] {
        let refused = client::get::<Value>(&socket(&lab), path, &query);
        assert!(
            matches!(refused, Err(client::ClientError::BadRequest(_))),
            "{path}: {refused:?}"
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn selftest_compares_loaded_programs_with_oracle() {
    let lab = lab();
    let mut daemon = start(&lab, "");
    wait_for_socket(&lab);
    let output = ask(&lab, "selftest");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(" packets agree, 0 differ"), "{text}");
    // Every rule, every implicit rule and the default denies of the demo decide some packets.
    let result = json(&lab, "selftest --seed 7 --packets 20000");
    let rules = result["rules"].as_object().unwrap();
    for rule in [
        "shop/web-public ingress[0]",
        "shop/db-backup ingress[0]",
        "default-deny",
        "not-isolated",
    ] {
        assert!(rules[rule].as_u64().unwrap() > 100, "{rule}: {rules:?}");
    }
    // A block comes before policy, and is not counted.
    ask(&lab, &format!("block {} --ttl 5m --reason test", DB[0]));
    let blocked = json(&lab, "selftest");
    assert!(
        blocked["before_policy"]["blocked"].as_u64().unwrap() > 10,
        "{blocked}"
    );
    assert_eq!(counted(&lab, "nic0", "xdp", "blocked"), 0);

    // Files that the daemon refuses differ from what is loaded: the comparison finds out.
    std::fs::write(policies(&lab), "").unwrap();
    let output = ask(&lab, "selftest");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("DIFFERENT ") && text.contains("oracle   allow"),
        "{text}"
    );

    daemon.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    let output = ask(&lab, "selftest");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("needs the daemon"), "{text}");
}
