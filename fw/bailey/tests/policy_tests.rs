//! `bailey test` on the command line: regression fixtures, conformance suites, and invalid files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn bailey(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bailey"))
        .args(arguments)
        .args(paths)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn regressions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions")
}

#[test]
fn regressions_hold_in_oracle_and_tables() {
    for engine in ["oracle", "tables"] {
        let output = bailey(&["test", "--engine", engine], &[&regressions()]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{engine}: {text}");
    }
}

#[test]
#[ignore = "needs root and BPF"]
fn regressions_hold_in_all_engines() {
    let output = bailey(
        &["test", "--engine", "all", "-o", "json"],
        &[&regressions()],
    );
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    let case = &report["cases"][0];
    for engine in ["oracle", "tables", "kernel"] {
        assert_eq!(case["got"][engine], case["got"]["oracle"], "{report}");
    }
}

/// Asserts that a bridge denies groups and link-local addresses, except those that its
/// configuration lists.
fn a_bridge_closes_groups_and_links(engine: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (test, config) = (
        directory.path().join("t.yaml"),
        directory.path().join("c.toml"),
    );
    // Connections and their verdicts.
    let cases = [
        ("10.0.0.9", "224.0.0.252", 5355, "UDP", "deny, rule: group"),
        (
            "10.0.0.9",
            "224.0.0.251",
            5353,
            "UDP",
            "allow, rule: not-isolated",
        ),
        ("10.0.0.9", "255.255.255.255", 9, "UDP", "deny, rule: group"),
        ("fe80::1", "fe80::2", 80, "TCP", "deny, rule: link-local"),
        (
            "fe80::1",
            "fe80::2",
            179,
            "TCP",
            "allow, rule: not-isolated",
        ),
        (
            "169.254.0.9",
            "10.0.0.1",
            80,
            "TCP",
            "deny, rule: link-local",
        ),
        (
            "10.0.0.9",
            "10.0.0.1",
            80,
            "TCP",
            "deny, rule: default-deny",
        ),
    ];
    let lines = cases.map(|(from, to, port, protocol, expect)| {
        format!(
            "  - {{from: {{ip: \"{from}\"}}, to: {{ip: \"{to}\"}}, port: {port}, protocol: {protocol}, \
             expect: {expect}}}\n"
        )
    });
    // A test with these cases, and a policy that isolates all pods.
    let policy = "  - {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, \
                  metadata: {name: closed, namespace: ns}, spec: {podSelector: {}}}\n  cases:\n";
    let text = BASE.replace("  cases:\n", policy) + &lines.concat();
    fs::write(&test, text).unwrap();
    // The configuration of a bridge with one group and one service.
    let bridge = "topology = \"bridge\"\ninterfaces = [\"a\", \"b\"]\n\
                  [frames]\ngroups = [\"224.0.0.251/32\"]\nlink_local = [\"TCP/179\"]\n";
    fs::write(&config, bridge).unwrap();
    let arguments = [
        "test",
        "--engine",
        engine,
        "--config",
        config.to_str().unwrap(),
    ];
    let output = bailey(&arguments, &[&test]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
}

#[test]
fn groups_and_links_hold_in_oracle_and_tables() {
    a_bridge_closes_groups_and_links("oracle");
    a_bridge_closes_groups_and_links("tables");
}

#[test]
#[ignore = "needs root and BPF"]
fn groups_and_links_hold_in_all_engines() {
    a_bridge_closes_groups_and_links("all");
}

/// The suites of the folder that `BAILEY_CONFORMANCE` names. A PolicyTest without cases is invalid,
/// so files without cases are left out.
#[test]
#[ignore = "needs root and BPF"]
fn conformance_suites_hold_in_all_engines() {
    let folder = std::env::var_os("BAILEY_CONFORMANCE").map(PathBuf::from);
    let folder = folder.expect("BAILEY_CONFORMANCE names the folder of the suites");
    for (suite, verdicts) in [("upstream-e2e", 506), ("recipes", 1026)] {
        let files: Vec<PathBuf> = fs::read_dir(folder.join(suite))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .collect();
        // Keep the files with cases.
        let has_cases = |path: &PathBuf| {
            let test: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            test["spec"]["cases"]
                .as_array()
                .is_some_and(|cases| !cases.is_empty())
        };
        let files: Vec<&Path> = files
            .iter()
            .filter(|f| has_cases(f))
            .map(PathBuf::as_path)
            .collect();
        let output = bailey(&["test", "--engine", "all", "-o", "json"], &files);
        let report = json(&output);
        assert_eq!(report["failed"], 0, "{suite}");
        assert_eq!(report["errors"], Value::Array(vec![]), "{suite}");
        assert_eq!(report["passed"], verdicts, "{suite}");
        assert_eq!(output.status.code(), Some(0), "{suite}");
    }
}

const BASE: &str = "apiVersion: bailey.dev/v1\nkind: PolicyTest\nmetadata: {name: t}\nspec:\n  \
                    inline:\n  - {apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns}, \
                    spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}, \
                    {name: two, containerPort: 1}]}, {name: d, ports: [{name: two, \
                    containerPort: 2}]}]}, status: {podIP: 10.0.0.1}}\n  cases:\n";

fn run(case: &str) -> (i32, Value) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("t.yaml");
    fs::write(&file, format!("{BASE}  - {case}\n")).unwrap();
    let output = bailey(&["test", "-o", "json"], &[&file]);
    (output.status.code().unwrap(), json(&output))
}

#[test]
fn policy_test_checks_verdict_rule_and_name() {
    let outside = "from: {ip: 203.0.113.1}, to: {pod: ns/p}";
    for (case, code) in [
        (format!("{{{outside}, port: 80, expect: allow}}"), 0),
        (
            format!("{{{outside}, port: web, expect: allow, rule: not-isolated}}"),
            0,
        ),
        (format!("{{{outside}, port: 80, expect: deny}}"), 1),
        (
            format!("{{{outside}, port: 80, expect: allow, rule: ns/other}}"),
            1,
        ),
        (
            format!("{{{outside}, port: 80, expect: {{egress: allow, ingress: allow}}}}"),
            0,
        ),
        (
            format!("{{{outside}, port: 80, expect: {{ingress: deny}}}}"),
            1,
        ),
        (format!("{{{outside}, protocol: ICMP, expect: allow}}"), 0),
        (
            format!("{{{outside}, protocol: 6, port: 80, expect: allow}}"),
            0,
        ),
    ] {
        let (got, report) = run(&case);
        assert_eq!(got, code, "{case}: {report}");
    }
    // The whole report of a case without a name.
    let (_, report) = run("{from: {ip: 203.0.113.1}, to: {pod: ns/p}, port: 80, expect: allow}");
    let expected = serde_json::json!({
        "test": "t", "name": "203.0.113.1 to ns/p TCP/80", "expect": "allow",
        "got": {"tables": "allow"}, "egress_rule": "not-isolated",
        "ingress_rule": "not-isolated", "ok": true,
    });
    assert_eq!(report["cases"][0], expected);
    assert_eq!(report["schema_version"], 1);
}

#[test]
fn invalid_policy_tests_are_reported() {
    let outside = "from: {ip: 203.0.113.1}, to: {pod: ns/p}";
    // Ports, verdicts, fields and names; then addresses and ends.
    for (case, expected) in [
        (
            format!("{{{outside}, port: nope, expect: allow}}"),
            "has no TCP port named",
        ),
        (
            format!("{{{outside}, port: two, expect: allow}}"),
            "resolves to [1, 2]",
        ),
        (
            format!("{{{outside}, expect: allow}}"),
            "Required value: protocol TCP has ports",
        ),
        (
            format!("{{{outside}, protocol: ICMP, port: 1, expect: allow}}"),
            "Forbidden",
        ),
        (format!("{{{outside}, port: 80}}"), "expect"),
        (
            format!("{{{outside}, port: 80, expect: maybe}}"),
            "supported values: \"allow\", \"deny\"",
        ),
        (
            format!("{{{outside}, port: 80, expect: yes}}"),
            "must be allow, deny, or a mapping",
        ),
        (
            format!("{{{outside}, port: 80, expect: {{egres: allow}}}}"),
            "unknown field",
        ),
        (
            format!("{{{outside}, port: 80, expect: allow, colour: red}}"),
            "unknown field",
        ),
        (
            format!("{{{outside}, port: 80, expect: allow, rule: x}}"),
            "must be NAMESPACE/POLICY",
        ),
        (
            format!("{{{outside}, port: 80, expect: allow, family: ipv4}}"),
            "\"IPv4\", \"IPv6\"",
        ),
        (
            "{from: {ip: '2001:db8::1'}, to: {pod: ns/p}, port: 80, expect: allow}".into(),
            "no address family in common",
        ),
        (
            "{from: {ip: '::ffff:10.0.0.1'}, to: {pod: ns/p}, port: 80, expect: allow}".into(),
            "IPv4-mapped",
        ),
        (
            "{from: {ip: x}, to: {pod: ns/p}, port: 80, expect: allow}".into(),
            "must be an IP address",
        ),
        (
            "{from: {pod: ns/q}, to: {pod: ns/p}, port: 80, expect: allow}".into(),
            "pod:ns/q is not in the inventory",
        ),
        (
            "{from: {}, to: {pod: ns/p}, port: 80, expect: allow}".into(),
            "exactly one of",
        ),
        (
            "{from: [ns/p], to: {pod: ns/p}, port: 80, expect: allow}".into(),
            "must be a mapping, not a list",
        ),
    ] {
        let (code, report) = run(&case);
        assert_eq!(code, 3, "{case}: {report}");
        let message = report["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{case}: {message}");
        assert_eq!(report["errors"].as_array().unwrap().len(), 1, "{report}");
    }
}

#[test]
fn invalid_test_files_do_not_stop_valid_ones() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    // One valid file, one valid list, and three invalid files.
    let good = format!(
        "{BASE}  - {{from: {{ip: 203.0.113.1}}, to: {{pod: ns/p}}, port: 80, expect: allow}}\n"
    );
    write("good.yaml", &good);
    write("none.yaml", &BASE.replace("cases:\n", "cases: []\n"));
    write("kind.yaml", "apiVersion: bailey.dev/v1\nkind: Policytest\n");
    write(
        "objects.yaml",
        &good.replace("  inline:", "  objects: [nowhere.yaml]\n  inline:"),
    );
    write(
        "list.yaml",
        &format!(
            "apiVersion: v1\nkind: List\nitems:\n- {}",
            good.replace('\n', "\n  ")
        ),
    );
    let output = bailey(&["test", "-o", "json"], &[directory.path()]);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&2.into(), &0.into()),
        "{report}"
    );
    assert_eq!(report["errors"].as_array().unwrap().len(), 3, "{report}");
    // A folder without files and a missing file are errors.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(bailey(&["test"], &[empty.path()]).status.code(), Some(3));
    assert_eq!(
        bailey(&["test"], &[&empty.path().join("x")]).status.code(),
        Some(3)
    );
    // Errors are test cases of the JUnit report.
    let junit = bailey(&["test", "-o", "junit"], &[directory.path()]);
    let text = String::from_utf8(junit.stdout).unwrap();
    assert!(
        text.starts_with("<?xml") && text.contains("tests=\"5\""),
        "{text}"
    );
}

