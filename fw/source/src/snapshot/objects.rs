//! Reads one object of each kind: decodes, validates, checks the name, and stores the result.

use std::path::Path;
use std::sync::Arc;

use bailey_policy::{Direction, Endpoint, EndpointKind, NetworkPolicy, PolicyRef, SourceLocation};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::diagnostic::Severity;
use crate::kinds::inventory::{self, Pod};
use crate::kinds::network_policy;
use crate::kinds::validate::{self, FieldErrors};
use crate::kinds::workload::{self, Workload};
use crate::parse::decode::{Decoded, decode};
use crate::parse::node::{FieldPath, Node};
use crate::snapshot::collector::{Collector, Strictness};
use crate::snapshot::identity::{ObjectIdentity, UNNAMED, duplicate_error};
use crate::snapshot::origins::Origin;

impl Collector {
    pub(super) fn add_policy(&mut self, file: &Path, node: &Node) {
        let mut node = node.clone();
        // Exports of clusters before 1.28 have a status, which the API has removed since.
        node.remove(&FieldPath::of(&["status"]));

        // Decode, and determine the name, which all reports need.
        let decoded: Decoded<networking::NetworkPolicy> = decode(&node);
        let metadata = decoded.value.as_ref().map(|v| v.metadata.clone());
        let identity = self.identify(file, &node, "NetworkPolicy", metadata, true);
        let Some(object) = self.check_strict(file, &node, &identity.title, &decoded) else {
            return;
        };

        // Validate labels and the spec.
        let mut labels = FieldErrors::default();
        validate::check_labels(&inventory::read_labels(&object.metadata), &mut labels);
        self.report_field_errors(file, &node, &identity.title, &labels);
        let id = PolicyRef {
            namespace: identity.namespace,
            name: identity.name,
        };
        let read = network_policy::read(id, object, self.strictness == Strictness::Lenient);
        for (path, message) in &read.warnings {
            self.report_field(
                Severity::Warning,
                file,
                &node,
                &identity.title,
                path,
                message,
            );
        }
        let valid =
            self.report_independent_errors(file, &node, &identity.title, &decoded, &read.errors);

        // Register even an invalid policy, so that duplicates are reported.
        if self.register(file, &node, &identity.title) && valid && decoded.wrong.is_empty() {
            self.counts.read += 1;
            let location = locate_policy(self.file.clone(), &node, &read.policy);
            let policy = NetworkPolicy {
                location,
                ..read.policy
            };
            self.policies.push(Arc::new(policy));
        }
    }

    pub(super) fn add_workload(&mut self, file: &Path, node: &Node) {
        let decoded: Decoded<Workload> = decode(node);
        let metadata = decoded.value.as_ref().map(|v| v.metadata.clone());
        let identity = self.identify(file, node, "Workload", metadata, true);
        let Some(object) = self.check_strict(file, node, &identity.title, &decoded) else {
            return;
        };
        let mut errors = FieldErrors::default();
        let id = identity.endpoint(EndpointKind::Workload);
        let endpoint = workload::read(id, object, &mut errors);
        let valid = self.report_independent_errors(file, node, &identity.title, &decoded, &errors);
        if self.register(file, node, &identity.title) && valid && decoded.wrong.is_empty() {
            self.add_endpoint(endpoint);
        }
    }

    pub(super) fn add_namespace(&mut self, file: &Path, node: &Node) {
        let node = node.project(inventory::NAMESPACE_FIELDS);
        let Some((object, identity)) =
            self.decode_tolerant::<core::Namespace>(file, &node, "Namespace", false, |o| {
                &o.metadata
            })
        else {
            return;
        };
        if self.register(file, &node, &identity.title) {
            self.counts.read += 1;
            self.namespaces
                .insert(identity.name, inventory::read_labels(&object.metadata));
        }
    }

    pub(super) fn add_pod(&mut self, file: &Path, node: &Node) {
        let node = node.project(inventory::POD_FIELDS);
        let Some((object, identity)) =
            self.decode_tolerant::<core::Pod>(file, &node, "Pod", true, |o| &o.metadata)
        else {
            return;
        };
        let mut errors = FieldErrors::default();
        let pod = inventory::read_pod(identity.endpoint(EndpointKind::Pod), &object, &mut errors);
        self.report_field_errors(file, &node, &identity.title, &errors);
        if !self.register(file, &node, &identity.title) || !errors.0.is_empty() {
            return;
        }
        match pod {
            Pod::Endpoint(endpoint) => {
                self.counts.pending_pods += usize::from(endpoint.addresses.is_empty());
                self.add_endpoint(endpoint);
            }
            Pod::Host(pod) => {
                self.counts.read += 1;
                self.host_pods.push(pod);
            }
            Pod::Finished => {
                self.counts.read += 1;
                self.counts.finished_pods += 1;
            }
        }
    }

    pub(super) fn add_node(&mut self, file: &Path, node: &Node) {
        let node = node.project(inventory::NODE_FIELDS);
        let Some((object, identity)) =
            self.decode_tolerant::<core::Node>(file, &node, "Node", false, |o| &o.metadata)
        else {
            return;
        };
        let mut errors = FieldErrors::default();
        let pod_cidrs = inventory::read_pod_cidrs(&object, &mut errors);
        let endpoint = inventory::read_node(&identity.name, &object, &pod_cidrs, &mut errors);
        self.report_field_errors(file, &node, &identity.title, &errors);
        if self.register(file, &node, &identity.title) && errors.0.is_empty() {
            self.pod_cidrs.extend(pod_cidrs);
            self.add_endpoint(endpoint);
        }
    }

