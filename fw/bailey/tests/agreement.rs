//! Known traffic of twelve kinds, a flood, a block and an edit: capture, records, flow log, counters, rules,
//! metrics and `explain` have the same numbers.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use bailey_datapath::program::frame;
use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Daemon, Lab, Server};
use bailey_policy::Protocol;
use demo_lab::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Connections of each of the twelve kinds.
const EACH: u16 = 42;
/// SYNs of the flood.
const FLOOD: u16 = 600;
const SYN: u8 = 2;
const ACK: u8 = 0x10;

/// Packets by interface, direction and reason.
type Reasons = BTreeMap<[String; 3], u64>;

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().unwrap_or("-").to_owned()
}

/// Neighbours talk at any time.
fn is_counted(reason: &str) -> bool {
    !["arp", "nd"].contains(&reason)
}

/// Starts `capture -o json` into a file.
fn start_capture(lab: &Lab) -> Child {
    let root = lab.root().to_owned();
    let mut child = lab.node.run(move || {
        Command::new(binary())
            .args([
                "capture",
                "-o",
                "json",
                "--count",
                "1000000",
                "--duration",
                "10m",
                "--config",
            ])
            .arg(root.join("bailey.toml"))
            .stdout(File::create(root.join("capture.ndjson")).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let mut line = String::new();
    let stderr = child.stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    assert!(line.starts_with("capturing"), "{line}");
    child
}

fn captured(lab: &Lab) -> Vec<Value> {
    let text = fs::read_to_string(lab.root().join("capture.ndjson")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn observed(lab: &Lab) -> Vec<Value> {
    let output = ask(lab, "observe --all -o json").stdout;
    let text = String::from_utf8(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Frames from the outside to the node.
fn send(lab: &Lab, frames: impl Iterator<Item = Vec<u8>>) {
    let to = mac_of(&lab.node, "nic0");
    let from = mac_of(&lab.outside, "eth0");
    let mut frames: Vec<Vec<u8>> = frames.collect();
    for frame in &mut frames {
        frame[..6].copy_from_slice(&to);
        frame[6..12].copy_from_slice(&from);
        frame.resize(frame.len().max(60), 0);
    }
    send_frames(&lab.outside, "eth0", frames);
}

fn packet(from: &str, to: &str, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    frame::ip(ip(from), ip(to), protocol, payload)
}

/// The twelve kinds, each in both families: allowed and denied TCP and echo requests, denied UDP, segments
/// without a flow.
fn send_twelve_kinds(lab: &Lab) {
    for family in [0, 1] {
        let (friend, stranger, db) = (BACKUP[family], STRANGER[family], DB[family]);
        for _ in 0..EACH {
            let connect = traffic::tcp(&lab.outside, ip(friend), at(db, 5432));
            assert_eq!(connect, Observed::Allowed);
            let ping = traffic::ping(&lab.outside, ip(friend), ip(db));
            assert_eq!(ping, Observed::Allowed);
            // Slower than a flood.
            sleep(Duration::from_millis(10));
        }
        let (echo, request) = match family {
            0 => (Protocol::ICMP, frame::echo(8)),
            _ => (Protocol::ICMPV6, frame::echo(128)),
        };
        send(
            lab,
            (0..EACH).flat_map(|at| {
                let port = 10_000 + at;
                [
                    packet(stranger, db, Protocol::TCP, &frame::tcp(port, 5432, SYN)),
                    packet(stranger, db, Protocol::UDP, &frame::udp(port, 53)),
                    packet(stranger, db, Protocol::TCP, &frame::tcp(port, 22, ACK)),
                    packet(stranger, db, echo, &request),
                ]
            }),
        );
    }
}

/// SYNs of many sources that policy allows.
fn flood(lab: &Lab) {
    send(
        lab,
        (0..FLOOD).map(|at| {
            let source = format!("192.0.2.{}", 1 + at % 250);
            packet(
                &source,
                WEB[0],
                Protocol::TCP,
                &frame::tcp(1024 + at, 8080, SYN),
            )
        }),
    );
}

fn reasons_of_records(records: &[Value]) -> Reasons {
    let mut reasons = Reasons::new();
    for record in records {
        let key = ["interface", "traffic_direction", "reason"].map(|field| text(record, field));
        if is_counted(&key[2]) {
            *reasons.entry(key).or_default() += record["segments"].as_u64().unwrap();
        }
    }
    reasons
}

fn reasons_of_counters(lab: &Lab) -> Reasons {
    let counters = json(lab, "counters");
    let rows = counters["counters"].as_array().unwrap().iter();
    let rows = rows.filter(|row| is_counted(row["reason"].as_str().unwrap()));
    rows.map(|row| {
        let direction = if row["hook"] == "xdp" {
            "ingress"
        } else {
            "egress"
        };
        let key = [
            text(row, "interface"),
            direction.to_owned(),
            text(row, "reason"),
        ];
        (key, row["packets"].as_u64().unwrap())
    })
    .collect()
}

/// `/metrics` of the drops.
fn reasons_of_metrics(lab: &Lab) -> Reasons {
    let mut reasons = Reasons::new();
    let socket = lab.root().join("run/bailey.sock");
    let output = Command::new("curl")
        .args(["-s", "--unix-socket"])
        .arg(socket)
        .arg("http://bailey/metrics")
        .output()
        .unwrap();
    let scrape = String::from_utf8(output.stdout).unwrap();
    for line in scrape
        .lines()
        .filter(|line| line.starts_with("bailey_drops_total{"))
    {
        let label = |name: &str| {
            let begin = line.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
            line[begin..].split('"').next().unwrap().to_owned()
        };
        let direction = if label("hook") == "xdp" {
            "ingress"
        } else {
            "egress"
        };
        let value = line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        reasons.insert(
            [label("interface"), direction.to_owned(), label("reason")],
            value as u64,
        );
    }
    reasons
}

/// Lines of the flow log and IP records, by interface and verdict.
fn verdicts(rows: impl Iterator<Item = (String, String)>) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for key in rows {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn verdicts_of_log(lab: &Lab) -> BTreeMap<(String, String), u64> {
    let log = fs::read_to_string(lab.root().join("flows.json")).unwrap_or_default();
    verdicts(log.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let verdict = match line["flow"]["verdict"].as_str().unwrap() {
            "FORWARDED" => "pass",
            _ => "drop",
        };
        (text(&line["flow"]["interface"], "name"), verdict.to_owned())
    }))
}

fn verdicts_of_records(records: &[Value]) -> BTreeMap<(String, String), u64> {
    let ip = records
        .iter()
        .filter(|record| record["protocol"].is_string());
    verdicts(ip.map(|record| (text(record, "interface"), text(record, "verdict"))))
}

/// Hits of each rule as its answers count them: flows created, and openings denied.
fn hits_of_records(records: &[Value]) -> BTreeMap<u64, u64> {
    let mut hits = BTreeMap::new();
    for record in records {
        let reason = record["reason"].as_str().unwrap();
        // The edit denies a segment of a flow, which opens nothing.
        let is_opening = record["protocol"] != "TCP" || text(record, "tcp_flags").contains("SYN");
        for rule in ["egress_rule", "ingress_rule"].map(|field| &record[field]) {
            let is_hit = match reason {
                "new" => rule.is_object(),
                "policy" => rule["denies"] == true && is_opening,
                _ => false,
            };
            if is_hit {
                *hits.entry(rule["id"].as_u64().unwrap()).or_default() += 1;
            }
        }
    }
    hits
}

fn hits_of_rules(lab: &Lab) -> BTreeMap<u64, u64> {
    let rules = json(lab, "rules");
    let rows = rules["rules"].as_array().unwrap().iter();
    let hits = rows.map(|row| (row["id"].as_u64().unwrap(), row["hits"].as_u64().unwrap()));
    hits.filter(|(_, hits)| *hits > 0).collect()
}

fn without_flows(reasons: &Reasons) -> Reasons {
    let kept = reasons
        .iter()
        .filter(|(key, _)| !["flow", "evaluated"].contains(&&*key[2]));
    kept.map(|(key, count)| (key.clone(), *count)).collect()
}

fn drops(reasons: &Reasons) -> Reasons {
    let mut drops = without_flows(reasons);
    let passes = [
        "new",
        "failsafe",
        "related",
        "dhcp",
        "multicast-control",
        "link-local-control",
    ];
    drops.retain(|key, _| !passes.contains(&&*key[2]));
    drops
}

/// Begins with a capture before the first packet of the traffic.
fn begin(lab: &Lab) -> (Daemon, Child) {
    let options = format!(
        "[flood]\nnew_flows_per_second = 1000\n[recorder]\nrecords = 16384\n[flow_log]\npath = \"{}\"",
        lab.root().join("flows.json").display()
    );
    let daemon = start(lab, &options);
    wait_for_socket(lab);
    (daemon, start_capture(lab))
}

#[test]
#[ignore = "needs root and BPF"]
fn all_verbs_agree_on_known_traffic() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let (mut daemon, capture) = begin(&lab);
    let before = (reasons_of_counters(&lab), observed(&lab).len());

    send_twelve_kinds(&lab);
    let mut open = traffic::tcp_connect(&lab.outside, ip(BACKUP[1]), at(DB[1], 5432)).unwrap();
    assert_eq!(traffic::tcp_echo(&mut open), Observed::Allowed);
    flood(&lab);
    ask(
        &lab,
        &format!("block {} --ttl 5m --reason test", STRANGER[0]),
    );
    send(
        &lab,
        (0..EACH).map(|at| {
            packet(
                STRANGER[0],
                DB[0],
                Protocol::TCP,
                &frame::tcp(20_000 + at, 5432, SYN),
            )
        }),
    );
    set_backup_permission(&lab, &mut daemon, false);
    assert_eq!(traffic::tcp_echo(&mut open), Observed::Silent);
    drop(open);

    // No packet may come between two answers; connections that end send some for a while.
    let mut seen = String::new();
    wait_until("all answers agree", || {
        let counters = reasons_of_counters(&lab);
        let records = observed(&lab);
        let captured = captured(&lab);
        let mut all = reasons_of_records(&captured);
        // Packets from before the capture.
        for (key, count) in &before.0 {
            *all.entry(key.clone()).or_default() += count;
        }
        let views = [
            ("capture", all == counters),
            (
                "observe",
                reasons_of_records(&records) == without_flows(&counters),
            ),
            ("metrics", reasons_of_metrics(&lab) == drops(&counters)),
            (
                "flow log",
                verdicts_of_log(&lab) == verdicts_of_records(&records[before.1..]),
            ),
            ("rules", hits_of_rules(&lab) == hits_of_records(&records)),
        ];
        let failed: Vec<&str> = views
            .iter()
            .filter(|(_, is_so)| !is_so)
            .map(|(name, _)| *name)
            .collect();
        if failed.join(" ") != seen {
            seen = failed.join(" ");
            eprintln!("differ: {seen}");
        }
        failed.is_empty()
    });
    assert_kinds(&reasons_of_counters(&lab));
    let denials = String::from_utf8(ask(&lab, &format!("explain --from {}", STRANGER[1])).stdout);
    let last = format!("observe --verdict drop --from-ip {} --last 20", STRANGER[1]);
    assert_eq!(
        denials.unwrap(),
        String::from_utf8(ask(&lab, &last).stdout).unwrap()
    );
    kill(Pid::from_raw(capture.id() as i32), Signal::SIGINT).unwrap();
}

/// Each kind of traffic left its numbers.
fn assert_kinds(counters: &Reasons) {
    let of = |reason: &str| {
        let key = ["nic0", "ingress", reason].map(ToOwned::to_owned);
        counters.get(&key).copied().unwrap_or_default()
    };
    let each = u64::from(EACH);
    assert_eq!(of("tcp-no-flow"), 2 * each);
    // SYN, datagram and echo request in both families, and those after the edit.
    assert!(of("policy") >= 6 * each, "{}", of("policy"));
    assert_eq!(of("blocked"), each);
    assert!(of("challenged") > 100, "{}", of("challenged"));
    assert!(of("new") >= 4 * each && of("flow") > of("new"));
    assert!(of("flow-denied") >= 1);
}
