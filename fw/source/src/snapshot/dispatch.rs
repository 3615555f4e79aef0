//! Reads one document: finds the kind of the object and hands it to that kind's reader, or skips
//! it.

use std::path::Path;

use crate::diagnostic::Severity;
use crate::kinds::unread::{may_decide_traffic, suggest_policy_kind, suggest_read_kind};
use crate::parse::node::{Key, Node, Value};
use crate::snapshot::collector::Collector;
use crate::snapshot::identity::UNNAMED;

impl Collector {
    /// Adds one object, or all objects of a list.
    pub fn add_object(&mut self, file: &Path, object: &Node) {
        let text = |key: &str| object.get(key).and_then(Node::as_str).unwrap_or_default();
        // Every object needs apiVersion and kind.
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if kind.is_empty() || api_version.is_empty() {
            let field = if kind.is_empty() {
                "kind"
            } else {
                "apiVersion"
            };
            let message = format!("{field}: Required value: not a Kubernetes object");
            self.report(Severity::Error, file, object.pos, None, message);
            return;
        }

        // A list contains objects.
        if kind.ends_with("List") && object.get("items").is_some() {
            self.add_list(file, object);
            return;
        }

        // The kinds that bailey reads; others are errors or skipped.
        match (api_version, kind) {
            ("networking.k8s.io/v1", "NetworkPolicy") => self.add_policy(file, object),
            ("v1", "Namespace") => self.add_namespace(file, object),
            ("v1", "Pod") => self.add_pod(file, object),
            ("v1", "Node") => self.add_node(file, object),
            ("bailey.dev/v1", "Workload") => self.add_workload(file, object),
            ("bailey.dev/v1", "PolicyTest") => self.count_skipped(kind),
            _ if may_decide_traffic(api_version, kind) => {
                let message = format!(
                    "no matches for kind {kind:?} in version {api_version:?}: the object may decide \
                     which traffic is allowed, so bailey does not skip it; correct the kind{}, \
                     remove the object, or rewrite it as a networking.k8s.io/v1 NetworkPolicy",
                    suggest_policy_kind(kind)
                );
                let name = object
                    .get("metadata")
                    .and_then(|m| m.get("name"))
                    .and_then(Node::as_str);
                let title = format!("{kind} {}", name.unwrap_or(UNNAMED));
                self.report(Severity::Error, file, object.pos, Some(title), message);
            }
            _ => {
                if let Some(meant) = suggest_read_kind(api_version, kind) {
                    let message = format!(
                        "no matches for kind {kind:?} in version {api_version:?}; object skipped; \
                         did you mean {meant}?"
                    );
                    self.report(Severity::Warning, file, object.pos, None, message);
                }
                self.count_skipped(kind);
            }
        }
    }

    fn add_list(&mut self, file: &Path, list: &Node) {
        match list.get("items").map(|items| &items.value) {
            Some(Value::Sequence(items)) => {
                for item in items {
                    self.add_item(file, list, item);
                }
            }
            Some(Value::Null) | None => {}
            Some(_) => {
                let message = "items: Invalid value: must be a list".to_owned();
                self.report(Severity::Error, file, list.pos, None, message);
            }
        }
    }

    /// Adds an item of a list. Items of a typed list (`PodList`) may omit kind and apiVersion,
    /// which then follow from the list.
    fn add_item(&mut self, file: &Path, list: &Node, item: &Node) {
        let kind = list
            .get("kind")
            .and_then(Node::as_str)
            .and_then(|k| k.strip_suffix("List"));
        let (Some(kind), Value::Mapping(entries)) = (kind.filter(|k| !k.is_empty()), &item.value)
        else {
            self.add_object(file, item);
            return;
        };
        let mut entries = entries.clone();
        let add = |entries: &mut Vec<_>, key: &str, value: Option<Value>| {
            if item.get(key).is_none()
                && let Some(value) = value
            {
                let key = Key {
                    pos: item.pos,
                    text: key.to_owned(),
                };
                entries.push((
                    key,
                    Node {
                        pos: item.pos,
                        value,
                    },
                ));
            }
        };
        add(&mut entries, "kind", Some(Value::String(kind.to_owned())));
        add(
            &mut entries,
            "apiVersion",
            list.get("apiVersion").map(|v| v.value.clone()),
        );
        self.add_object(
            file,
            &Node {
                pos: item.pos,
                value: Value::Mapping(entries),
            },
        );
    }

    pub(super) fn count_skipped(&mut self, kind: &str) {
        *self.counts.skipped.entry(kind.to_owned()).or_default() += 1;
    }
}