#[test]
fn check_and_explain_report_verdict_by_exit_code() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/demo");
    let output = bailey(&["check", "-o", "json"], &[&demo]);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(
        (&report["stats"]["policies"], &report["enforced"]),
        (&4.into(), &true.into())
    );
    // Exit codes of explain: 0 = allowed, 1 = denied, 2 = usage error.
    let explain = |from: &str, to: &str, more: &[&str]| {
        let mut arguments = vec!["explain", "-o", "json", "--from", from, "--to", to];
        arguments.extend(more);
        bailey(&arguments, &[&demo])
    };
    let allowed = explain("203.0.113.10", "pod:shop/web", &["--port", "http"]);
    assert_eq!(allowed.status.code(), Some(0));
    let denied = explain("198.51.100.20", "pod:shop/web", &["--port", "8080"]);
    assert_eq!(denied.status.code(), Some(1));
    let ingress = &json(&denied)["connections"][0]["ingress"];
    assert_eq!(
        ingress["isolated_by"],
        serde_json::json!(["shop/default-deny", "shop/web-public"])
    );
    assert_eq!(
        explain("node:node-1", "pod:shop/db", &["--protocol", "ICMP"])
            .status
            .code(),
        Some(0)
    );
    for (from, more) in [
        ("pod:shop/nobody", &["--port", "1"][..]),
        ("10.0.0.1", &[]),
        ("10.0.0.1", &["--port", "0"]),
    ] {
        assert_eq!(
            explain(from, "pod:shop/web", more).status.code(),
            Some(2),
            "{from} {more:?}"
        );
    }
    assert_eq!(
        explain("somebody", "pod:shop/web", &["--port", "1"])
            .status
            .code(),
        Some(2)
    );
    // Without a path `check` reads the configuration, which does not exist here.
    assert_eq!(bailey(&["check"], &[]).status.code(), Some(3));
    assert_eq!(
        bailey(&["check"], &[Path::new("/nonexistent")])
            .status
            .code(),
        Some(3)
    );
}

