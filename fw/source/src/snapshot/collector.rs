use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bailey_config::{Declared, ReadLimits};
use bailey_policy::{
    Direction, Endpoint, EndpointKind, EndpointRef, HostPod, LabelPool, Labels, NetworkPolicy,
    PolicyRef, SharedAddress, Snapshot, SourceLocation,
};
use ipnet::IpNet;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::networking::v1 as networking;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::files::{self, FileSet};
use crate::kinds::inventory::{self, Pod};
use crate::kinds::network_policy;
use crate::kinds::unread::{may_decide_traffic, suggest_policy_kind, suggest_read_kind};
use crate::kinds::validate::{self, FieldErrors};
use crate::kinds::workload::{self, Workload};
use crate::parse;
use crate::parse::decode::{Decoded, decode};
use crate::parse::limits::ReadLimits;
use crate::parse::node::{FieldPath, Node, Pos, Value};
use crate::snapshot::cross_checks::CrossChecks;
use crate::snapshot::origins::{Origin, Origins};

/// What is an error and what a warning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// As the API server with strict field and CIDR validation.
    #[default]
    Strict,
    /// Unknown fields and CIDRs with host bits or leading zeros are warnings; the CIDRs are
    /// masked.
    Lenient,
}

/// What is declared of addresses beside the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredPrefixes {
    /// Prefixes of endpoints: an address in them that no object has is isolated.
    pub isolated: Vec<IpNet>,
    /// Are the nodes' `podCIDRs` such prefixes, too?
    pub pod_cidrs: bool,
}

impl Default for DeclaredPrefixes {
    fn default() -> Self {
        Self {
            isolated: Vec::new(),
            pod_cidrs: true,
        }
    }
}

/// How many objects of which sort were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Objects that carry policy or inventory.
    pub read: usize,
    /// Kubernetes objects that mean nothing here, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// Pods that are Succeeded or Failed.
    pub finished_pods: usize,
    /// Pods that have no address yet.
    pub pending_pods: usize,
}

/// Gathers objects from any number of documents and makes one snapshot of them.
#[derive(Debug, Default)]
pub struct Collector {
    strictness: Strictness,
    limits: ReadLimits,
    diagnostics: Diagnostics,
    counts: ObjectCounts,
    namespaces: BTreeMap<String, Labels>,
    endpoints: Vec<Arc<Endpoint>>,
    host_pods: Vec<HostPod>,
    policies: Vec<Arc<NetworkPolicy>>,
    pod_cidrs: Vec<IpNet>,
    origins: Origins,
    /// The file that is being read.
    file: Option<Arc<Path>>,
    labels: LabelPool,
    /// Could a file not be read?
    unreadable: bool,
}

/// Reads all files of a set and makes a snapshot of them; `None` if there are errors.
pub fn load_snapshot(
    files: &FileSet,
    strictness: Strictness,
    limits: ReadLimits,
    declared: &DeclaredPrefixes,
) -> (Option<Snapshot>, Diagnostics, ObjectCounts) {
    let mut collector = Collector::new(strictness, limits);
    for file in files.iter() {
        collector.merge(&Collector::read_file(file, strictness, limits));
    }
    collector.build_snapshot(declared)
}

impl Collector {
    /// What one file says by itself.
    pub(crate) fn read_file(file: &Path, strictness: Strictness, limits: ReadLimits) -> Self {
        let mut collector = Self::new(strictness, limits);
        collector.add_file(file);
        collector
    }

