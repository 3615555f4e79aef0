//! `bailey observe` beside known traffic: the same numbers as the counters, during and after the daemon.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use demo_lab::*;
use nix::sys::signal::Signal;
use serde_json::Value;

/// The records of a query, in order.
fn records(lab: &Lab, options: &str) -> Vec<Value> {
    let output = ask(lab, &format!("observe -o json {options}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options}: {stderr}");
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Packets by interface, direction and reason, of all records.
fn recorded(lab: &Lab) -> BTreeMap<[String; 3], u64> {
    let mut counts = BTreeMap::new();
    for record in records(lab, "--all") {
        let text = |field: &str| record[field].as_str().unwrap().to_owned();
        let key = ["interface", "traffic_direction", "reason"].map(text);
        *counts.entry(key).or_default() += record["segments"].as_u64().unwrap();
    }
    counts
}

/// The same of the counters, without the reasons that leave no record.
fn counted_reasons(lab: &Lab) -> BTreeMap<[String; 3], u64> {
    let counters = json(lab, "counters");
    let rows = counters["counters"].as_array().unwrap().iter();
    rows.filter(|row| {
        let reason = row["reason"].as_str().unwrap();
        !["flow", "evaluated", "arp", "nd"].contains(&reason)
    })
    .map(|row| {
        let direction = match row["hook"].as_str().unwrap() {
            "xdp" => "ingress",
            _ => "egress",
        };
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        let key = [text("interface"), direction.to_owned(), text("reason")];
        (key, row["packets"].as_u64().unwrap())
    })
    .collect()
}

/// Asserts that records and counters agree, once no packet comes between the two answers.
fn assert_agreement(lab: &Lab) {
    let mut tries = 0;
    loop {
        let (recorded, counted) = (recorded(lab), counted_reasons(lab));
        if recorded == counted {
            return;
        }
        tries += 1;
        assert!(tries < 20, "{recorded:#?}\n{counted:#?}");
        sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn observe_agrees_with_counters_before_and_after_crash() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let daemon = start(&lab, "");
    for family in [0, 1] {
        for _ in 0..5 {
            let connect = |from: &str| traffic::tcp(&lab.outside, ip(from), at(DB[family], 5432));
            assert_eq!(connect(BACKUP[family]), Observed::Allowed);
            assert_eq!(connect(STRANGER[family]), Observed::Silent);
            let ping = traffic::ping(&lab.outside, ip(STRANGER[family]), ip(DB[family]));
            assert_eq!(ping, Observed::Silent);
        }
    }
    assert_agreement(&lab);

    // Each question has one filter.
    for family in [0, 1] {
        let of_stranger = format!("--all --from-ip {}", STRANGER[family]);
        let denied = records(&lab, &of_stranger);
        assert!(denied.len() >= 10, "{denied:?}");
        for record in &denied {
            assert_eq!(
                (&record["verdict"], &record["reason"]),
                (&"drop".into(), &"policy".into())
            );
            assert_eq!(record["interface"], "nic0");
            assert_eq!(record["destination"], DB[family]);
            assert_eq!(record["ingress_rule"]["kind"], "default-deny");
            assert_eq!(record["ingress_rule"]["denies"], true);
        }
        let tcp = records(&lab, &format!("{of_stranger} --protocol tcp --port 5432"));
        assert!(
            tcp.iter().all(|record| record["tcp_flags"] == "SYN"),
            "{tcp:?}"
        );
        let echoes = records(&lab, &format!("{of_stranger} --protocol icmp,icmpv6"));
        assert_eq!(tcp.len() + echoes.len(), denied.len());
        let new = records(
            &lab,
            &format!(
                "--all --policy shop/db-backup --verdict pass --ip {}",
                DB[family]
            ),
        );
        assert_eq!(new.len(), 5, "{new:?}");
        assert!(new.iter().all(|record| record["reason"] == "new"));
    }
    let last = records(&lab, "--last 3");
    assert_eq!(
        last,
        records(&lab, "--all")[records(&lab, "--all").len() - 3..]
    );

    // The records outlive the daemon.
    daemon.signal(Signal::SIGKILL).unwrap();
    let silent = traffic::tcp(&lab.outside, ip(STRANGER[0]), at(DB[0], 5432));
    assert_eq!(silent, Observed::Silent);
    assert_agreement(&lab);
    let text = String::from_utf8(ask(&lab, "observe --last 1 --reason policy").stdout).unwrap();
    let end = "-> shop/db:5432 SYN 74 B by shop default-deny in (2 policies)\n";
    assert!(
        text.contains(" nic0 ingress DROP policy TCP ") && text.ends_with(end),
        "{text}"
    );
    let numeric = ask(&lab, "observe --last 1 --reason policy --numeric").stdout;
    let address = format!("-> {}:5432 ", DB[0]);
    assert!(String::from_utf8(numeric).unwrap().contains(&address));
    assert_names_of_endpoints(&lab);
}

/// Names of endpoints come from the files, without a daemon.
fn assert_names_of_endpoints(lab: &Lab) {
    let to_db = records(lab, "--all --to-pod shop/db --verdict drop");
    assert!(to_db.len() >= 10, "{to_db:?}");
    assert!(
        to_db
            .iter()
            .all(|record| record["destination_endpoint"]["workload"] == "db")
    );
    assert!(records(lab, "--all --from-pod shop/db --verdict drop").is_empty());
    let others = records(lab, "--all --not --to-pod shop/db --verdict drop");
    let all = records(lab, "--all --verdict drop");
    assert_eq!(others.len() + to_db.len(), all.len());
}

#[test]
#[ignore = "needs root and BPF"]
fn mistakes_in_filters_are_explained() {
    let lab = lab();
    let _daemon = start(&lab, "");
    for (options, expected) in [
        ("--reason polcy", "did you mean `policy`"),
        ("--rule shop/db-bakcup", "did you mean `shop/db-backup`"),
        ("--tcp-flags SYN+ACKK", "did you mean `ACK`"),
        ("--verdict dropp", "did you mean `drop`"),
        ("--protocol tpc", "did you mean `TCP`"),
        ("--verdct drop", "--verdict"),
        ("--ip 10.42.0.1/16", "did you mean 10.42.0.0/16"),
        ("--since 2999-01-01T00:00:00Z", "in the future"),
        ("--since yesterday", "an age such as"),
        ("--last 0", "0 is not in 1.."),
    ] {
        let output = ask(&lab, &format!("observe {options}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options}: {stderr}");
        assert!(stderr.contains(expected), "{options}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}
