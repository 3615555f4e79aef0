//! Names of the endpoints behind addresses.

use std::net::IpAddr;

use bailey_control::api_records::EndpointName;
use bailey_policy::{Endpoint, EndpointKind, Snapshot};

/// Labels that name the workload of a pod, in this order.
const WORKLOAD_LABELS: [&str; 3] = ["app.kubernetes.io/name", "app", "k8s-app"];

/// The endpoint that has an address; the first if several have it.
pub fn endpoint_name(snapshot: &Snapshot, address: IpAddr) -> Option<EndpointName> {
    let endpoint = snapshot.endpoint_at(address)?;
    Some(EndpointName {
        kind: match endpoint.id.kind {
            EndpointKind::Node => "node",
            EndpointKind::Pod => "pod",
            EndpointKind::Workload => "workload",
        }
        .to_owned(),
        namespace: endpoint.id.namespace.clone(),
        name: endpoint.id.name.clone(),
        workload: workload_of(endpoint).to_owned(),
        labels: endpoint
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
    })
}

/// The workload of an endpoint: by its labels, else its own name.
pub fn workload_of(endpoint: &Endpoint) -> &str {
    let labels = &endpoint.labels;
    let mut named = WORKLOAD_LABELS.iter().filter_map(|label| labels.get(label));
    named.next().unwrap_or(&endpoint.id.name)
}

/// Whether the inventory knows an address: as an endpoint's, or in a declared prefix.
pub fn is_known(snapshot: &Snapshot, address: IpAddr) -> bool {
    snapshot.endpoint_at(address).is_some() || snapshot.is_declared(address.into())
}