    fn add_endpoint(&mut self, mut endpoint: Endpoint) {
        self.counts.read += 1;
        endpoint.labels = endpoint.labels.interned(&mut self.labels);
        self.endpoints.push(Arc::new(endpoint));
    }

    /// Decodes an object that was reduced to the fields in use. Wrong types are errors.
    fn decode_tolerant<T: for<'de> Deserialize<'de>>(
        &mut self,
        file: &Path,
        node: &Node,
        kind: &str,
        namespaced: bool,
        metadata: impl Fn(&T) -> &ObjectMeta,
    ) -> Option<(T, ObjectIdentity)> {
        let decoded: Decoded<T> = decode(node);
        let found = decoded.value.as_ref().map(|value| metadata(value).clone());
        let identity = self.identify(file, node, kind, found, namespaced);
        for (path, message) in &decoded.wrong {
            self.report_field(Severity::Error, file, node, &identity.title, path, message);
        }
        let usable = decoded.wrong.is_empty() && !identity.name.is_empty();
        decoded
            .value
            .filter(|_| usable)
            .map(|value| (value, identity))
    }

    /// Reports wrong types and unknown fields of a strictly decoded kind.
    fn check_strict<'a, T>(
        &mut self,
        file: &Path,
        node: &Node,
        title: &str,
        decoded: &'a Decoded<T>,
    ) -> Option<&'a T> {
        for (path, message) in &decoded.wrong {
            self.report_field(Severity::Error, file, node, title, path, message);
        }
        let severity = match self.strictness {
            Strictness::Strict => Severity::Error,
            Strictness::Lenient => Severity::Warning,
        };
        for path in &decoded.unknown {
            let message = format!("strict decoding error: unknown field \"{path}\"");
            let pos = node.locate(path, true);
            self.report(severity, file, pos, Some(title.to_owned()), message);
        }
        decoded.value.as_ref()
    }

    /// Determines the namespace, name and title of an object, and reports invalid names.
    fn identify(
        &mut self,
        file: &Path,
        node: &Node,
        kind: &str,
        metadata: Option<ObjectMeta>,
        namespaced: bool,
    ) -> ObjectIdentity {
        // Name, namespace and title, with defaults.
        let metadata = metadata.unwrap_or_default();
        let name = metadata.name.unwrap_or_default();
        let given = metadata.namespace.filter(|namespace| !namespace.is_empty());
        let namespace = match (namespaced, &given) {
            (false, _) => String::new(),
            (true, Some(namespace)) => namespace.clone(),
            (true, None) => "default".to_owned(),
        };
        let shown = if name.is_empty() { UNNAMED } else { &name };
        let title = if namespaced {
            format!("{kind} {namespace}/{shown}")
        } else {
            format!("{kind} {shown}")
        };

        // Validation of the name and namespace.
        let path = FieldPath::of(&["metadata"]);
        let mut errors = FieldErrors::default();
        if name.is_empty() {
            let detail = match metadata.generate_name {
                None => "name or generateName is required",
                Some(_) => "generateName needs an API server; set metadata.name",
            };
            errors.add_required(&path.key("name"), detail);
        } else if kind == "Namespace" {
            errors.add_invalid_text(&path.key("name"), &name, validate::check_dns_label(&name));
        } else {
            errors.add_invalid_text(&path.key("name"), &name, validate::check_subdomain(&name));
        }
        if namespaced {
            let details = validate::check_dns_label(&namespace);
            errors.add_invalid_text(&path.key("namespace"), &namespace, details);
        }
        self.report_field_errors(file, node, &title, &errors);
        if namespaced && given.is_none() {
            let message = "metadata.namespace is missing; using \"default\"".to_owned();
            let pos = node.locate(&path, true);
            self.report(Severity::Warning, file, pos, Some(title.clone()), message);
        }
        ObjectIdentity {
            namespace,
            name,
            title,
        }
    }

    /// Records the position of an object. Returns false if the object has no name, or if another
    /// object has the same name.
    fn register(&mut self, file: &Path, node: &Node, title: &str) -> bool {
        if title.ends_with(UNNAMED) {
            return false;
        }
        let name = node.locate(&FieldPath::of(&["metadata", "name"]), false);
        if let Some(first) = self.origins.get(title) {
            self.diagnostics
                .push(duplicate_error(title, first, file, name));
            return false;
        }
        if self.file.as_deref() != Some(file) {
            self.file = Some(file.into());
        }
        let origin = Origin {
            file: self.file.clone().expect("set above"),
            pos: node.pos,
            name,
        };
        self.origins.insert(title, origin);
        true
    }
}

/// The lines of a policy and of its rules.
fn locate_policy(file: Option<Arc<Path>>, node: &Node, policy: &NetworkPolicy) -> SourceLocation {
    let line = |path: &FieldPath| node.locate(path, false).line;
    let rules = |direction: Direction, key: &str| {
        let path = FieldPath::of(&["spec", key]);
        let rules = policy.rules(direction).map_or(0, <[_]>::len);
        (0..rules).map(|at| line(&path.index(at))).collect()
    };
    SourceLocation {
        file,
        line: line(&FieldPath::of(&["metadata", "name"])),
        ingress: rules(Direction::Ingress, "ingress"),
        egress: rules(Direction::Egress, "egress"),
    }
}
