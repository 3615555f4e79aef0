//! The mistakes: command line, exit code, and words of the message.

/// Command line (`{d}` is the directory with the files of `files.rs`), standard input, exit code,
/// and words that the output must contain.
type Mistake = (&'static str, &'static str, i32, &'static [&'static str]);

const USAGE: i32 = 2;

pub(crate) const INVALID: i32 = 3;

const NOT_RUNNING: i32 = 4;

pub(crate) const MISTAKES: &[Mistake] = &[
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
        &["did you mean 192.0.2.0/24"],
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
        &["no address or prefix to block"],
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
    // No running Bailey.
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
        &["\"a/b\" is not a valid interface name"],
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
        &["did you mean 10.42.0.0/16"],
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
        &["needs exactly 2 interfaces"],
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
        &["--port is required"],
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
        &["--port cannot be used with"],
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