    /// Adds what another file says. An object that stands in both is an error, and the first counts.
    pub(crate) fn merge(&mut self, part: &Self) {
        self.diagnostics.extend(part.diagnostics.clone());
        let duplicates = self.origins.merge(&part.origins);
        for object in &duplicates {
            let name = object.again.name;
            let duplicate = duplicate(&object.title, &object.first, &object.again.file, name);
            self.diagnostics.push(duplicate);
        }
        let duplicates: HashSet<&str> = duplicates.iter().map(|object| &*object.title).collect();
        self.counts.add(&part.counts);
        // Titles are made only where some object is there duplicates.
        let first = |title: &dyn Fn() -> String| {
            duplicates.is_empty() || !duplicates.contains(title().as_str())
        };
        let namespaces = part.namespaces.iter();
        let namespaces = namespaces.filter(|(name, _)| first(&|| format!("Namespace {name}")));
        self.namespaces
            .extend(namespaces.map(|(name, labels)| (name.clone(), labels.clone())));
        let endpoints = part.endpoints.iter();
        self.endpoints
            .extend(endpoints.filter(|e| first(&|| title_of(&e.id))).cloned());
        let host_pods = part.host_pods.iter();
        self.host_pods.extend(
            host_pods
                .filter(|pod| first(&|| title_of(&pod.id)))
                .cloned(),
        );
        let policies = part.policies.iter();
        let policies = policies.filter(|policy| first(&|| format!("NetworkPolicy {}", policy.id)));
        self.policies.extend(policies.cloned());
        self.pod_cidrs.extend(&part.pod_cidrs);
    }

    /// Was everything there to be read?
    pub(crate) fn is_fully_read(&self) -> bool {
        !self.unreadable
    }

    /// For keeping: without the text, unless something is said about it.
    pub(crate) fn without_transient(mut self) -> Self {
        self.labels = LabelPool::default();
        self.diagnostics.drop_unused_texts();
        self
    }
}

impl ObjectCounts {
    fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.finished_pods += other.finished_pods;
        self.pending_pods += other.pending_pods;
        for (kind, count) in &other.skipped {
            *self.skipped.entry(kind.clone()).or_default() += count;
        }
    }
}

impl Collector {
    /// Starts without objects.
    pub fn new(strictness: Strictness, limits: ReadLimits) -> Self {
        Self {
            strictness,
            limits,
            ..Self::default()
        }
    }

    /// Reads a file; what is wrong with it is found in the diagnostics.
    pub fn add_file(&mut self, file: &Path) {
        match files::read_text(file, self.limits.file_bytes) {
            Ok(text) => {
                let text: Arc<str> = text.into();
                self.add_text(file, &text);
                self.diagnostics.add_text(file, text);
            }
            Err(message) => {
                self.unreadable = true;
                self.diagnostics.add_file_error(file, message);
            }
        }
    }

    fn add_text(&mut self, file: &Path, text: &str) {
        match parse::parse_documents(text, &self.limits) {
            Ok(documents) => {
                for document in &documents {
                    self.add_object(file, document);
                }
            }
            Err(error) => {
                let message = error.message.clone();
                self.report(Severity::Error, file, error.pos, None, message);
            }
        }
    }

