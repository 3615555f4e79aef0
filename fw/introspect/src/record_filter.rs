//! Selects records of packets. All filters must match, and of each filter one value.

use std::collections::BTreeSet;

use bailey_bpf::abi;
use bailey_bpf::reason::REASONS;
use bailey_config::nearest::nearest;
use bailey_control::api_records::RecordFilter;
use bailey_datapath::maps::recorder::CLASSES;
use bailey_datapath::observe::records::{PacketRecord, RecordedConnection};
use bailey_policy::{Endpoint, Protocol, Snapshot};
use bailey_state::rule_ids::RuleNames;

use crate::endpoint_names::workload_of;
use crate::flows::parse_protocol;
use crate::rules::find_rule_ids;

/// Names of the TCP flags, from the lowest bit on.
pub(crate) const TCP_FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/// Names of the classes, by `enum record_class`.
pub const CLASS_NAMES: [&str; CLASSES] = ["policy", "drop", "defence", "pass"];

/// A [`RecordFilter`] whose names are resolved.
#[derive(Debug)]
pub(crate) struct CheckedFilter {
    filter: RecordFilter,
    protocols: Vec<Protocol>,
    /// Sets of flags, one of which must be set.
    flags: Vec<u8>,
    /// Verdicts: passes.
    verdicts: Vec<bool>,
    reasons: Vec<u32>,
    rules: BTreeSet<u32>,
    hooks: Vec<u32>,
    classes: Vec<u32>,
    /// Must not match.
    not: Option<Box<Self>>,
}

impl CheckedFilter {
    /// Resolves names.
    ///
    /// # Errors
    /// The unknown name, and the nearest known one.
    pub(crate) fn new(filter: RecordFilter, names: &RuleNames) -> Result<Self, String> {
        let each = |texts: &[String], parse: &dyn Fn(&str) -> Result<u32, String>| {
            let parsed = texts.iter().map(|text| parse(text));
            parsed.collect::<Result<Vec<u32>, String>>()
        };
        let protocols = filter.protocol.iter().map(|text| parse_protocol(text));
        let flags = filter.tcp_flags.iter().map(|text| parse_flags(text));
        let verdicts = each(&filter.verdict, &|text| {
            one_of(
                "verdict",
                text,
                &[("pass", 1), ("forwarded", 1), ("drop", 0), ("dropped", 0)],
            )
        })?;
        let directions = [("ingress", abi::HOOK_XDP), ("egress", abi::HOOK_TC)];
        let reasons: Vec<_> = REASONS
            .iter()
            .map(|reason| (reason.name, reason.number))
            .collect();
        let rules = filter.rule.iter().map(|rule| find_rule_ids(names, rule));
        let rules: Vec<Vec<u32>> = rules.collect::<Result<_, _>>()?;
        if let Some(version) = filter.ip_version.iter().find(|v| ![4, 6].contains(*v)) {
            return Err(format!(
                "unknown IP version {version}; versions are 4 and 6"
            ));
        }
        let classes: Vec<_> = CLASS_NAMES.into_iter().zip(0..).collect();
        let not = filter.not.as_deref().cloned();
        let not = not.filter(|not| *not != RecordFilter::default());
        Ok(Self {
            classes: each(&filter.class, &|text| one_of("type", text, &classes))?,
            not: not
                .map(|not| Self::new(not, names).map(Box::new))
                .transpose()?,
            protocols: protocols.collect::<Result<_, _>>()?,
            flags: flags.collect::<Result<_, _>>()?,
            verdicts: verdicts.into_iter().map(|passes| passes == 1).collect(),
            reasons: each(&filter.reason, &|text| one_of("reason", text, &reasons))?,
            rules: rules.into_iter().flatten().collect(),
            hooks: each(&filter.traffic_direction, &|text| {
                one_of("traffic direction", text, &directions)
            })?,
            filter,
        })
    }

    /// A bit per number of each reason that a matching record can have.
    pub(crate) fn reasons(&self) -> u64 {
        let possible = REASONS.iter().filter(|reason| {
            is_any(&self.verdicts, |passes| *passes == reason.passes)
                && is_any(&self.reasons, |number| *number == reason.number)
        });
        possible.fold(0, |bits, reason| bits | 1 << reason.number)
    }

