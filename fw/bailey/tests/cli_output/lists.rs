//! Lists in every output format, filtered and sorted.

use bailey_lab::Server;
use bailey_lab::traffic;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::demo_lab::*;
use crate::{code, connected, out, said};

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
