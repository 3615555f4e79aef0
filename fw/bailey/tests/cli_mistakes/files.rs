//! Valid and invalid policies, configurations, tests and lists for the cases.

use std::fs;
use std::path::Path;

pub(crate) const GOOD: &str = "\
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

pub(crate) fn files(directory: &Path) {
    let shown = directory.display().to_string();
    for (name, text) in FILES {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("{d}", &shown)).unwrap();
    }
    let utf16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(directory.join("utf16.yaml"), utf16).unwrap();
}
