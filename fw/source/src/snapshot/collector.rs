//! The collector: gathers the objects of all files and builds one snapshot of them. Reading one
//! document is in `dispatch.rs`, reading one object in `objects.rs`.

use bailey_config::{DeclaredPrefixes, ReadLimits};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use bailey_policy::{Endpoint, HostPod, LabelPool, Labels, NetworkPolicy, Snapshot};
use ipnet::IpNet;

use crate::diagnostic::{Diagnostics, Severity};
use crate::files::{self, FileSet};
use crate::parse;
use crate::snapshot::cross_checks::CrossChecks;
use crate::snapshot::identity::{duplicate_error, shared_address_warning, title_of};
use crate::snapshot::origins::Origins;

/// Whether questionable input is an error or a warning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Like the API server with strict field and CIDR validation.
    #[default]
    Strict,
    /// Unknown fields, and CIDRs with host bits or leading zeros, are warnings; such CIDRs are
    /// masked.
    Lenient,
}

/// Number of objects read and skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectCounts {
    /// Objects read: policies and inventory.
    pub read: usize,
    /// Skipped Kubernetes objects, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// Pods in phase Succeeded or Failed.
    pub finished_pods: usize,
    /// Pods without an address.
    pub pending_pods: usize,
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

/// Gathers the objects of any number of files and builds one snapshot.
#[derive(Debug, Default)]
pub struct Collector {
    pub(super) strictness: Strictness,
    limits: ReadLimits,
    pub(super) diagnostics: Diagnostics,
    pub(super) counts: ObjectCounts,
    pub(super) namespaces: BTreeMap<String, Labels>,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) host_pods: Vec<HostPod>,
    pub(super) policies: Vec<Arc<NetworkPolicy>>,
    /// The `podCIDRs` of all Node objects.
    pub(super) pod_cidrs: Vec<IpNet>,
    pub(super) origins: Origins,
    /// The file whose objects are being added.
    pub(super) file: Option<Arc<Path>>,
    pub(super) labels: LabelPool,
    /// Whether a file could not be read.
    unreadable: bool,
}

/// Reads all files of a set and builds a snapshot; the snapshot is `None` if there are errors.
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
    /// An empty collector.
    pub fn new(strictness: Strictness, limits: ReadLimits) -> Self {
        Self {
            strictness,
            limits,
            ..Self::default()
        }
    }

    /// Adds the objects of one file. Errors become diagnostics.
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

    /// Builds the snapshot; `None` if there are errors.
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
            declared_prefixes: &prefixes,
            diagnostics: &mut self.diagnostics,
        }
        .run();
        let snapshot = Snapshot::new(
            self.namespaces,
            self.endpoints,
            self.host_pods,
            self.policies,
        )
        .with_declared_prefixes(prefixes);
        for shared in snapshot.shared_addresses() {
            let warning = shared_address_warning(&shared, &self.origins);
            self.diagnostics.push(warning);
        }
        let usable = !self.diagnostics.has_errors();
        (usable.then_some(snapshot), self.diagnostics, self.counts)
    }
}

/// Collectors of single files, which the cache keeps, merged into the collector of all files.
impl Collector {
    /// Reads one file on its own.
    pub(crate) fn read_file(file: &Path, strictness: Strictness, limits: ReadLimits) -> Self {
        let mut collector = Self::new(strictness, limits);
        collector.add_file(file);
        collector
    }

    /// Adds the objects of another collector, which has read one file. An object that both define
    /// is an error, and the first definition is kept.
    pub(crate) fn merge(&mut self, part: &Self) {
        self.diagnostics.extend(part.diagnostics.clone());
        self.counts.add(&part.counts);

        let duplicates = self.origins.merge(&part.origins);
        for object in &duplicates {
            let name = object.again.name;
            let error = duplicate_error(&object.title, &object.first, &object.again.file, name);
            self.diagnostics.push(error);
        }

        // Formats titles only if there is a duplicate at all.
        let duplicates: HashSet<&str> = duplicates.iter().map(|object| &*object.title).collect();
        let is_first = |title: &dyn Fn() -> String| {
            duplicates.is_empty() || !duplicates.contains(title().as_str())
        };
        let namespaces = part.namespaces.iter();
        let namespaces = namespaces.filter(|(name, _)| is_first(&|| format!("Namespace {name}")));
        self.namespaces
            .extend(namespaces.map(|(name, labels)| (name.clone(), labels.clone())));
        let endpoints = part.endpoints.iter();
        let endpoints = endpoints.filter(|endpoint| is_first(&|| title_of(&endpoint.id)));
        self.endpoints.extend(endpoints.cloned());
        let host_pods = part.host_pods.iter();
        let host_pods = host_pods.filter(|pod| is_first(&|| title_of(&pod.id)));
        self.host_pods.extend(host_pods.cloned());
        let policies = part.policies.iter();
        let policies =
            policies.filter(|policy| is_first(&|| format!("NetworkPolicy {}", policy.id)));
        self.policies.extend(policies.cloned());
        self.pod_cidrs.extend(&part.pod_cidrs);
    }

    /// Whether every file could be read.
    pub(crate) fn is_fully_read(&self) -> bool {
        !self.unreadable
    }

    /// Drops data that only reading needs: the label pool, and texts without diagnostics.
    pub(crate) fn without_transient(mut self) -> Self {
        self.labels = LabelPool::default();
        self.diagnostics.drop_unused_texts();
        self
    }
}
