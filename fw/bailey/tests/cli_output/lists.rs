//! Lists in every output format, filtered and sorted.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bailey_lab::{Lab, Server, traffic};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::demo_lab::*;
use crate::{connected, exit_code, stderr, stdout};

/// The lines that a verb prints; asserts exit code 0.
fn lines(lab: &Lab, verb: &str) -> Vec<String> {
    let output = ask(lab, verb);
    assert_eq!(exit_code(&output), Some(0), "{verb}: {}", stderr(&output));
    stdout(&output).lines().map(ToOwned::to_owned).collect()
}

/// Each filter of `conntrack list` finds its part of three TCP flows and one ICMP flow.
fn assert_flows_are_filtered(lab: &Lab) {
    let flows = json(lab, "conntrack list");
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
        let found = lines(lab, &format!("conntrack list -o ndjson {filter}"));
        assert_eq!(found.len(), matches, "{filter}: {found:?} of {all:?}");
        for line in found {
            let flow: Value = serde_json::from_str(&line).unwrap();
            assert!(!flow["node"].is_null() && flow["ingress_rule"]["rule"].is_string());
        }
    }
    assert_eq!(lines(lab, "conntrack list -o name").len(), all.len());
    let none = lines(lab, "conntrack list -o yaml --dst 192.0.2.1");
    assert_eq!(none.last().unwrap(), "flows: []");
}

/// `--sort` orders numbers in descending order, and `-n` limits the rows.
fn assert_flows_are_sorted(lab: &Lab) {
    let packets: Vec<u64> = lines(lab, "conntrack list -o ndjson --sort pkts")
        .iter()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["packets"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(packets.is_sorted_by(|a, b| a >= b), "{packets:?}");
    assert_eq!(
        lines(lab, "conntrack list --sort src -n 2 --no-headers").len(),
        2
    );
}

/// `get` shows a flow with all facts, and exits with 1 without one.
fn assert_flows_are_shown(lab: &Lab) {
    let shown = lines(lab, "conntrack get --src 203.0.113.10 --protocol icmp");
    assert!(shown[0].starts_with("ICMP 203.0.113.10"), "{shown:?}");
    for fact in [
        "state",
        "expires    in ",
        "ingress    shop/db-backup",
        "evaluated  under the active",
    ] {
        assert!(
            shown.iter().any(|line| line.contains(fact)),
            "{fact}: {shown:?}"
        );
    }
    let json = json(lab, "conntrack get --port 5432");
    assert_eq!(json.as_array().unwrap().len(), 3);
    let none = ask(lab, "conntrack get --port 1");
    assert_eq!(exit_code(&none), Some(1), "{}", stderr(&none));
    assert_eq!(exit_code(&ask(lab, "conntrack get")), Some(2));
}

/// The flow that carries data comes first, with about its rate.
fn assert_flows_are_sorted_by_rate(lab: &Lab, busy: &TcpStream) {
    let port = busy.local_addr().unwrap().port();
    let is_done = Arc::new(AtomicBool::new(false));
    let mut writer = busy.try_clone().unwrap();
    let flag = Arc::clone(&is_done);
    let sender = thread::spawn(move || {
        while !flag.load(Ordering::Relaxed) {
            let _ = writer.write_all(&[7; 1000]);
            thread::sleep(Duration::from_millis(10));
        }
    });
    let rows = lines(lab, "conntrack list --top 2 --by rate -o ndjson");
    is_done.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(rows[0]["source_port"], port, "{rows:?}");
    // A kilobyte each 10 ms, echoed, with headers.
    let rate = rows[0]["bytes_per_second"].as_u64().unwrap();
    assert!((20_000..600_000).contains(&rate), "{rate}");
    assert!(rows[1]["bytes_per_second"].as_u64().unwrap() < rate / 10);
    let table = lines(lab, "conntrack list --sort rate -n 1");
    assert!(
        table[0].contains("RATE") && table[1].contains(" B/s"),
        "{table:?}"
    );
}

/// Every format of a list has the same rows. Without a terminal a table has all columns.
fn assert_formats_agree(lab: &Lab) {
    for verb in ["rules", "counters", "conntrack list"] {
        let (table, wide) = (lines(lab, verb), lines(lab, &format!("{verb} -o wide")));
        let columns = |lines: &[String]| -> Vec<String> {
            lines[0].split_whitespace().map(ToOwned::to_owned).collect()
        };
        assert_eq!(
            columns(&table),
            columns(&wide),
            "{verb}: all columns in a pipe"
        );
        assert!(
            lines(lab, &format!("{verb} -o yaml"))[0].contains("schema_version"),
            "{verb}"
        );
        // Neighbour discovery changes the counters between two calls.
        if verb != "counters" {
            let rows = table.len() - 1;
            for option in ["--no-headers", "-o ndjson"] {
                let found = lines(lab, &format!("{verb} {option}")).len();
                assert_eq!(found, rows, "{verb} {option}");
            }
        }
    }
}

/// An unknown state, rule, column or count is a usage error with a hint.
fn assert_wrong_options_are_refused(lab: &Lab) {
    for (verb, word) in [
        ("conntrack list --state sleeping", "SYN_SENT"),
        ("conntrack list --rule shop/db-backpu", "did you mean"),
        ("rules --sort hit", "did you mean `hits`?"),
        ("conntrack list -r", "--sort"),
        ("blocks -n 0", "0"),
    ] {
        let output = ask(lab, verb);
        assert_eq!(exit_code(&output), Some(2), "{verb}");
        assert!(
            stderr(&output).contains(word),
            "{verb}: {}",
            stderr(&output)
        );
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn lists_support_all_formats_filters_and_sorting() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    let streams: Vec<_> = (0..3).map(|_| connected(&lab)).collect();
    traffic::ping(&lab.outside, ip(BACKUP[0]), ip(DB[0]));
    let check = || {
        assert_flows_are_filtered(&lab);
        assert_flows_are_sorted(&lab);
        assert_flows_are_shown(&lab);
        assert_formats_agree(&lab);
        assert_wrong_options_are_refused(&lab);
    };
    check();
    assert_flows_are_sorted_by_rate(&lab, &streams[0]);
    // Without the daemon the verbs read the pins and answer the same.
    daemon.signal(Signal::SIGKILL).unwrap();
    daemon.wait().unwrap();
    check();
    drop(streams);
}
