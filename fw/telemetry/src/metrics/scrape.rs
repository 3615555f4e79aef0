//! Families of the values that a scrape reads: counters, flow table, interfaces, records.

use std::collections::BTreeMap;

use bailey_control::api;

use super::family::{Family, Labels, Values};
use crate::traffic::TrafficCounts;

/// The values of a scrape, except those of rules and the daemon's own counters.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// Interfaces, problems, blocks, generation.
    pub status: &'a api::Status,
    /// Packets by interface, hook, verdict and reason.
    pub counters: &'a [api::Counter],
    /// Flows by state, and events of flows.
    pub flow_stats: &'a api::FlowStats,
    /// Rules of the active policies, without implicit ones.
    pub policy_rules: u64,
    /// Endpoints in the inventory.
    pub policy_endpoints: u64,
    /// Most blocks.
    pub blocks_limit: u64,
    /// Records by class.
    pub records: &'a [RecordClass],
    /// Lost records by class and reader.
    pub lost: &'a [(&'static str, &'static str, u64)],
    /// Counts of records by namespace and workload.
    pub traffic: &'a TrafficCounts,
    /// Whether each namespace has a default deny, by direction.
    pub default_deny: &'a [(String, String, bool)],
    /// The last beat of each loop, in seconds since 1970.
    pub beats: &'a [(&'static str, f64)],
    /// The last write of the flow log, or its last idle check; `None` without a flow log.
    pub flow_log_last_write: Option<f64>,
}

/// Packets and records of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordClass {
    /// Name of the class.
    pub class: &'static str,
    /// Records written.
    pub written: u64,
}

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (name, value.to_owned())).into()
}

fn counters(name: &'static str, help: &'static str, values: Vec<(Labels, u64)>) -> Family {
    Family {
        name,
        help,
        values: Values::Counters(values),
    }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    counters(name, help, vec![(labels([]), value)])
}

fn gauges(name: &'static str, help: &'static str, values: Vec<(Labels, f64)>) -> Family {
    Family {
        name,
        help,
        values: Values::Gauges(values),
    }
}

