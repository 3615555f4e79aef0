//! A record in the shape that `hubble observe` exports and reads: `{"flow":{…},"node_name":…,"time":…}`.
//! Names of fields and values are those of Cilium's `flow.proto`, in proto3's JSON form: 64-bit numbers are
//! strings, and fields without a value are left out.

use bailey_control::api::RuleName;
use bailey_control::api_records::{EndpointName, PacketRecord, RecordedRule};
use serde_json::{Map, Value, json};

use super::drop_reasons::drop_reason;

/// Identities that Cilium reserves.
const IDENTITY_WORLD: u32 = 2;
const IDENTITY_REMOTE_NODE: u32 = 6;
/// The first identity that is not reserved, and the number of those of one cluster.
const IDENTITY_FIRST: u32 = 256;
const IDENTITIES: u32 = 65535 - IDENTITY_FIRST;

/// Kinds of events: a drop, a verdict of policy.
const EVENT_DROP: u32 = 1;
const EVENT_POLICY_VERDICT: u32 = 5;

/// The line of a record, without a line break; `None` if the frame is no IP packet, for which the shape has no
/// place.
pub fn flow_line(record: &PacketRecord, node: &str, generation: u32) -> Option<String> {
    let flow = flow(record, node, generation)?;
    let line = json!({"flow": flow, "node_name": node, "time": record.time});
    serde_json::to_string(&line).ok()
}

fn flow(record: &PacketRecord, node: &str, generation: u32) -> Option<Value> {
    let (source, destination) = (record.source.as_ref()?, record.destination.as_ref()?);
    let mut flow = Map::new();
    let mut set = |name: &str, value: Value| flow.insert(name.to_owned(), value);
    set("time", json!(record.time));
    set("verdict", json!(verdict(record)));
    let is_ipv6 = source.contains(':');
    let version = if is_ipv6 { "IPv6" } else { "IPv4" };
    set(
        "IP",
        json!({"source": source, "destination": destination, "ipVersion": version}),
    );
    if let Some(l4) = layer4(record) {
        set("l4", l4);
    }
    set("source", endpoint(record.source_endpoint.as_ref()));
    set(
        "destination",
        endpoint(record.destination_endpoint.as_ref()),
    );
    set("Type", json!("L3_L4"));
    set("node_name", json!(node));
    match drop_reason(&record.reason) {
        Some((number, name)) => {
            set("drop_reason", json!(number));
            set("drop_reason_desc", json!(name));
            set(
                "event_type",
                json!({"type": EVENT_DROP, "sub_type": number}),
            );
        }
        None => {
            set("event_type", json!({"type": EVENT_POLICY_VERDICT}));
            set("is_reply", json!(false));
        }
    }
    set("traffic_direction", json!(direction(record)));
    if let Some(name) = &record.interface {
        set("interface", json!({"name": name}));
    }
    for (direction, rule) in [
        ("egress", &record.egress_rule),
        ("ingress", &record.ingress_rule),
    ] {
        if let Some(rule) = rule
            && let Some(policy) = policy(rule, generation)
        {
            let verb = if rule.denies { "denied" } else { "allowed" };
            set(&format!("{direction}_{verb}_by"), json!([policy]));
        }
    }
    set("Summary", json!(summary(record)));
    Some(Value::Object(flow))
}

fn verdict(record: &PacketRecord) -> &'static str {
    match (record.reason.as_str(), record.verdict.as_str()) {
        ("warm-up", _) => "AUDIT",
        (_, "pass") => "FORWARDED",
        _ => "DROPPED",
    }
}

fn layer4(record: &PacketRecord) -> Option<Value> {
    let (from, to) = (record.source_port?, record.destination_port?);
    match record.protocol.as_deref()? {
        "TCP" => {
            let mut tcp = json!({"source_port": from, "destination_port": to});
            let flags = record.tcp_flags.split(',').filter(|flag| !flag.is_empty());
            let flags: Map<String, Value> =
                flags.map(|flag| (flag.to_owned(), json!(true))).collect();
            if !flags.is_empty() {
                tcp["flags"] = Value::Object(flags);
            }
            Some(json!({"TCP": tcp}))
        }
        name @ ("UDP" | "SCTP") => {
            Some(json!({name: {"source_port": from, "destination_port": to}}))
        }
        "ICMP" => echo(record, 8, 0).map(|kind| json!({"ICMPv4": {"type": kind}})),
        "ICMPv6" => echo(record, 128, 129).map(|kind| json!({"ICMPv6": {"type": kind}})),
        _ => None,
    }
}