    /// Takes in one object, or the objects of a list.
    pub fn add_object(&mut self, file: &Path, object: &Node) {
        let text = |key: &str| object.get(key).and_then(Node::as_str).unwrap_or_default();
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
        if kind.ends_with("List") && object.get("items").is_some() {
            self.add_list(file, object);
            return;
        }
        match (api_version, kind) {
            ("networking.k8s.io/v1", "NetworkPolicy") => self.add_policy(file, object),
            ("v1", "Namespace") => self.add_namespace(file, object),
            ("v1", "Pod") => self.add_pod(file, object),
            ("v1", "Node") => self.add_node(file, object),
            ("bailey.dev/v1", "Workload") => self.add_workload(file, object),
            ("bailey.dev/v1", "PolicyTest") => self.skip(kind),
            _ if may_decide_traffic(api_version, kind) => {
                let message = format!(
                    "no matches for kind {kind:?} in version {api_version:?}: it may decide what is \
                     allowed, so it is not skipped; correct it{}, leave it out, or express it as \
                     networking.k8s.io/v1 NetworkPolicy",
                    suggest_policy_kind(kind)
                );
                let name = object
                    .get("metadata")
                    .and_then(|m| m.get("name"))
                    .and_then(Node::as_str);
                let named = format!("{kind} {}", name.unwrap_or("(unnamed)"));
                self.report(Severity::Error, file, object.pos, Some(named), message);
            }
            _ => {
                if let Some(meant) = suggest_read_kind(api_version, kind) {
                    let message = format!(
                        "no matches for kind {kind:?} in version {api_version:?}, it is skipped; did \
                         you mean {meant}?"
                    );
                    self.report(Severity::Warning, file, object.pos, None, message);
                }
                self.skip(kind);
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

    /// Items of a typed list (`PodList`) may leave out what the list says of all of them.
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
                let key = parse::node::Key {
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

    fn skip(&mut self, kind: &str) {
        *self.counts.skipped.entry(kind.to_owned()).or_default() += 1;
    }

    fn add_policy(&mut self, file: &Path, node: &Node) {
        let mut node = node.clone();
        // Exports of clusters before 1.28 have a status that the API no longer knows.
        node.remove(&FieldPath::of(&["status"]));
        let decoded: Decoded<networking::NetworkPolicy> = decode(&node);
        let metadata = decoded.value.as_ref().map(|v| v.metadata.clone());
        let named = self.identify(file, &node, "NetworkPolicy", metadata, true);
        let Some(object) = self.strict(file, &node, &named.title, &decoded) else {
            return;
        };
        let mut labels = FieldErrors::default();
        validate::labels(&inventory::labels(&object.metadata), &mut labels);
        self.report_fields(file, &node, &named.title, &labels);
        let id = PolicyRef {
            namespace: named.namespace,
            name: named.name,
        };
        let read = network_policy::read(id, object, self.strictness == Strictness::Lenient);
        for (path, message) in &read.warnings {
            self.field(Severity::Warning, file, &node, &named.title, path, message);
        }
        let valid = self.fields(file, &node, &named.title, &decoded, &read.errors);
        if self.register(file, &node, &named.title) && valid && decoded.wrong.is_empty() {
            self.counts.read += 1;
            let location = locate_policy(self.file.clone(), &node, &read.policy);
            let policy = NetworkPolicy {
                location,
                ..read.policy
            };
            self.policies.push(Arc::new(policy));
        }
    }

    fn add_workload(&mut self, file: &Path, node: &Node) {
        let decoded: Decoded<Workload> = decode(node);
        let metadata = decoded.value.as_ref().map(|v| v.metadata.clone());
        let named = self.identify(file, node, "Workload", metadata, true);
        let Some(object) = self.strict(file, node, &named.title, &decoded) else {
            return;
        };
        let mut errors = FieldErrors::default();
        let id = named.endpoint(EndpointKind::Workload);
        let endpoint = workload::read(id, object, &mut errors);
        let valid = self.fields(file, node, &named.title, &decoded, &errors);
        if self.register(file, node, &named.title) && valid && decoded.wrong.is_empty() {
            self.add_endpoint(endpoint);
        }
    }

    fn add_namespace(&mut self, file: &Path, node: &Node) {
        let node = node.project(inventory::NAMESPACE_FIELDS);
        let Some((object, named)) =
            self.tolerant::<core::Namespace>(file, &node, "Namespace", false, |o| &o.metadata)
        else {
            return;
        };
        if self.register(file, &node, &named.title) {
            self.counts.read += 1;
            self.namespaces
                .insert(named.name, inventory::labels(&object.metadata));
        }
    }

    fn add_pod(&mut self, file: &Path, node: &Node) {
        let node = node.project(inventory::POD_FIELDS);
        let Some((object, named)) =
            self.tolerant::<core::Pod>(file, &node, "Pod", true, |o| &o.metadata)
        else {
            return;
        };
        let mut errors = FieldErrors::default();
        let pod = inventory::pod(named.endpoint(EndpointKind::Pod), &object, &mut errors);
        self.report_fields(file, &node, &named.title, &errors);
        if !self.register(file, &node, &named.title) || !errors.0.is_empty() {
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

    fn add_node(&mut self, file: &Path, node: &Node) {
        let node = node.project(inventory::NODE_FIELDS);
        let Some((object, named)) =
            self.tolerant::<core::Node>(file, &node, "Node", false, |o| &o.metadata)
        else {
            return;
        };
        let mut errors = FieldErrors::default();
        let pod_cidrs = inventory::pod_cidrs(&object, &mut errors);
        let endpoint = inventory::node(&named.name, &object, &pod_cidrs, &mut errors);
        self.report_fields(file, &node, &named.title, &errors);
        if self.register(file, &node, &named.title) && errors.0.is_empty() {
            self.pod_cidrs.extend(pod_cidrs);
            self.add_endpoint(endpoint);
        }
    }

    fn add_endpoint(&mut self, mut endpoint: Endpoint) {
        self.counts.read += 1;
        endpoint.labels = endpoint.labels.interned(&mut self.labels);
        self.endpoints.push(Arc::new(endpoint));
    }

    /// Decodes an object of which only projected fields are left; type errors are errors.
    fn tolerant<T: for<'de> Deserialize<'de>>(
        &mut self,
        file: &Path,
        node: &Node,
        kind: &str,
        namespaced: bool,
        metadata: impl Fn(&T) -> &ObjectMeta,
    ) -> Option<(T, Named)> {
        let decoded: Decoded<T> = decode(node);
        let found = decoded.value.as_ref().map(|value| metadata(value).clone());
        let named = self.identify(file, node, kind, found, namespaced);
        for (path, message) in &decoded.wrong {
            self.field(Severity::Error, file, node, &named.title, path, message);
        }
        let usable = decoded.wrong.is_empty() && !named.name.is_empty();
        decoded.value.filter(|_| usable).map(|value| (value, named))
    }

    /// Reports wrong types and unknown fields of a strict kind.
    fn strict<'a, T>(
        &mut self,
        file: &Path,
        node: &Node,
        title: &str,
        decoded: &'a Decoded<T>,
    ) -> Option<&'a T> {
        for (path, message) in &decoded.wrong {
            self.field(Severity::Error, file, node, title, path, message);
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

    /// Reports field errors, but none that only follows from a wrong type already reported.
    fn fields<T>(
        &mut self,
        file: &Path,
        node: &Node,
        title: &str,
        decoded: &Decoded<T>,
        errors: &FieldErrors,
    ) -> bool {
        for (path, message) in &errors.0 {
            let follows = decoded.wrong.iter().any(|(wrong, _)| path.contains(wrong));
            if !follows {
                self.field(Severity::Error, file, node, title, path, message);
            }
        }
        errors.0.is_empty()
    }

    fn report_fields(&mut self, file: &Path, node: &Node, title: &str, errors: &FieldErrors) {
        for (path, message) in &errors.0 {
            self.field(Severity::Error, file, node, title, path, message);
        }
    }

    fn field(
        &mut self,
        severity: Severity,
        file: &Path,
        node: &Node,
        title: &str,
        path: &FieldPath,
        message: &str,
    ) {
        let pos = node.locate(path, false);
        self.report(
            severity,
            file,
            pos,
            Some(title.to_owned()),
            format!("{path}: {message}"),
        );
    }

    fn report(
        &mut self,
        severity: Severity,
        file: &Path,
        pos: Pos,
        object: Option<String>,
        message: String,
    ) {
        let file = Some(file.to_owned());
        self.diagnostics.push(Diagnostic {
            severity,
            file,
            pos: Some(pos),
            object,
            message,
        });
    }

    /// Finds out what an object is called, and reports names that cannot be.
    fn identify(
        &mut self,
        file: &Path,
        node: &Node,
        kind: &str,
        metadata: Option<ObjectMeta>,
        namespaced: bool,
    ) -> Named {
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
        let path = FieldPath::of(&["metadata"]);
        let mut errors = FieldErrors::default();
        if name.is_empty() {
            let detail = match metadata.generate_name {
                None => "name or generateName is required",
                Some(_) => "generateName needs an API server; give it a name",
            };
            errors.required(&path.key("name"), detail);
        } else if kind == "Namespace" {
            errors.invalid_text(&path.key("name"), &name, validate::dns_label(&name));
        } else {
            errors.invalid_text(&path.key("name"), &name, validate::subdomain(&name));
        }
        if namespaced {
            let details = validate::dns_label(&namespace);
            errors.invalid_text(&path.key("namespace"), &namespace, details);
        }
        self.report_fields(file, node, &title, &errors);
        if namespaced && given.is_none() {
            let message = "metadata.namespace is missing; \"default\" is assumed".to_owned();
            let pos = node.locate(&path, true);
            self.report(Severity::Warning, file, pos, Some(title.clone()), message);
        }
        Named {
            namespace,
            name,
            title,
        }
    }

    /// Remembers where an object stands; false if there is one of this name already.
    fn register(&mut self, file: &Path, node: &Node, title: &str) -> bool {
        if title.ends_with(UNNAMED) {
            return false;
        }
        let name = node.locate(&FieldPath::of(&["metadata", "name"]), false);
        if let Some(first) = self.origins.get(title) {
            self.diagnostics.push(duplicate(title, first, file, name));
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

    /// Makes the snapshot, unless there are errors.
    pub fn build_snapshot(
        mut self,
        declared: &DeclaredPrefixes,
    ) -> (Option<Snapshot>, Diagnostics, ObjectCounts) {
        let mut prefixes = declared.isolated.clone();
        if declared.pod_cidrs {
            prefixes.append(&mut self.pod_cidrs);
        }
        CrossChecks {
            namespaces: &self.namespaces,
            endpoints: &self.endpoints,
            policies: &self.policies,
            isolated: &prefixes,
            diagnostics: &mut self.diagnostics,
        }
        .warn();
        let snapshot = Snapshot::new(
            self.namespaces,
            self.endpoints,
            self.host_pods,
            self.policies,
        )
        .with_declared_prefixes(prefixes);
        for shared in snapshot.shared_addresses() {
            self.diagnostics.push(describe(&shared, &self.origins));
        }
        let usable = !self.diagnostics.has_errors();
        (usable.then_some(snapshot), self.diagnostics, self.counts)
    }
}

/// In titles of objects without a name.
const UNNAMED: &str = "(unnamed)";

/// What an object is called; `title` is how people read it, and unique.
#[derive(Debug)]
struct Named {
    namespace: String,
    name: String,
    title: String,
}

impl Named {
    fn endpoint(&self, kind: EndpointKind) -> EndpointRef {
        EndpointRef {
            kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

/// The lines of a policy and its rules.
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

/// Two objects of one name.
fn duplicate(title: &str, first: &Origin, file: &Path, name: Pos) -> Diagnostic {
    let message = format!(
        "metadata.name: Duplicate value: an object of this name stands at {}:{}:{}",
        first.file.display(),
        first.pos.line,
        first.pos.column
    );
    Diagnostic {
        severity: Severity::Error,
        file: Some(file.to_owned()),
        pos: Some(name),
        object: Some(title.to_owned()),
        message,
    }
}

fn title_of(id: &EndpointRef) -> String {
    match id.kind {
        EndpointKind::Node => format!("Node {}", id.name),
        EndpointKind::Pod => format!("Pod {}/{}", id.namespace, id.name),
        EndpointKind::Workload => format!("Workload {}/{}", id.namespace, id.name),
    }
}

fn describe(shared: &SharedAddress, origins: &Origins) -> Diagnostic {
    let SharedAddress { first, second, .. } = shared;
    let at = origins.get(title_of(second).as_str());
    let other = origins
        .get(title_of(first).as_str())
        .map_or_else(String::new, |origin| {
            format!(
                " ({}:{}:{})",
                origin.file.display(),
                origin.pos.line,
                origin.pos.column
            )
        });
    Diagnostic {
        severity: Severity::Warning,
        file: at.map(|origin| origin.file.to_path_buf()),
        pos: at.map(|origin| origin.pos),
        object: Some(title_of(second)),
        message: format!(
            "{shared}{other}: it is isolated where either is, and may do what both may"
        ),
    }
}
