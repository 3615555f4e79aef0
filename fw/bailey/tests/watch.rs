//! `/v1/watch` and `/v1/events`: everything, then what comes, for several readers.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use bailey_control::api::path;
use bailey_control::api_records::{PacketRecord, RecordsQuery, RecordsSummary};
use bailey_control::api_watch::{Update, WatchBegin};
use bailey_control::client::stream_lines;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server, schema};
use demo_lab::*;
use serde::de::DeserializeOwned;

fn socket(lab: &Lab) -> PathBuf {
    lab.root().join("run/bailey.sock")
}

/// Follows an answer in a thread, which ends with the receiver.
fn follow<Common: DeserializeOwned>(
    lab: &Lab,
    path: &'static str,
    query: RecordsQuery,
) -> Receiver<Vec<u8>> {
    let socket = socket(lab);
    let (sender, lines) = channel();
    thread::spawn(move || {
        let begin = |_: Common| {};
        // An error ends the lines.
        let _ = stream_lines(&socket, path, &query, true, begin, |whole| {
            let mut each = whole.split_inclusive(|byte| *byte == b'\n');
            each.all(|line| sender.send(line.to_vec()).is_ok())
        });
    });
    lines
}

fn next<T: DeserializeOwned>(lines: &Receiver<Vec<u8>>) -> T {
    let line = lines.recv_timeout(PATIENCE).unwrap();
    let value = serde_json::from_slice(&line).unwrap();
    schema::assert_valid("watch", &value);
    serde_json::from_slice(&line)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&line)))
}

fn connect(lab: &Lab, from: &str) -> Observed {
    traffic::tcp(&lab.outside, ip(from), at(DB[0], 5432))
}

#[test]
#[ignore = "needs root and BPF"]
fn watchers_get_everything_then_changes() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    wait_for_socket(&lab);
    let watch = || follow::<WatchBegin>(&lab, path::WATCH, RecordsQuery::default());
    let (one, other) = (watch(), watch());
    let first: Update = next(&one);
    assert!(first.complete && first.status.enforcing);
    let rules = first.rules.len();
    assert!(rules >= 5, "{:?}", first.rules);
    let _: Update = next(&other);

    // Denied packets appear as a counter and a rule with rates, and their rates end.
    assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    let mut rates = Vec::new();
    for _ in 0..20 {
        let line: Update = next(&one);
        let changed = &line.rules;
        assert!(line.complete || changed.len() < rules, "{changed:?}");
        let denied = line.counters.iter().find(|row| row.reason == "policy");
        rates.extend(denied.and_then(|row| row.packets_per_second));
        if rates.last() == Some(&0.0) && rates.iter().any(|rate| *rate > 0.0) {
            break;
        }
    }
    assert_eq!(rates.last(), Some(&0.0), "{rates:?}");
    assert!(rates.iter().any(|rate| *rate > 0.0), "{rates:?}");

    // A later reader gets the seconds before.
    let late: Update = next(&watch());
    let denied = late.counters.iter().find(|row| row.reason == "policy");
    let recent = &denied.unwrap().recent;
    assert!((2..=60).contains(&recent.len()), "{recent:?}");
    let sum: f32 = recent.iter().sum();
    assert!(sum > 0.5, "{recent:?}");
    assert!(
        late.rules
            .iter()
            .any(|rule| rule.recent.iter().sum::<f32>() > 0.5)
    );

    // A change of policy sends everything again.
    set_backup_permission(&lab, &mut daemon, false);
    let is_second = |line: Update| line.complete && line.status.stamp.generation == 2;
    assert!((0..20).any(|_| is_second(next(&one))));
    // Both readers got the same lines, encoded once.
    let lines: Vec<Vec<u8>> = other.try_iter().collect();
    assert!(lines.len() >= 2, "{} lines", lines.len());
}

#[test]
#[ignore = "needs root and BPF"]
fn followers_get_records_as_they_come() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let query = RecordsQuery {
        filter: Some(format!(r#"{{"from_ip":["{}/32"]}}"#, STRANGER[0])),
        last: Some(0),
        follow: true,
        ..RecordsQuery::default()
    };
    let records = follow::<RecordsSummary>(&lab, path::RECORDS, query);
    // The follower begins at some moment: the first packets may come before.
    let mut found: Option<PacketRecord> = None;
    for _ in 0..20 {
        connect(&lab, BACKUP[0]);
        assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
        if let Ok(line) = records.try_recv() {
            found = serde_json::from_slice(&line).ok();
            break;
        }
    }
    let record = found.expect("no record came");
    assert_eq!(
        (&*record.reason, record.source.as_deref()),
        ("policy", Some(STRANGER[0]))
    );
    let name = record.destination_endpoint.unwrap();
    assert_eq!((&*name.namespace, &*name.name), ("shop", "db"));
}
