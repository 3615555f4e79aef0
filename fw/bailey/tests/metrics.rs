//! The exposition of a running daemon: the numbers of the other verbs, under the names that alerts,
//! dashboards, SLIs and runbooks use.
#![cfg(target_os = "linux")]

mod demo_lab;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use bailey_lab::traffic::{self, Observed};
use bailey_lab::{Lab, Server};
use demo_lab::*;

const PORT: u16 = 10911;

/// The answer of a request to the port of the metrics, from the node itself.
fn request(lab: &Lab, path: &str, headers: &str) -> String {
    let text = format!("GET {path} HTTP/1.1\r\n{headers}\r\n");
    lab.node.run(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
}

fn scrape(lab: &Lab) -> String {
    let answer = request(lab, "/metrics", "Host: localhost\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

/// Values of one metric by the values of some labels.
fn values(scrape: &str, metric: &str, labels: &[&str]) -> BTreeMap<Vec<String>, f64> {
    let mut found = BTreeMap::new();
    let prefix = format!("bailey_{metric}");
    for line in scrape.lines().filter(|line| line.starts_with(&prefix)) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let rest = &series[prefix.len()..];
        if !(rest.is_empty() || rest.starts_with('{')) {
            continue;
        }
        let label = |name: &&str| {
            let begin = rest.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
            rest[begin..].split('"').next().unwrap().to_owned()
        };
        let key: Vec<String> = labels.iter().map(label).collect();
        *found.entry(key).or_default() += value.parse::<f64>().unwrap();
    }
    found
}

#[test]
#[ignore = "needs root and BPF"]
fn scrape_has_the_numbers_of_the_other_verbs() {
    let lab = lab();
    Server::tcp(lab.workload("db"), 5432).unwrap();
    let mut daemon = start(&lab, "");
    wait_for_socket(&lab);
    for _ in 0..7 {
        let connect = |from: &str| traffic::tcp(&lab.outside, ip(from), at(DB[0], 5432));
        assert_eq!(connect(BACKUP[0]), Observed::Allowed);
        assert_eq!(connect(STRANGER[0]), Observed::Silent);
    }
    // Answers are a second old at most, and packets of the kernel itself come at any time.
    wait_until("scrape and counters agree", || {
        let counters = json(&lab, "counters");
        let rules = json(&lab, "rules");
        let scrape = scrape(&lab);
        let mut drops = BTreeMap::new();
        for row in counters["counters"].as_array().unwrap() {
            if row["verdict"] == "drop" {
                let text = |field: &str| row[field].as_str().unwrap().to_owned();
                let key = ["interface", "hook", "reason", "kind"].map(text).to_vec();
                drops.insert(key, row["packets"].as_f64().unwrap());
            }
        }
        let labels = ["interface", "hook", "reason", "kind"];
        let mut hits: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for row in rules["rules"].as_array().unwrap() {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            let key = ["namespace", "policy", "verdict"].map(text).to_vec();
            *hits.entry(key).or_default() += row["hits"].as_f64().unwrap();
        }
        values(&scrape, "drops_total", &labels) == drops
            && values(
                &scrape,
                "rule_hits_total",
                &["namespace", "policy", "action"],
            ) == hits
    });
    let text = scrape(&lab);
    let one = |metric: &str| values(&text, metric, &[])[&Vec::<String>::new()];
    let opened = values(
        &text,
        "workload_connections_total",
        &["namespace", "workload", "verdict"],
    );
    let key = |verdict: &str| ["shop", "db", verdict].map(ToOwned::to_owned).to_vec();
    assert!(
        opened[&key("pass")] >= 7.0 && opened[&key("drop")] >= 7.0,
        "{opened:?}"
    );
    assert_eq!(one("policy_generation"), 1.0);
    assert_eq!(one("conntrack_slots"), 8192.0);
    assert_eq!(
        values(&text, "policy_apply_total", &["outcome"])[&vec!["committed".to_owned()]],
        1.0
    );
    for name in ["main", "sweep", "rates", "events"] {
        let beats = values(&text, "loop_last_beat_timestamp_seconds", &["loop"]);
        assert!(
            beats.contains_key(&vec![name.to_owned()]),
            "{name}: {beats:?}"
        );
    }

    // A commit and a refusal are counted.
    set_backup_permission(&lab, &mut daemon, false);
    fs::write(policies(&lab), "kind: NetworkPolicy\n").unwrap();
    wait_until("refusal is counted", || {
        let outcomes = values(&scrape(&lab), "policy_apply_total", &["outcome"]);
        outcomes[&vec!["committed".to_owned()]] == 2.0
            && outcomes[&vec!["refused".to_owned()]] >= 1.0
    });
}

#[test]
#[ignore = "needs root and BPF"]
fn formats_and_foreign_requests() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let open = request(
        &lab,
        "/metrics",
        "Host: 127.0.0.1:10911\r\nAccept: application/openmetrics-text;version=1.0.0\r\n",
    );
    assert!(
        open.contains("content-type: application/openmetrics-text"),
        "{open}"
    );
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE bailey_packets counter\n"));
    let text = scrape(&lab);
    assert!(text.contains("# TYPE bailey_packets_total counter\n") && !text.contains("# EOF"));
    let foreign = request(&lab, "/metrics", "Host: evil.example\r\n");
    assert!(
        foreign.starts_with("HTTP/1.1 403") && !foreign.contains("bailey_"),
        "{foreign}"
    );
    let other = request(&lab, "/v1/status", "Host: localhost\r\n");
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    let garbage = request(&lab, "/metrics", "\u{0}\u{1}: \r\n");
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
}

#[test]
#[ignore = "needs root and BPF"]
fn enforcement_goes_on_if_the_port_is_taken() {
    let lab = lab();
    let listener = lab
        .node
        .run(move || TcpListener::bind(("127.0.0.1", PORT)))
        .unwrap();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let status = json(&lab, "status");
    let problems = status["problems"].as_array().unwrap();
    let problem = problems.iter().find_map(|problem| {
        let text = problem.as_str().unwrap();
        text.starts_with("metrics: ").then_some(text)
    });
    let holder = format!("(process {})", std::process::id());
    assert!(
        problem.is_some_and(|text| text.contains(&holder)),
        "{problems:?}"
    );
    let connect = traffic::tcp(&lab.outside, ip(STRANGER[0]), at(DB[0], 5432));
    assert_eq!(connect, Observed::Silent);
    drop(listener);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Texts of all files in a folder with this extension.
fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    paths
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// Names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    words
        .filter(|word| word.starts_with("bailey_") && *word != "bailey_")
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
#[ignore = "needs root and BPF"]
fn alerts_dashboards_and_slis_use_scraped_metrics() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let text = scrape(&lab);
    let mut known: BTreeSet<String> = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        known.insert(name.to_owned());
        if kind == "histogram" {
            known.extend(["_bucket", "_count", "_sum"].map(|suffix| format!("{name}{suffix}")));
        }
    }
    let mut texts = files("configs/prometheus", "yaml");
    texts.extend(files("configs/grafana", "json"));
    texts.extend(
        files("docs", "md")
            .into_iter()
            .filter(|(path, _)| path.ends_with("slis.md")),
    );
    assert_eq!(texts.len(), 7);
    let mut used = BTreeSet::new();
    for (path, text) in &texts {
        let unknown: Vec<String> = metrics_in(text).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
        used.extend(metrics_in(text));
    }
    assert!(used.len() > 30, "{used:?}");
}