    /// Whether a record matches.
    pub(crate) fn is_match(&self, record: &PacketRecord, inventory: Option<&Snapshot>) -> bool {
        let is_excluded = |not: &Self| not.is_match(record, inventory);
        let cells = [record.egress, record.ingress];
        is_any(&self.hooks, |hook| *hook == record.hook)
            && is_any(&self.verdicts, |verdict| *verdict == record.passes())
            && is_any(&self.reasons, |reason| *reason == record.reason)
            && is_any(&self.flags, |flags| record.tcp_flags & flags == *flags)
            && is_any(&self.filter.interface, |name| {
                record.interface.as_ref() == Some(name)
            })
            && (self.rules.is_empty()
                || cells
                    .iter()
                    .flatten()
                    .any(|(rule, _)| self.rules.contains(rule)))
            && is_any(&self.classes, |class| *class as usize == record.class)
            && self.is_connection_match(record.connection.as_ref())
            && self.is_endpoint_match(record.connection.as_ref(), inventory)
            && !self.not.as_deref().is_some_and(is_excluded)
    }

    /// Whether the endpoints at the ends match. An address without an endpoint matches only filters that
    /// ask for none.
    fn is_endpoint_match(
        &self,
        connection: Option<&RecordedConnection>,
        inventory: Option<&Snapshot>,
    ) -> bool {
        let RecordFilter {
            namespace,
            pod,
            from_pod,
            to_pod,
            label,
            workload,
            ..
        } = &self.filter;
        let asks = [namespace, pod, from_pod, to_pod, label, workload];
        if asks.iter().all(|values| values.is_empty()) {
            return true;
        }
        let find = |address| inventory.and_then(|known| known.endpoint_at(address));
        let source = connection.and_then(|c| find(c.source));
        let destination = connection.and_then(|c| find(c.destination));
        let either = |is_match: &dyn Fn(&Endpoint) -> bool| {
            source.is_some_and(is_match) || destination.is_some_and(is_match)
        };
        is_any(namespace, |name| either(&|e| e.id.namespace == *name))
            && is_any(pod, |name| either(&|e| is_named(e, name)))
            && is_any(from_pod, |name| source.is_some_and(|e| is_named(e, name)))
            && is_any(to_pod, |name| {
                destination.is_some_and(|e| is_named(e, name))
            })
            && is_any(label, |labels| either(&|e| has_labels(e, labels)))
            && is_any(workload, |name| either(&|e| workload_of(e) == name))
    }

    /// A frame without a connection matches only if no filter asks for one.
    fn is_connection_match(&self, connection: Option<&RecordedConnection>) -> bool {
        let filter = &self.filter;
        let Some(c) = connection else {
            let asks = [&filter.ip, &filter.from_ip, &filter.to_ip];
            let ports = [&filter.port, &filter.from_port, &filter.to_port];
            return asks.iter().all(|nets| nets.is_empty())
                && ports.iter().all(|ports| ports.is_empty())
                && self.protocols.is_empty()
                && filter.ip_version.is_empty();
        };
        let version = if c.source.is_ipv4() { 4 } else { 6 };
        is_any(&filter.ip, |net| {
            net.contains(&c.source) || net.contains(&c.destination)
        }) && is_any(&filter.from_ip, |net| net.contains(&c.source))
            && is_any(&filter.to_ip, |net| net.contains(&c.destination))
            && is_any(&filter.port, |port| {
                [c.source_port, c.destination_port].contains(port)
            })
            && is_any(&filter.from_port, |port| *port == c.source_port)
            && is_any(&filter.to_port, |port| *port == c.destination_port)
            && is_any(&self.protocols, |protocol| *protocol == c.protocol)
            && is_any(&filter.ip_version, |v| *v == version)
    }
}

/// Whether an endpoint has a name: `NAMESPACE/PREFIX`, or `PREFIX` in any namespace. As in Hubble, the
/// name may go on after the prefix.
fn is_named(endpoint: &Endpoint, wanted: &str) -> bool {
    match wanted.split_once('/') {
        Some((namespace, name)) => {
            endpoint.id.namespace == namespace && endpoint.id.name.starts_with(name)
        }
        None => endpoint.id.name.starts_with(wanted),
    }
}

/// Whether an endpoint has all labels of `key=value+key`.
fn has_labels(endpoint: &Endpoint, wanted: &str) -> bool {
    wanted.split('+').all(|label| match label.split_once('=') {
        Some((key, value)) => endpoint.labels.get(key) == Some(value),
        None => endpoint.labels.get(label).is_some(),
    })
}

/// Whether a filter has no values, or one that matches.
fn is_any<T>(values: &[T], is_match: impl Fn(&T) -> bool) -> bool {
    values.is_empty() || values.iter().any(is_match)
}