#[cfg(target_os = "linux")]
#[test]
fn invalid_configuration_is_refused_before_any_change() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bailey.toml");
    for (text, expected) in [
        ("", "interfaces: none is named"),
        ("interfcaes = [\"eth0\"]", "did you mean `interfaces`?"),
        ("interfaces = 5", "interfaces"),
        ("interfaces = [\"eth0\"", "bailey.toml"),
        (
            "interfaces = [\"eth0\"]\n[flow_table]\nflows = 0",
            "flow_table.flows = 0",
        ),
    ] {
        fs::write(&config, text).unwrap();
        let output = bailey(&["run", "--config"], &[&config]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}: {log}");
        assert!(
            log.contains(expected)
                && (log.contains("did not start") || log.contains("UNPROTECTED")),
            "{text}: {log}"
        );
    }
    let missing = bailey(&["run", "--config"], &[&directory.path().join("none.toml")]);
    assert_eq!(missing.status.code(), Some(3));
}

/// The kernel engine is never skipped: without permission the run fails.
#[cfg(target_os = "linux")]
#[test]
fn kernel_engine_without_permission_exits_5() {
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
        .arg(env!("CARGO_BIN_EXE_bailey"))
        .args(["test", "--engine", "kernel"])
        .arg(regressions())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // An unprivileged user cannot change its bounding set, and has no capabilities anyway.
    let output = if text.contains("setpriv") {
        bailey(&["test", "--engine", "kernel"], &[&regressions()])
    } else {
        output
    };
    assert_eq!(output.status.code(), Some(5), "{text}");
}

#[test]
fn configured_limits_are_enforced() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("bailey.toml");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/demo");
    // Each limit is named in the error.
    for (text, expected) in [
        (
            "[read]\nfile_bytes = 100\n",
            "the limit is read.file_bytes = 100",
        ),
        ("[read]\ndepth = 2\n", "the limit is read.depth = 2"),
        (
            "[limits]\nclasses = 3\n",
            "address classes, the limit is 3; raise limits.classes",
        ),
        (
            "[limits]\nrules = 17\n",
            "rule ids, the limit is 17; raise limits.rules",
        ),
        (
            "[limits]\ntable_bytes = 9\n",
            "bytes of tables, the limit is 9; raise limits.table_bytes",
        ),
        ("limts = 1\n", "unknown key"),
    ] {
        fs::write(&config, text).unwrap();
        let output = bailey(&["check", "--config", config.to_str().unwrap()], &[&demo]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}: {log}");
        assert!(log.contains(expected), "{text}: {log}");
    }
    fs::write(&config, "lenient = true\n").unwrap();
    let output = bailey(&["check", "--config", config.to_str().unwrap()], &[&demo]);
    assert_eq!(output.status.code(), Some(0));
}