fn gauge(name: &'static str, help: &'static str, value: f64) -> Family {
    gauges(name, help, vec![(labels([]), value)])
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Scrape<'_> {
    pub(crate) fn families(&self) -> Vec<Family> {
        let mut families = self.packets();
        families.extend(self.conntrack());
        families.extend(self.enforcement());
        families.extend(self.daemon());
        families.extend(self.records());
        families
    }

    fn packets(&self) -> Vec<Family> {
        let mut verdicts: BTreeMap<[&str; 3], [u64; 2]> = BTreeMap::new();
        let mut drops: BTreeMap<[&str; 4], [u64; 2]> = BTreeMap::new();
        let (mut blocked, mut failsafe) = (0, 0);
        for row in self.counters {
            let add = |to: &mut [u64; 2]| {
                to[0] += row.packets;
                to[1] += row.bytes;
            };
            add(verdicts
                .entry([&row.interface, &row.hook, &row.verdict])
                .or_default());
            if let Some(kind) = &row.kind {
                add(drops
                    .entry([&row.interface, &row.hook, &row.reason, kind])
                    .or_default());
            }
            match row.reason.as_str() {
                "blocked" => blocked += row.packets,
                "failsafe" => failsafe += row.packets,
                _ => {}
            }
        }
        let of_verdicts = |at: usize| {
            let rows = verdicts.iter().map(|([interface, hook, verdict], counts)| {
                let pairs = [
                    ("interface", *interface),
                    ("hook", *hook),
                    ("verdict", *verdict),
                ];
                (labels(pairs), counts[at])
            });
            rows.collect()
        };
        let of_drops = |at: usize| {
            let rows = drops
                .iter()
                .map(|([interface, hook, reason, kind], counts)| {
                    let pairs = [
                        ("interface", *interface),
                        ("hook", *hook),
                        ("reason", *reason),
                        ("kind", *kind),
                    ];
                    (labels(pairs), counts[at])
                });
            rows.collect()
        };
        vec![
            counters("packets", "Packets by verdict", of_verdicts(0)),
            counters("bytes", "Bytes of these packets at layer 2", of_verdicts(1)),
            counters("drops", "Dropped packets by reason", of_drops(0)),
            counters(
                "drop_bytes",
                "Bytes of these packets at layer 2",
                of_drops(1),
            ),
            counter(
                "block_drops",
                "Packets that emergency blocks dropped",
                blocked,
            ),
            counter(
                "failsafe_packets",
                "Packets that failsafe entries passed",
                failsafe,
            ),
        ]
    }

    fn conntrack(&self) -> Vec<Family> {
        let api::FlowStats {
            flow_table: table,
            states,
            events,
            ..
        } = self.flow_stats;
        let count = |wanted: &[&str]| {
            let counted = events
                .iter()
                .filter(|event| wanted.contains(&event.name.as_str()));
            counted.map(|event| event.count).sum()
        };
        let challenged = self.counters.iter();
        let challenged =
            challenged.filter(|row| ["challenged", "syn-cookie"].contains(&row.reason.as_str()));
        let states = states
            .iter()
            .map(|row| (labels([("state", &row.name)]), row.count as f64));
        let events = events
            .iter()
            .map(|row| (labels([("event", &row.name)]), row.count));
        vec![
            gauges("conntrack_flows", "Flows by state", states.collect()),
            gauge(
                "conntrack_slots",
                "Slots of the flow table",
                table.slots as f64,
            ),
            gauge(
                "conntrack_limit",
                "Configured number of live flows",
                table.limit as f64,
            ),
            gauge(
                "conntrack_live_flows",
                "Flows that both ends have sent packets of",
                table.live_flows as f64,
            ),
            gauge(
                "conntrack_pressure_ratio",
                "Live flows over the configured number; timeouts shrink from 0.6 on",
                ratio(table.live_flows, table.limit),
            ),
            gauge(
                "conntrack_timeout_ratio",
                "Factor on all timeouts at this fill",
                ratio(table.timeout_percent, 100),
            ),
            counters("conntrack_events", "Events of flows", events.collect()),
            counter(
                "floods",
                "Floods: a CPU saw more new flows than its share of the rate",
                count(&["flood-began"]),
            ),
            counter(
                "challenges",
                "Packets answered with a challenge or a SYN cookie",
                challenged.map(|row| row.packets).sum(),
            ),
        ]
    }

    fn enforcement(&self) -> Vec<Family> {
        let status = self.status;
        let interfaces = |value: &dyn Fn(&api::Interface) -> f64| {
            let rows = status.interfaces.iter().map(|interface| {
                let pairs = [
                    ("interface", interface.name.as_str()),
                    ("mode", interface.xdp_mode.as_str()),
                ];
                (labels(pairs), value(interface))
            });
            rows.collect::<Vec<_>>()
        };
        let is_flood = f64::from(u8::from(status.flood_seconds.is_some()));
        vec![
            gauges(
                "enforcing",
                "1 if all programs of the interface are attached and a generation is active",
                interfaces(&|interface| {
                    f64::from(u8::from(
                        interface.fully_attached && status.stamp.generation > 0,
                    ))
                }),
            ),
            gauges(
                "interface_info",
                "Interfaces with their XDP mode",
                interfaces(&|_| 1.0),
            ),
            gauge("flood_active", "1 during a flood of new flows", is_flood),
            gauge(
                "policy_generation",
                "Number of the active generation",
                status.stamp.generation.into(),
            ),
            gauge(
                "policy_rules",
                "Rules of the active policies",
                self.policy_rules as f64,
            ),
            gauge(
                "policy_endpoints",
                "Endpoints in the inventory",
                self.policy_endpoints as f64,
            ),
            gauge("blocks", "Active emergency blocks", status.blocks as f64),
            gauge(
                "blocks_limit",
                "Most emergency blocks",
                self.blocks_limit as f64,
            ),
        ]
    }

    /// The daemon itself: its problems, loops, files and version.
    fn daemon(&self) -> Vec<Family> {
        let mut problems: BTreeMap<&str, f64> = BTreeMap::new();
        for problem in &self.status.problems {
            problems.insert(problem.split(": ").next().unwrap_or(problem), 1.0);
        }
        let problems = problems.iter();
        let problems = problems.map(|(subject, one)| (labels([("subject", subject)]), *one));
        let default_deny = self.default_deny.iter();
        let default_deny = default_deny.map(|(namespace, direction, isolates)| {
            let pairs = [
                ("namespace", namespace.as_str()),
                ("direction", direction.as_str()),
            ];
            (labels(pairs), f64::from(u8::from(*isolates)))
        });
        let daemon = self.status.daemon.as_ref();
        let version = daemon.map_or("", |daemon| daemon.version.as_str());
        let beats = self.beats.iter();
        let beats = beats.map(|(name, time)| (labels([("loop", name)]), *time));
        let flow_log = self.flow_log_last_write.map(|time| (labels([]), time));
        vec![
            gauges(
                "problems",
                "1 for each present problem, as `bailey status` shows it",
                problems.collect(),
            ),
            gauges(
                "namespace_default_deny",
                "1 if a policy isolates all endpoints of the namespace and has no rule",
                default_deny.collect(),
            ),
            gauges(
                "loop_last_beat_timestamp_seconds",
                "Last beat of each loop of the daemon",
                beats.collect(),
            ),
            gauges(
                "flow_log_last_write_timestamp_seconds",
                "The flow log was written, or had nothing to write",
                flow_log.into_iter().collect(),
            ),
            gauges(
                "build_info",
                "Version of the daemon",
                vec![(labels([("version", version)]), 1.0)],
            ),
        ]
    }

    fn records(&self) -> Vec<Family> {
        let written = self
            .records
            .iter()
            .map(|class| (labels([("class", class.class)]), class.written));
        let lost = self
            .lost
            .iter()
            .map(|(class, reader, lost)| (labels([("class", class), ("reader", reader)]), *lost));
        let traffic = self.traffic;
        let workloads = traffic
            .workloads()
            .map(|(namespace, workload, verdict, count)| {
                let pairs = [
                    ("namespace", namespace),
                    ("workload", workload),
                    ("verdict", verdict),
                ];
                (labels(pairs), count)
            });
        let egress = traffic
            .internet_egress()
            .map(|(namespace, verdict, count)| {
                (
                    labels([("namespace", namespace), ("verdict", verdict)]),
                    count,
                )
            });
        let dns = traffic
            .dns_denied()
            .map(|(namespace, count)| (labels([("namespace", namespace)]), count));
        let named = traffic
            .named()
            .map(|(named, count)| (labels([("named", named)]), count));
        vec![
            counters("events_written", "Records of packets", written.collect()),
            counters(
                "events_lost",
                "Records that were overwritten before a reader saw them",
                lost.collect(),
            ),
            counters(
                "workload_connections",
                "New and denied connections to a workload, from records",
                workloads.collect(),
            ),
            counters(
                "internet_egress",
                "New and denied connections of a namespace to addresses outside, from records",
                egress.collect(),
            ),
            counters(
                "dns_denied",
                "DNS queries that egress policy denied, from records",
                dns.collect(),
            ),
            counters(
                "event_names",
                "Records by the number of ends that have a name",
                named.collect(),
            ),
        ]
    }
}
