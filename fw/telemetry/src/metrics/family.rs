//! Metric families and their encoding. The library encodes OpenMetrics; this file escapes label values,
//! which the library does not, and derives the older text format.

use std::fmt::{self, Write};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelKey, EncodeLabelValue, LabelEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// Prefix of all metrics.
pub(crate) const PREFIX: &str = "bailey";

/// Names and values of labels. Shared, because a rule's labels are those of several metrics.
pub(crate) type Labels = Arc<[(&'static str, String)]>;

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Exposition {
    /// The format that a client accepts: OpenMetrics if the `Accept` header names it.
    pub fn accepted(header: &str) -> Self {
        match header.contains("application/openmetrics-text") {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// Value of the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All series of one metric.
#[derive(Debug)]
pub(crate) struct Family {
    /// Without prefix, and for a counter without `_total`.
    pub(crate) name: &'static str,
    /// Without a final period.
    pub(crate) help: &'static str,
    pub(crate) values: Values,
}

/// Values with their labels.
#[derive(Debug)]
pub(crate) enum Values {
    Counters(Vec<(Labels, u64)>),
    Gauges(Vec<(Labels, f64)>),
}

/// A label whose value is escaped.
struct Escaped<'a>(&'a (&'static str, String));

impl EncodeLabel for Escaped<'_> {
    fn encode(&self, mut encoder: LabelEncoder) -> fmt::Result {
        let (name, value) = self.0;
        let mut key = encoder.encode_label_key()?;
        EncodeLabelKey::encode(name, &mut key)?;
        let mut to = key.encode_label_value()?;
        EncodeLabelValue::encode(&escape(value).as_str(), &mut to)?;
        to.finish()
    }
}

/// A label value as both formats write it.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Families as a source of the library's registry.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &self.0 {
            let kind = match family.values {
                Values::Counters(_) => MetricType::Counter,
                Values::Gauges(_) => MetricType::Gauge,
            };
            let mut to = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            match &family.values {
                Values::Counters(values) => {
                    for (labels, value) in values {
                        encode_with(&mut to, labels, |to| {
                            to.encode_counter::<NoLabelSet, _, u64>(value, None)
                        })?;
                    }
                }
                Values::Gauges(values) => {
                    for (labels, value) in values {
                        encode_with(&mut to, labels, |to| to.encode_gauge(value))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Encodes a value with its labels, if it has any.
fn encode_with(
    to: &mut MetricEncoder<'_>,
    labels: &Labels,
    encode: impl Fn(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        return encode(to);
    }
    let labels: Vec<_> = labels.iter().map(Escaped).collect();
    encode(&mut to.encode_family(&labels)?)
}

/// The exposition of a registry and of more families.
pub(crate) fn encode(registry: &Registry, families: Vec<Family>, format: Exposition) -> String {
    let mut more = Registry::with_prefix(PREFIX);
    more.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode_registry(&mut text, registry);
    let _ = encode_registry(&mut text, &more);
    match format {
        Exposition::OpenMetrics => {
            let _ = encode_eof(&mut text);
            text
        }
        Exposition::Text => to_text_format(&text),
    }
}

/// The text format names a counter with its suffix in HELP and TYPE too.
fn to_text_format(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + open_metrics.len() / 16);
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let help = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '));
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        match help {
            Some((name, help)) if lines.peek().is_some_and(|next| is_counter(next)) => {
                lines.next();
                let _ = write!(
                    text,
                    "# HELP {name}_total {help}\n# TYPE {name}_total counter\n"
                );
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families() -> Vec<Family> {
        let labels: Labels = Arc::new([
            ("interface", "a\"b\\c\nd".to_owned()),
            ("hook", "xdp".into()),
        ]);
        vec![
            Family {
                name: "packets",
                help: "Packets",
                values: Values::Counters(vec![(labels, 7), (Arc::new([]), 8)]),
            },
            Family {
                name: "blocks",
                help: "Blocks",
                values: Values::Gauges(vec![(Arc::new([]), 0.5)]),
            },
        ]
    }

    #[test]
    fn both_formats_name_counters_as_they_must() {
        let registry = Registry::default();
        let values = "bailey_packets_total{interface=\"a\\\"b\\\\c\\nd\",hook=\"xdp\"} 7\nbailey_packets_total 8\n";
        let gauge = "# HELP bailey_blocks Blocks\n# TYPE bailey_blocks gauge\nbailey_blocks 0.5\n";
        let open = format!(
            "# HELP bailey_packets Packets\n# TYPE bailey_packets counter\n{values}{gauge}# EOF\n"
        );
        assert_eq!(encode(&registry, families(), Exposition::OpenMetrics), open);
        let text = format!(
            "# HELP bailey_packets_total Packets\n# TYPE bailey_packets_total counter\n{values}{gauge}"
        );
        assert_eq!(encode(&registry, families(), Exposition::Text), text);
    }
}