fn one_of(kind: &str, text: &str, known: &[(&str, u32)]) -> Result<u32, String> {
    let found = known
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, number)| *number).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let cases = [text.to_ascii_lowercase(), text.to_ascii_uppercase()];
        let near = cases.iter().map(|text| nearest(text, &names));
        let near = near.max_by_key(String::len).unwrap_or_default();
        format!("unknown {kind} {text:?}{near}; one of {}", names.join(", "))
    })
}

fn parse_flags(text: &str) -> Result<u8, String> {
    let mut flags = 0;
    for name in text.split([',', '+', '|']) {
        let known: Vec<_> = TCP_FLAGS
            .iter()
            .zip(0..)
            .map(|(name, bit)| (*name, bit))
            .collect();
        flags |= 1 << one_of("TCP flag", name.trim(), &known)?;
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn record() -> PacketRecord {
        PacketRecord {
            time: SystemTime::UNIX_EPOCH,
            cpu: 0,
            class: abi::RECORD_POLICY as usize,
            number: 0,
            slot: 1,
            interface: Some("eth0".into()),
            hook: abi::HOOK_XDP,
            reason: abi::REASON_DROP_POLICY,
            connection: Some(RecordedConnection {
                source: "10.1.0.9".parse().unwrap(),
                destination: "10.0.0.1".parse().unwrap(),
                protocol: Protocol::TCP,
                source_port: 40000,
                destination_port: 81,
                zone: 0,
            }),
            tcp_flags: 0x12,
            segments: 1,
            bytes: 54,
            egress: None,
            ingress: Some((18, true)),
        }
    }

    fn is_match(filter: RecordFilter, record: &PacketRecord) -> bool {
        let checked = CheckedFilter::new(filter, &RuleNames::default());
        checked.unwrap().is_match(record, None)
    }

    /// A filter with the values of one field.
    fn filter(field: &str, values: serde_json::Value) -> RecordFilter {
        serde_json::from_value(serde_json::json!({ field: values })).unwrap()
    }

    #[test]
    fn values_combine_by_or_and_filters_by_and() {
        use serde_json::json;
        let record = record();
        for (field, yes, no) in [
            (
                "ip",
                json!(["192.0.2.0/24", "10.0.0.0/24"]),
                json!(["192.0.2.0/24", "::/0"]),
            ),
            ("from_ip", json!(["10.1.0.0/16"]), json!(["10.0.0.1/32"])),
            ("to_ip", json!(["10.0.0.1/32"]), json!(["10.1.0.0/16"])),
            ("port", json!([80, 40000]), json!([80, 82])),
            ("from_port", json!([40000]), json!([81])),
            ("to_port", json!([81]), json!([40000])),
            ("protocol", json!(["udp", "tcp"]), json!(["ICMP", "47"])),
            ("tcp_flags", json!(["RST", "SYN,ACK"]), json!(["SYN,RST"])),
            ("verdict", json!(["DROPPED"]), json!(["pass"])),
            ("reason", json!(["new", "policy"]), json!(["spoofed"])),
            ("rule", json!(["17", "18"]), json!(["17"])),
            ("interface", json!(["eth1", "eth0"]), json!(["eth"])),
            ("traffic_direction", json!(["ingress"]), json!(["egress"])),
            ("ip_version", json!([4, 6]), json!([6])),
        ] {
            assert!(
                is_match(filter(field, yes.clone()), &record),
                "{field} {yes}"
            );
            assert!(
                !is_match(filter(field, no.clone()), &record),
                "{field} {no}"
            );
        }
        let both = RecordFilter {
            port: vec![81],
            verdict: vec!["pass".into()],
            ..RecordFilter::default()
        };
        assert!(!is_match(both, &record));
    }

    #[test]
    fn frames_without_connection_match_no_address_filter() {
        let mut record = record();
        record.connection = None;
        assert!(is_match(RecordFilter::default(), &record));
        assert!(is_match(
            filter("reason", serde_json::json!(["policy"])),
            &record
        ));
        assert!(!is_match(
            filter("ip", serde_json::json!(["0.0.0.0/0"])),
            &record
        ));
        assert!(!is_match(
            filter("ip_version", serde_json::json!([4])),
            &record
        ));
    }

    #[test]
    fn unknown_names_suggest_the_nearest() {
        for (field, value, expected) in [
            ("reason", "polcy", "policy"),
            ("verdict", "dropp", "drop"),
            ("traffic_direction", "ingres", "ingress"),
            ("tcp_flags", "SIN", "SYN"),
            ("protocol", "TPC", "TCP"),
        ] {
            let filter = filter(field, serde_json::json!([value]));
            let error = CheckedFilter::new(filter, &RuleNames::default()).unwrap_err();
            assert!(error.contains(value) && error.contains(expected), "{error}");
        }
    }
}
