//! The flow log: lines that decode strictly as Hubble's flow.proto, one for each record.
#![cfg(target_os = "linux")]

#[path = "../demo_lab/mod.rs"]
mod demo_lab;
mod proto;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use demo_lab::*;
use nix::sys::signal::Signal;
use proto::*;
use serde_json::Value;

fn log_path(lab: &Lab) -> PathBuf {
    lab.root().join("flows.json")
}

/// Starts a daemon that writes a flow log.
fn start_with_log(lab: &Lab, options: &str) -> bailey_lab::Daemon {
    let path = log_path(lab);
    let daemon = start(
        lab,
        &format!("[flow_log]\npath = \"{}\"\n{options}", path.display()),
    );
    wait_for_socket(lab);
    daemon
}

fn lines(lab: &Lab) -> Vec<Line> {
    let text = fs::read_to_string(log_path(lab)).unwrap_or_default();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn connect(lab: &Lab, from: &str) -> Observed {
    traffic::tcp(
        &lab.outside,
        ip(from),
        at(DB[usize::from(from.contains(':'))], 5432),
    )
}

/// Number of lines or records: by source, destination, verdict, TCP port and interface.
type Counts = BTreeMap<[String; 5], u32>;

fn logged(lab: &Lab) -> Counts {
    let mut counts = Counts::new();
    for Line { flow, .. } in lines(lab) {
        let verdict = match flow.verdict {
            Verdict::DROPPED => "drop",
            _ => "pass",
        };
        let port = match &flow.l4 {
            Some(Layer4::TCP(tcp)) => tcp.destination_port.to_string(),
            _ => "-".to_owned(),
        };
        let interface = flow.interface.unwrap().name;
        let (source, destination) = (flow.IP.source, flow.IP.destination);
        let key = [source, destination, verdict.to_owned(), port, interface];
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn observed(lab: &Lab) -> Counts {
    let output = ask(lab, "observe --all -o json").stdout;
    let mut counts = Counts::new();
    for line in String::from_utf8(output).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let port = match record["protocol"].as_str() {
            Some("TCP") => record["destination_port"].to_string(),
            _ => "-".to_owned(),
        };
        let ends = ["source", "destination", "verdict"].map(text);
        let [source, destination, verdict] = ends;
        let key = [source, destination, verdict, port, text("interface")];
        *counts.entry(key).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "needs root and BPF"]
fn each_record_has_its_line() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let _daemon = start_with_log(&lab, "");
    for family in [0, 1] {
        assert_eq!(connect(&lab, BACKUP[family]), Observed::Allowed);
        assert_eq!(connect(&lab, STRANGER[family]), Observed::Silent);
        let ping = traffic::ping(&lab.outside, ip(STRANGER[family]), ip(DB[family]));
        assert_eq!(ping, Observed::Silent);
    }
    // The log has the records since the daemon's start, `observe` those before too.
    wait_until("the log has what observe has", || {
        let of_db = |mut counts: Counts| {
            counts.retain(|key, _| DB.contains(&&*key[1]));
            counts
        };
        let observed = of_db(observed(&lab));
        assert!(observed.len() >= 6, "{observed:?}");
        observed == of_db(logged(&lab))
    });

    let lines = lines(&lab);
    let of = |source: &str| -> Vec<&Line> {
        let found = lines.iter().filter(|line| line.flow.IP.source == source);
        found.collect()
    };
    assert!(of(STRANGER[0]).len() >= 2 && !of(BACKUP[1]).is_empty());
    of(STRANGER[0]).into_iter().for_each(assert_denied);
    of(BACKUP[1]).into_iter().for_each(assert_allowed);
}

fn assert_denied(line: &Line) {
    let flow = &line.flow;
    assert_eq!((&flow.node_name, &flow.time), (&line.node_name, &line.time));
    let reason = (flow.drop_reason, flow.drop_reason_desc.as_deref());
    assert_eq!(reason, (Some(133), Some("POLICY_DENIED")));
    let event = (flow.event_type.r#type, flow.event_type.sub_type);
    assert_eq!(event, (1, Some(133)));
    assert_eq!(flow.traffic_direction, TrafficDirection::INGRESS);
    let source = (flow.source.identity, &*flow.source.labels[0]);
    assert_eq!(source, (2, "reserved:world"));
    assert_eq!(flow.destination.namespace.as_deref(), Some("shop"));
    assert_eq!(flow.destination.pod_name.as_deref(), Some("db"));
    assert_eq!(flow.destination.workloads[0].name, "db");
    let policy = &flow.ingress_denied_by[0];
    let texts = [
        &policy.name,
        &policy.namespace,
        &policy.kind,
        &policy.revision,
    ];
    assert_eq!(texts, ["default-deny", "shop", "DefaultDeny", "1"]);
    assert_eq!(policy.labels, ["bailey.dev/rule=default-deny"]);
    assert_eq!(flow.IP.version, "IPv4");
}

fn assert_allowed(line: &Line) {
    let flow = &line.flow;
    assert_eq!(
        (&flow.verdict, flow.is_reply),
        (&Verdict::FORWARDED, Some(false))
    );
    assert_eq!(flow.event_type.r#type, 5);
    let policy = &flow.ingress_allowed_by[0];
    let texts = [&policy.name, &policy.labels[0]];
    assert_eq!(texts, ["db-backup", "bailey.dev/rule=ingress[0]"]);
    assert_eq!(flow.Summary, "TCP Flags: SYN");
    let Some(Layer4::TCP(tcp)) = &flow.l4 else {
        panic!("{flow:?}")
    };
    assert!(tcp.flags[&TcpFlag::SYN] && tcp.source_port > 0);
}

#[test]
#[ignore = "needs root and BPF"]
fn log_resumes_after_errors_and_moves() {
    let lab = lab();
    let path = log_path(&lab);
    // A folder in the place of the file.
    fs::create_dir(&path).unwrap();
    let daemon = start_with_log(&lab, "verdicts = [\"drop\"]\n");
    let problem = |lab: &Lab| {
        let status = json(lab, "status");
        let problems = status["problems"].as_array().unwrap().clone();
        problems.iter().any(|problem| {
            problem
                .as_str()
                .unwrap()
                .starts_with("flow log: cannot write")
        })
    };
    wait_until("status has a problem", || problem(&lab));
    assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    fs::remove_dir(&path).unwrap();
    wait_until("the problem ends", || !problem(&lab));
    assert_eq!(connect(&lab, STRANGER[0]), Observed::Silent);
    wait_until("the log has a line", || !lines(&lab).is_empty());
    assert!(
        lines(&lab)
            .iter()
            .all(|line| line.flow.verdict == Verdict::DROPPED)
    );

    // Another program rotates the file.
    let moved = path.with_extension("moved");
    fs::rename(&path, &moved).unwrap();
    daemon.signal(Signal::SIGHUP).unwrap();
    wait_until("the file is there again", || path.exists());
    assert_eq!(connect(&lab, STRANGER[1]), Observed::Silent);
    wait_until("the new file has a line", || !lines(&lab).is_empty());
    let sources: BTreeSet<String> = lines(&lab)
        .into_iter()
        .map(|line| line.flow.IP.source)
        .collect();
    assert!(
        sources.contains(STRANGER[1]) && !sources.contains(STRANGER[0]),
        "{sources:?}"
    );
}

#[test]
#[ignore = "needs root and BPF"]
fn unknown_filter_is_a_problem() {
    let lab = lab();
    let _daemon = start_with_log(&lab, "filters = { namespce = [\"shop\"] }\n");
    let status = json(&lab, "status");
    let text = status["problems"].to_string();
    assert!(
        text.contains("flow log: flow_log.filters: unknown filter") && text.contains("`namespace`"),
        "{text}"
    );
}
