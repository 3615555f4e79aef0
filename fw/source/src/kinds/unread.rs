//! Kinds of objects that are not read: which may be left out, and which are a slip of the pen.

/// Kinds that decide about traffic in some other system, or that a slip of the pen keeps from
/// being what was meant: leaving them out would change what the cluster means.
pub(crate) fn may_decide_traffic(api_version: &str, kind: &str) -> bool {
    const READ: [&str; 6] = [
        "networkpolicy",
        "namespace",
        "pod",
        "node",
        "workload",
        "policytest",
    ];
    const OTHERS: [&str; 5] = [
        "cilium.io",
        "projectcalico.org",
        "crd.projectcalico.org",
        "crd.antrea.io",
        "k8s.ovn.org",
    ];
    const ENFORCING: [&str; 4] = ["tier", "profile", "hostendpoint", "egressfirewall"];
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    // In a group that has policies whatever is not known may be a slip of the pen.
    const BESIDE_POLICIES: [&str; 5] = [
        "Ingress",
        "IngressClass",
        "IPAddress",
        "ServiceCIDR",
        "ClusterCIDR",
    ];
    if group == "networking.k8s.io" {
        return !BESIDE_POLICIES.contains(&kind);
    }
    let kind = kind.to_ascii_lowercase();
    is_misspelt_policy(group, &kind)
        || kind.contains("networkpolicy")
        || kind.contains("networkpolicies")
        || group == "bailey.dev"
        || group == "policy.networking.k8s.io"
        || (matches!(group, "" | "networking.k8s.io") && READ.contains(&kind.as_str()))
        || (OTHERS.contains(&group)
            && (kind.contains("policy") || ENFORCING.contains(&kind.as_str())))
}

/// The kind that is read under nearly this name, in words.
pub(crate) fn suggest_policy_kind(kind: &str) -> String {
    let known = ["NetworkPolicy", "Workload", "PolicyTest"];
    let nearest = known
        .into_iter()
        .min_by_key(|known| edit_distance(known, kind));
    nearest
        .filter(|known| (1..=3).contains(&edit_distance(known, kind)))
        .map_or_else(String::new, |known| format!(" (did you mean {known}?)"))
}

/// Is a kind, in small letters, that of a policy but for a slip of the pen? In the groups of other systems
/// that have policies, and wherever it is nearly a NetworkPolicy.
fn is_misspelt_policy(group: &str, kind: &str) -> bool {
    const POLICIES: [&str; 11] = [
        "networkpolicy",
        "adminnetworkpolicy",
        "baselineadminnetworkpolicy",
        "clusternetworkpolicy",
        "ciliumnetworkpolicy",
        "ciliumclusterwidenetworkpolicy",
        "globalnetworkpolicy",
        "stagednetworkpolicy",
        "stagedglobalnetworkpolicy",
        "stagedkubernetesnetworkpolicy",
        "egressfirewall",
    ];
    let of_system = ["cilium.io", "projectcalico.org", "antrea.io", "ovn.org"]
        .iter()
        .any(|system| group.ends_with(system));
    let near = |policy: &str| edit_distance(policy, kind) <= 3;
    POLICIES
        .iter()
        .any(|policy| (of_system || policy.ends_with("networkpolicy")) && near(policy))
}

/// The kind that is read, and meant by one that is spelt nearly so, or that stands in another group.
pub(crate) fn suggest_read_kind(api_version: &str, kind: &str) -> Option<&'static str> {
    const CORE: [&str; 3] = ["Namespace", "Pod", "Node"];
    // What the API has of nearly the same name.
    const OTHERS: [&str; 2] = ["NodeList", "PodList"];
    if OTHERS.contains(&kind) {
        return None;
    }
    let near = |known: &&str| edit_distance(known, kind) <= 2.min(known.len() / 3);
    let kinds: &[&'static str] = match api_version {
        // The core group and those of other workloads.
        "v1" | "apps/v1" | "batch/v1" => &CORE,
        _ if api_version.contains('/') => &[],
        _ => &CORE,
    };
    let workload = ["Workload"]
        .into_iter()
        .filter(|_| !api_version.contains('/'));
    let known = kinds.iter().copied().chain(workload);
    known
        .filter(near)
        .min_by_key(|known| edit_distance(known, kind))
}

/// How many slips of the pen lie between two kinds, whatever their case.
fn edit_distance(known: &str, kind: &str) -> usize {
    strsim::damerau_levenshtein(&known.to_lowercase(), &kind.to_lowercase())
}
