//! Counts of records by namespace and workload. The counters of the datapath have addresses only.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// The fields of a record that are counted here.
#[derive(Debug, Clone, Copy)]
pub struct TrafficEvent<'a> {
    /// Namespace and workload of the source, if it is an endpoint.
    pub source: Option<(&'a str, &'a str)>,
    /// Namespace and workload of the destination.
    pub destination: Option<(&'a str, &'a str)>,
    /// Address of the destination.
    pub destination_address: IpAddr,
    /// Whether the inventory knows the destination: an endpoint, a node, or a declared prefix.
    pub is_destination_known: bool,
    /// Port of the destination.
    pub destination_port: u16,
    /// Whether the packet passed.
    pub passes: bool,
    /// Whether egress policy denied the packet.
    pub is_denied_at_source: bool,
    /// Whether the record is the first packet of a connection, passed or denied.
    pub is_opening: bool,
    /// Number of packets for which the record stands.
    pub weight: u64,
}

/// The counts. They grow only.
#[derive(Debug, Clone)]
pub struct TrafficCounts {
    /// Most workloads with a series of their own; the others share one.
    limit: usize,
    workloads: BTreeMap<(String, String, bool), u64>,
    internet: BTreeMap<(String, bool), u64>,
    dns: BTreeMap<String, u64>,
    named: [u64; 3],
}

/// The workload that stands for all beyond the limit.
const OTHER: &str = "other";
/// Names of the numbers of named ends.
const NAMED: [&str; 3] = ["none", "one", "both"];

fn verdict(passes: bool) -> &'static str {
    if passes { "pass" } else { "drop" }
}

impl TrafficCounts {
    /// No records yet.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            workloads: BTreeMap::new(),
            internet: BTreeMap::new(),
            dns: BTreeMap::new(),
            named: [0; 3],
        }
    }

    /// Counts a record.
    pub fn add(&mut self, event: &TrafficEvent<'_>) {
        let named = usize::from(event.source.is_some()) + usize::from(event.destination.is_some());
        self.named[named] += event.weight;
        if !event.is_opening {
            return;
        }
        if let Some((namespace, workload)) = event.destination {
            let mut key = (namespace.to_owned(), workload.to_owned(), event.passes);
            if !self.workloads.contains_key(&key) && self.workloads.len() >= self.limit {
                key.1 = OTHER.to_owned();
                key.0 = String::new();
            }
            *self.workloads.entry(key).or_default() += event.weight;
        }
        let Some((namespace, _)) = event.source else {
            return;
        };
        if !event.is_destination_known && is_internet(event.destination_address) {
            let key = (namespace.to_owned(), event.passes);
            *self.internet.entry(key).or_default() += event.weight;
        }
        if event.destination_port == 53 && event.is_denied_at_source {
            *self.dns.entry(namespace.to_owned()).or_default() += event.weight;
        }
    }

    /// Namespace, workload, verdict, count.
    pub fn workloads(&self) -> impl Iterator<Item = (&str, &str, &'static str, u64)> {
        let rows = self.workloads.iter();
        rows.map(|((namespace, workload, passes), count)| {
            (
                namespace.as_str(),
                workload.as_str(),
                verdict(*passes),
                *count,
            )
        })
    }

    /// Namespace, verdict, count.
    pub fn internet_egress(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        let rows = self.internet.iter();
        rows.map(|((namespace, passes), count)| (namespace.as_str(), verdict(*passes), *count))
    }

    /// Namespace, count.
    pub fn dns_denied(&self) -> impl Iterator<Item = (&str, u64)> {
        self.dns
            .iter()
            .map(|(namespace, count)| (namespace.as_str(), *count))
    }

    /// Records by the number of named ends.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMED.into_iter().zip(self.named)
    }
}

/// Whether an address is none of the special-purpose addresses of RFC 6890 that stay in a site.
fn is_internet(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_unspecified()
                || a == 0
                || a >= 240
                || (a == 100 && b & 0xc0 == 64))
        }
        IpAddr::V6(address) => {
            !(address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_loopback()
                || address.is_multicast()
                || address.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(source: Option<(&'a str, &'a str)>, to: &str) -> TrafficEvent<'a> {
        TrafficEvent {
            source,
            destination: None,
            destination_address: to.parse().unwrap(),
            is_destination_known: false,
            destination_port: 53,
            passes: false,
            is_denied_at_source: true,
            is_opening: true,
            weight: 2,
        }
    }

    #[test]
    fn egress_to_the_internet_is_counted_by_namespace() {
        let mut counts = TrafficCounts::new(10);
        for to in [
            "198.51.100.7",
            "10.0.0.1",
            "100.64.0.1",
            "fd00::1",
            "2001:db8::1",
            "169.254.1.1",
        ] {
            counts.add(&event(Some(("shop", "web")), to));
            counts.add(&event(None, to));
        }
        let known = TrafficEvent {
            is_destination_known: true,
            ..event(Some(("shop", "web")), "198.51.100.7")
        };
        counts.add(&known);
        let rows: Vec<_> = counts.internet_egress().collect();
        assert_eq!(rows, [("shop", "drop", 4)]);
        assert_eq!(counts.dns_denied().collect::<Vec<_>>(), [("shop", 14)]);
        assert_eq!(
            counts.named().collect::<Vec<_>>(),
            [("none", 12), ("one", 14), ("both", 0)]
        );
    }

    #[test]
    fn workloads_beyond_the_limit_share_a_series() {
        let mut counts = TrafficCounts::new(2);
        for workload in ["a", "b", "c", "d"] {
            let to_workload = TrafficEvent {
                destination: Some(("shop", workload)),
                passes: true,
                ..event(None, "10.0.0.1")
            };
            counts.add(&to_workload);
        }
        let rows: Vec<_> = counts.workloads().collect();
        let expected = [
            ("", "other", "pass", 4),
            ("shop", "a", "pass", 2),
            ("shop", "b", "pass", 2),
        ];
        assert_eq!(rows, expected);
    }
}
