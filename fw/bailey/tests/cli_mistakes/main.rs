//! What people get wrong on a command line and in files: for each the exit code, and words that say what
//! is wrong and what is meant. Without root; nothing is touched.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A command line, in which `{d}` is a directory with the files below; standard input; the exit code;
/// words on standard error.
type Mistake = (&'static str, &'static str, i32, &'static [&'static str]);

const USAGE: i32 = 2;
const INVALID: i32 = 3;
const NOT_RUNNING: i32 = 4;

const GOOD: &str = "\
apiVersion: bailey.dev/v1
kind: Workload
metadata: {namespace: shop, name: web, labels: {app: web}}
spec: {addresses: [10.0.0.1], ports: [{name: http, protocol: TCP, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {namespace: shop, name: web}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: http}]}]}
";

const FILES: &[(&str, &str)] = &[
    ("good.yaml", GOOD),
    (
        "port.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: n}\n\
         spec: {podSelector: {}, ingress: [{ports: [{port: 0}]}]}\n",
    ),
    (
        "field.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: n}\n\
         spec: {podSelectr: {}}\n",
    ),
    (
        "kind.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolciy\nmetadata: {name: p, namespace: n}\n",
    ),
    ("tab.yaml", "kind:\n\t- x\n"),
    ("text.yaml", "just a text\n"),
    (
        "twice.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\n\
         metadata: {name: a}\n",
    ),
    (
        "calico.yaml",
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: p}\n",
    ),
    ("utf16.yaml", "\u{feff}"),
    ("empty/readme.txt", "no policy\n"),
    ("key.toml", "interfcaes = [\"eth0\"]\n"),
    ("nested.toml", "[flow_tabel]\nflows = 5\n"),
    ("type.toml", "interfaces = 5\n"),
    ("value.toml", "xdp_mode = \"nativ\"\n"),
    ("syntax.toml", "interfaces = [\n"),
    ("none.toml", "policies = [\"/nowhere\"]\n"),
    ("bits.toml", "[inventory]\nisolated = [\"10.42.0.1/16\"]\n"),
    (
        "port0.toml",
        "failsafe = [{ cidr = \"192.0.2.0/24\", port = 0 }]\n",
    ),
    (
        "mapped.toml",
        "failsafe = [{ cidr = \"::ffff:192.0.2.0/120\", port = 22 }]\n",
    ),
    ("zeros.toml", "[inventory]\nisolated = [\"010.0.0.0/8\"]\n"),
    ("length.toml", "[inventory]\nisolated = [\"10.0.0.0\"]\n"),
    ("list.toml", "boot = []\n"),
    ("choice.toml", "guard = { nftables = {} }\n"),
    ("entry.toml", "failsafe = [[\"192.0.2.0/24\", 22]]\n"),
    ("unnamed.toml", "interfaces = [{ nam = \"eth1\" }]\n"),
    ("relative.toml", "[paths]\npins = \"bpf\"\n"),
    ("slash.toml", "interfaces = [\"a/b\"]\n"),
    (
        "slip.yaml",
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolcy\nmetadata: {name: p}\n",
    ),
    (
        "plural.yaml",
        "apiVersion: bailey.dev/v1\nkind: Workloads\nmetadata: {name: p}\n",
    ),
    ("stdin.toml", "policies = [\"-\"]\n"),
    (
        "bridge.toml",
        "topology = \"bridge\"\ninterfaces = [\"eth0\"]\n",
    ),
    (
        "absent.toml",
        "interfaces = [\"no-such-nic0\"]\npolicies = [\"{d}/good.yaml\"]\n",
    ),
    (
        "away.toml",
        "[paths]\npins = \"{d}/pins\"\nrun = \"{d}/run\"\nstate = \"{d}/state\"\n",
    ),
    (
        "test.yaml",
        "apiVersion: bailey.dev/v1\nkind: PolicyTest\nmetadata: {name: t}\nspec:\n  objects: [good.yaml]\n  \
         cases:\n  - {from: {ip: 192.0.2.1}, to: {workload: shop/wbe}, port: 80, expect: allow}\n",
    ),
    (
        "verdict.yaml",
        "apiVersion: bailey.dev/v1\nkind: PolicyTest\nmetadata: {name: t}\nspec:\n  objects: [good.yaml]\n  \
         cases:\n  - {from: {ip: 192.0.2.1}, to: {workload: shop/web}, port: 80, expect: allowed}\n",
    ),
    ("list.txt", "192.0.2.1\nnot-an-address\n"),
    ("bits.txt", "192.0.2.1/24\n"),
];

