//! Kinds that are not read. Most are skipped. A kind that decides traffic in another system, or
//! that is probably a misspelt policy, is an error, because skipping it would change what is
//! allowed.

/// Whether an unread object may decide which traffic is allowed: a policy of another system, or a
/// misspelt kind that bailey reads.
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
    // In a group with policies, every unknown kind may be a misspelt policy.
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

/// A suggestion for a misspelt kind, for the middle of a sentence; empty if no kind is similar.
pub(crate) fn suggest_policy_kind(kind: &str) -> String {
    let known = ["NetworkPolicy", "Workload", "PolicyTest"];
    let nearest = known
        .into_iter()
        .min_by_key(|known| edit_distance(known, kind));
    nearest
        .filter(|known| (1..=3).contains(&edit_distance(known, kind)))
        .map_or_else(String::new, |known| format!(" (did you mean {known}?)"))
}

/// Whether a lower-case kind is similar to a policy kind: any policy kind in the groups of other
/// systems, and kinds that end in "networkpolicy" in every group.
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

/// The kind that an object probably should have, if its kind is misspelt or in the wrong group.
pub(crate) fn suggest_read_kind(api_version: &str, kind: &str) -> Option<&'static str> {
    const CORE: [&str; 3] = ["Namespace", "Pod", "Node"];
    // Kinds of the API with similar names.
    const OTHERS: [&str; 2] = ["NodeList", "PodList"];
    if OTHERS.contains(&kind) {
        return None;
    }
    let near = |known: &&str| edit_distance(known, kind) <= 2.min(known.len() / 3);
    let kinds: &[&'static str] = match api_version {
        // The core group, and the groups of other workload kinds.
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

/// Number of typing errors between two kinds, ignoring case.
fn edit_distance(known: &str, kind: &str) -> usize {
    strsim::damerau_levenshtein(&known.to_lowercase(), &kind.to_lowercase())
}
