//! Files of a large cluster: an inventory of workloads, and policies.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

/// Workloads per namespace.
const PER_NAMESPACE: usize = 200;
/// Groups of workloads with different labels.
const GROUPS: usize = 10;

/// Writes `inventory.json` and `policies.json`, and returns their size in bytes. Each policy allows
/// one group of its namespace, and one CIDR on a port.
pub(crate) fn write(directory: &Path, workloads: usize, policies: usize) -> Result<u64> {
    let mut inventory = String::from(r#"{"apiVersion":"v1","kind":"List","items":["#);
    for n in 0..workloads {
        let comma = if n > 0 { "," } else { "" };
        let (namespace, group) = (n / PER_NAMESPACE, n % GROUPS);
        let address = format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
        write!(
            inventory,
            r#"{comma}{{"apiVersion":"bailey.dev/v1","kind":"Workload","metadata":{{"name":"workload-{n:06}","namespace":"team-{namespace:04}","labels":{{"app":"app-{group}","tier":"backend","app.kubernetes.io/managed-by":"fleet-controller","app.kubernetes.io/instance":"instance-{n:06}"}}}},"spec":{{"addresses":["{address}","fd00::{:x}:{:x}"],"ports":[{{"name":"http","protocol":"TCP","port":8080}},{{"name":"metrics","protocol":"TCP","port":9090}}]}}}}"#,
            n >> 16,
            n & 0xffff,
        )?;
    }
    inventory.push_str("]}");
    let mut list = String::from(r#"{"apiVersion":"v1","kind":"List","items":["#);
    for n in 0..policies {
        let comma = if n > 0 { "," } else { "" };
        list.push_str(comma);
        list.push_str(&policy(n, workloads, 443));
    }
    list.push_str("]}");
    fs::write(directory.join("inventory.json"), &inventory)?;
    fs::write(directory.join("policies.json"), &list)?;
    Ok((inventory.len() + list.len()) as u64)
}

fn policy(n: usize, workloads: usize, port: u16) -> String {
    let namespaces = workloads.div_ceil(PER_NAMESPACE).max(1);
    let (namespace, group) = (n % namespaces, n / namespaces % GROUPS);
    let other = (group + 1) % GROUPS;
    let cidr = format!(
        "172.{}.{}.{}/30",
        16 + (n >> 14),
        n >> 6 & 255,
        n << 2 & 255
    );
    format!(
        r#"{{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{{"name":"policy-{n:05}","namespace":"team-{namespace:04}"}},"spec":{{"podSelector":{{"matchLabels":{{"app":"app-{group}"}}}},"policyTypes":["Ingress"],"ingress":[{{"from":[{{"podSelector":{{"matchLabels":{{"app":"app-{other}"}}}}}}],"ports":[{{"port":"http"}}]}},{{"from":[{{"ipBlock":{{"cidr":"{cidr}"}}}}],"ports":[{{"protocol":"TCP","port":{port}}}]}}]}}}}"#,
    )
}