#[test]
#[ignore = "needs root and BPF"]
fn commands_of_runbooks_run() {
    let lab = lab();
    let _daemon = start(&lab, "");
    wait_for_socket(&lab);
    let mut commands = BTreeSet::new();
    for (path, text) in files("docs/runbooks", "md") {
        let blocks = text.split("```sh\n").skip(1);
        let lines: Vec<&str> = blocks
            .flat_map(|block| block.split("```").next().unwrap().lines())
            .collect();
        if path.file_name().is_some_and(|name| name != "README.md") {
            assert_eq!(lines.len(), 3, "{}", path.display());
        }
        commands.extend(lines.into_iter().map(ToOwned::to_owned));
    }
    assert!(commands.len() > 20);
    for command in &commands {
        let verb = command
            .strip_prefix("bailey ")
            .unwrap_or_else(|| panic!("{command}"));
        // The example policy of the pages is one of the lab.
        let words = verb.split(' ').map(|word| match word {
            "shop/web" => "shop/db-backup",
            other => other,
        });
        let output = ask(&lab, &words.collect::<Vec<_>>().join(" "));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(2), "{command}: {stderr}");
        assert_ne!(output.status.code(), Some(70), "{command}: {stderr}");
        assert!(
            !output.stdout.is_empty() || !output.stderr.is_empty(),
            "{command}: no answer"
        );
    }
}