const MISTAKES: &[Mistake] = &[
    // Verbs and options.
    ("", "", USAGE, &["Usage"]),
    ("chekc", "", USAGE, &["check"]),
    ("statsu", "", USAGE, &["status"]),
    ("conntrack lits", "", USAGE, &["list"]),
    ("check --recursiv {d}", "", USAGE, &["--recursive"]),
    ("rules -o jsn", "", USAGE, &["json", "ndjson"]),
    ("status -o name", "", USAGE, &["table", "json", "yaml"]),
    ("rules -n many", "", USAGE, &["many"]),
    ("rules -w 0", "", USAGE, &["0"]),
    (
        "check --fail-on warning {d}/good.yaml",
        "",
        USAGE,
        &["warnings"],
    ),
    ("test", "", USAGE, &["PATH"]),
    ("detach", "", USAGE, &["--yes-unfiltered"]),
    ("block", "", USAGE, &["ADDRESS"]),
    ("block 192.0.2.1", "", USAGE, &["--ttl"]),
    ("unblock", "", USAGE, &["ADDRESS"]),
    // Times, addresses, columns.
    ("block 192.0.2.1 --ttl 5", "", USAGE, &["--ttl", "2h"]),
    ("block 192.0.2.1 --ttl 5y", "", USAGE, &["--ttl", "2h"]),
    (
        "block 192.0.2.1/24 --ttl 5m --config {d}/away.toml",
        "",
        USAGE,
        &["192.0.2.0/24 is meant"],
    ),
    (
        "block shop/web --ttl 5m --config {d}/away.toml",
        "",
        USAGE,
        &["neither an address nor a prefix"],
    ),
    (
        "block -f {d}/list.txt --ttl 5m --config {d}/away.toml",
        "",
        USAGE,
        &["list.txt:2", "not-an-address"],
    ),
    (
        "block -f {d}/bits.txt --ttl 5m --config {d}/away.toml",
        "",
        USAGE,
        &["bits.txt:1"],
    ),
    (
        "block -f {d}/none.txt --ttl 5m --config {d}/away.toml",
        "",
        USAGE,
        &["none.txt"],
    ),
    (
        "block -f - --ttl 5m --config {d}/away.toml",
        "",
        USAGE,
        &["nothing"],
    ),
    (
        "conntrack list --src 10.0.0.256",
        "",
        USAGE,
        &["neither an address nor a prefix"],
    ),
    ("conntrack list --port 70000", "", USAGE, &["70000"]),
    (
        "conntrack list --sort byts --config {d}/away.toml",
        "",
        USAGE,
        &["did you mean `bytes`?"],
    ),
    // A Bailey that is not there.
    (
        "status --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded", "{d}/pins"],
    ),
    (
        "rules --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded"],
    ),
    (
        "conntrack list --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded"],
    ),
    (
        "conntrack stats --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded"],
    ),
    (
        "counters --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded"],
    ),
    (
        "blocks --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded"],
    ),
    (
        "block 192.0.2.1 --ttl 5m --config {d}/away.toml",
        "",
        NOT_RUNNING,
        &["nothing is loaded"],
    ),
    // Configurations.
    (
        "status --config {d}/nowhere.toml",
        "",
        INVALID,
        &["nowhere.toml", "No such file"],
    ),
    (
        "rules --config {d}/key.toml",
        "",
        INVALID,
        &["did you mean `interfaces`?"],
    ),
    (
        "check --config {d}/nested.toml {d}/good.yaml",
        "",
        INVALID,
        &["flow_tabel"],
    ),
    (
        "check --config {d}/type.toml {d}/good.yaml",
        "",
        INVALID,
        &["type.toml", "line 1"],
    ),
    (
        "check --config {d}/value.toml {d}/good.yaml",
        "",
        INVALID,
        &["nativ", "native"],
    ),
    (
        "check --config {d}/syntax.toml {d}/good.yaml",
        "",
        INVALID,
        &["syntax.toml"],
    ),
    (
        "check --config {d}/none.toml",
        "",
        INVALID,
        &["/nowhere", "No such file"],
    ),
    (
        "check --config {d}/mapped.toml {d}/good.yaml",
        "",
        INVALID,
        &["write it as IPv4: 192.0.2.0/24"],
    ),
    (
        "check --config {d}/zeros.toml {d}/good.yaml",
        "",
        INVALID,
        &["\"010.0.0.0\" is not an IP address"],
    ),
    (
        "check --config {d}/length.toml {d}/good.yaml",
        "",
        INVALID,
        &["10.0.0.0/32"],
    ),
    (
        "check --config {d}/list.toml {d}/good.yaml",
        "",
        INVALID,
        &["write [boot]"],
    ),
    (
        "check --config {d}/choice.toml {d}/good.yaml",
        "",
        INVALID,
        &["guard = \"off\""],
    ),
    (
        "check --config {d}/entry.toml {d}/good.yaml",
        "",
        INVALID,
        &["{ cidr = \"192.0.2.0/24\", port = 22 }"],
    ),
    (
        "check --config {d}/unnamed.toml {d}/good.yaml",
        "",
        INVALID,
        &["has no name"],
    ),
    (
        "check --config {d}/relative.toml {d}/good.yaml",
        "",
        INVALID,
        &["paths.pins", "absolute"],
    ),
    (
        "check --config {d}/slash.toml {d}/good.yaml",
        "",
        INVALID,
        &["\"a/b\" is no name"],
    ),
    ("check {d}/slip.yaml", "", INVALID, &["CiliumNetworkPolcy"]),
    (
        "check {d}/plural.yaml",
        "",
        INVALID,
        &["did you mean Workload?"],
    ),
    ("unblock --all 192.0.2.1", "", USAGE, &["--all"]),
    (
        "check --config {d}/bits.toml {d}/good.yaml",
        "",
        INVALID,
        &["10.42.0.0/16 is meant"],
    ),
    (
        "check --config {d}/port0.toml {d}/good.yaml",
        "",
        INVALID,
        &["port 0"],
    ),
    (
        "check --config {d}/stdin.toml",
        "",
        INVALID,
        &["standard input"],
    ),
    (
        "run --config {d}/bridge.toml",
        "",
        INVALID,
        &["a bridge has two sides"],
    ),
    (
        "run --config {d}/nowhere.toml",
        "",
        INVALID,
        &["nowhere.toml"],
    ),
    // Policies.
    (
        "check {d}/nowhere.yaml",
        "",
        INVALID,
        &["nowhere.yaml", "No such file"],
    ),
    ("check {d}/empty", "", INVALID, &["no .yaml"]),
    (
        "check {d}/port.yaml",
        "",
        INVALID,
        &["port.yaml:4:", "between 1 and 65535"],
    ),
    (
        "check {d}/field.yaml",
        "",
        INVALID,
        &["unknown field", "podSelectr"],
    ),
    (
        "check {d}/kind.yaml",
        "",
        INVALID,
        &["NetworkPolciy", "NetworkPolicy"],
    ),
    ("check {d}/tab.yaml", "", INVALID, &["tab.yaml:2:"]),
    ("check {d}/text.yaml", "", INVALID, &["text.yaml:1:1"]),
    (
        "check {d}/twice.yaml",
        "",
        INVALID,
        &["Namespace a", "twice.yaml:"],
    ),
    ("check {d}/calico.yaml", "", INVALID, &["projectcalico.org"]),
    ("check -", "kind: [", INVALID, &["-:2:1"]),
    (
        "check -f {d}/good.yaml --fail-on warnings",
        "",
        INVALID,
        &["warning"],
    ),
    // Connections.
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to workload:shop/wbe --port 80",
        "",
        USAGE,
        &["did you mean `workload:shop/web`?"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to pod:shop --port 80",
        "",
        USAGE,
        &["NAMESPACE/NAME"],
    ),
    (
        "explain {d}/good.yaml --from somebody --to 10.0.0.1 --port 80",
        "",
        USAGE,
        &["pod:NS/NAME"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to 10.0.0.1",
        "",
        USAGE,
        &["--port is needed"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to 10.0.0.1 --port 0",
        "",
        USAGE,
        &["between 1 and 65535"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to workload:shop/web --port htp",
        "",
        USAGE,
        &["htp", "did you mean `http`?"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to 10.0.0.1 --protocol tpc --port 1",
        "",
        USAGE,
        &["tpc", "TCP"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to 10.0.0.1 --protocol icmp --port 1",
        "",
        USAGE,
        &["--port does not go with"],
    ),
    (
        "explain {d}/good.yaml --from 192.0.2.1 --to 2001:db8::1 --port 1",
        "",
        USAGE,
        &["no address family in common"],
    ),
    (
        "explain {d}/good.yaml --from ::ffff:10.0.0.1 --to 10.0.0.1 --port 1",
        "",
        USAGE,
        &["IPv4-mapped"],
    ),
    // Tests.
    ("test {d}/good.yaml", "", INVALID, &["PolicyTest"]),
    (
        "test {d}/test.yaml",
        "",
        INVALID,
        &["did you mean `workload:shop/web`?"],
    ),
    ("test {d}/verdict.yaml", "", INVALID, &["allowed"]),
    ("test {d}/nowhere.yaml", "", INVALID, &["nowhere.yaml"]),
];

fn bailey(arguments: &str, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bailey"))
        .args(arguments.split_whitespace())
        .env_remove("BAILEY_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Most read nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn files(directory: &Path) {
    let shown = directory.display().to_string();
    for (name, text) in FILES {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("{d}", &shown)).unwrap();
    }
    let utf16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(directory.join("utf16.yaml"), utf16).unwrap();
}

#[test]
fn each_mistake_has_exit_code_and_explanation() {
    assert!(MISTAKES.len() >= 60);
    let directory = tempfile::tempdir().unwrap();
    files(directory.path());
    let shown = directory.path().display().to_string();
    let mut wrong = Vec::new();
    for (arguments, input, code, words) in MISTAKES {
        let output = bailey(&arguments.replace("{d}", &shown), input);
        let said = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        let missing: Vec<String> = words
            .iter()
            .map(|word| word.replace("{d}", &shown))
            .filter(|word| !said.contains(word.as_str()) && !out.contains(word.as_str()))
            .collect();
        if output.status.code() != Some(*code) || !missing.is_empty() {
            wrong.push(format!(
                "bailey {arguments}: exit {:?} of {code}, without {missing:?}:\n{said}{out}",
                output.status.code()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn utf16_file_is_reported_as_utf16() {
    let directory = tempfile::tempdir().unwrap();
    files(directory.path());
    let path = directory.path().join("utf16.yaml");
    let output = bailey(&format!("check {}", path.display()), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(INVALID));
    assert!(
        said.contains("UTF-16LE") && said.contains("iconv"),
        "{said}"
    );
}

/// The settings of the configuration hold for whatever verb reads policies, and standard input is read as a
/// file is.
#[test]
fn all_verbs_read_files_with_same_settings() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("policies/deeper")).unwrap();
    fs::write(root.join("policies/deeper/p.yaml"), GOOD).unwrap();
    let config = root.join("b.toml");
    let text = format!("policies = [\"{}/policies\"]\n", root.display());
    fs::write(&config, &text).unwrap();
    let by_option =
        |arguments: &str| bailey(&format!("{arguments} --config {}", config.display()), "");
    let code = |output: Output| output.status.code();
    assert_eq!(code(by_option("check")), Some(0));
    let asked = "explain --from 192.0.2.1 --to workload:shop/web --port http";
    assert_eq!(code(by_option(asked)), Some(0));
    assert_eq!(
        code(by_option(
            "explain --from 192.0.3.1 --to workload:shop/web --port http"
        )),
        Some(1)
    );
    // The environment names one, too; the command line has the last word.
    let by_environment = |arguments: &str| {
        Command::new(env!("CARGO_BIN_EXE_bailey"))
            .args(arguments.split_whitespace())
            .env("BAILEY_CONFIG", &config)
            .output()
            .unwrap()
    };
    assert_eq!(code(by_environment("check")), Some(0));
    assert_eq!(code(by_environment(asked)), Some(0));
    // Without `recursive` there is nothing in the directory, for all of them.
    fs::write(&config, format!("recursive = false\n{text}")).unwrap();
    assert_eq!(code(by_option("check")), Some(INVALID));
    assert_eq!(code(by_option(asked)), Some(INVALID));
    for arguments in [
        "check -",
        "check -f -",
        "explain -f - --from 192.0.2.1 --to 10.0.0.1 --port 80",
    ] {
        assert_eq!(code(bailey(arguments, GOOD)), Some(0), "{arguments}");
    }
    // A node reaches its own pods; on a bridge nobody knows who a node is, unless told.
    let own = format!(
        "{GOOD}---\napiVersion: v1\nkind: Node\nmetadata: {{name: n1}}\nstatus: {{addresses: [{{type: InternalIP, address: 10.0.0.9}}]}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{namespace: shop, name: p}}\nspec: {{nodeName: n1, containers: []}}\n\
         status: {{podIP: 10.0.0.5, podIPs: [{{ip: 10.0.0.5}}]}}\n"
    );
    let policies = root.join("own.yaml");
    fs::write(&policies, own).unwrap();
    for (topology, expected) in [("host", 0), ("router", 0), ("bridge", 1)] {
        fs::write(&config, format!("topology = {topology:?}\n")).unwrap();
        let asked = format!(
            "explain {} --from node:n1 --to pod:shop/p --port 81",
            policies.display()
        );
        let output = by_option(&asked);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{topology}: {said}");
    }
    // Groups and link-local addresses are nobody's, and closed on a bridge while somebody is isolated.
    for (to, more, expected) in [
        ("224.0.0.251 --protocol udp --port 5353", "", 1),
        (
            "224.0.0.251 --protocol udp --port 5353",
            "groups = [\"224.0.0.251\"]",
            0,
        ),
        ("224.0.0.5 --protocol 89", "", 0),
        ("169.254.3.4 --port 179", "", 1),
        ("169.254.3.4 --port 179", "link_local = [\"TCP/179\"]", 0),
    ] {
        let text = format!("topology = \"bridge\"\n[frames]\n{more}\n");
        fs::write(&config, text).unwrap();
        let asked = format!("explain {} --from 192.0.2.1 --to {to}", policies.display());
        let output = by_option(&asked);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{to} {more}: {said}");
    }
}