/// Type of an ICMP echo; `None` for other messages, whose type the record does not have.
fn echo(record: &PacketRecord, request: u8, reply: u8) -> Option<u8> {
    match record.reason.as_str() {
        "new" | "policy" => Some(request),
        "icmp-no-flow" => Some(reply),
        _ => None,
    }
}

fn summary(record: &PacketRecord) -> String {
    let protocol = record.protocol.as_deref().unwrap_or_default();
    match protocol {
        "TCP" if record.tcp_flags.is_empty() => "TCP".to_owned(),
        "TCP" => format!("TCP Flags: {}", record.tcp_flags.replace(',', ", ")),
        "ICMP" if echo(record, 8, 0) == Some(8) => "ICMPv4 EchoRequest".to_owned(),
        "ICMP" => "ICMPv4".to_owned(),
        "ICMPv6" if echo(record, 128, 129) == Some(128) => "ICMPv6 EchoRequest".to_owned(),
        other => other.to_owned(),
    }
}

fn endpoint(name: Option<&EndpointName>) -> Value {
    let Some(name) = name else {
        return json!({"identity": IDENTITY_WORLD, "labels": ["reserved:world"]});
    };
    if name.kind == "node" {
        return json!({"identity": IDENTITY_REMOTE_NODE, "labels": ["reserved:remote-node"]});
    }
    let mut labels: Vec<String> = name
        .labels
        .iter()
        .map(|label| format!("k8s:{label}"))
        .collect();
    labels.push(format!(
        "k8s:io.kubernetes.pod.namespace={}",
        name.namespace
    ));
    labels.sort_unstable();
    json!({
        "identity": identity(&labels),
        "namespace": name.namespace,
        "pod_name": name.name,
        "labels": labels,
        "workloads": [{"name": name.workload}],
    })
}

/// The same number for equal labels: FNV-1a.
fn identity(labels: &[String]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in labels.iter().flat_map(|label| label.bytes().chain([0])) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    IDENTITY_FIRST + hash % IDENTITIES
}

/// The direction of the policy that decided; of packets that policy did not decide, the direction as seen
/// from this machine.
fn direction(record: &PacketRecord) -> &'static str {
    let denies = |rule: &Option<RecordedRule>| rule.as_ref().is_some_and(|rule| rule.denies);
    let is_egress = match (denies(&record.egress_rule), denies(&record.ingress_rule)) {
        (true, _) => true,
        (_, true) => false,
        _ if record.destination_endpoint.is_some() => false,
        _ if record.source_endpoint.is_some() => true,
        _ => record.traffic_direction == "egress",
    };
    if is_egress { "EGRESS" } else { "INGRESS" }
}

/// The rule as a policy; `None` for implicit rules, which no policy has.
fn policy(rule: &RecordedRule, generation: u32) -> Option<Value> {
    let RuleName {
        kind,
        namespace,
        policy,
        direction,
        index,
        ..
    } = &rule.name;
    let namespace = namespace.clone().unwrap_or_default();
    let revision = generation.to_string();
    match kind.as_str() {
        "rule" => {
            let rule = format!("{}[{}]", direction.as_deref()?, (*index)?);
            Some(json!({
                "name": policy,
                "namespace": namespace,
                "kind": "NetworkPolicy",
                "revision": revision,
                "labels": [format!("bailey.dev/rule={rule}")],
            }))
        }
        "default-deny" => Some(json!({
            "name": "default-deny",
            "namespace": namespace,
            "kind": "DefaultDeny",
            "revision": revision,
            "labels": ["bailey.dev/rule=default-deny"],
        })),
        _ => None,
    }
}
