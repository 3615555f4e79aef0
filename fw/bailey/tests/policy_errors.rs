//! Invalid policies: every error names file, line, column, object and field, in the wording of the
//! Kubernetes API server.

use bailey_source::{Collector, DeclaredPrefixes, ReadLimits, Strictness};

fn read(text: &str, strictness: Strictness) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.yaml");
    std::fs::write(&file, text).unwrap();
    let mut collector = Collector::new(strictness, ReadLimits::default());
    collector.add_file(&file);
    let (snapshot, diagnostics, _) = collector.build_snapshot(&DeclaredPrefixes::default());
    let prefix = format!("{}/", directory.path().display());
    let lines = |list: Vec<String>| list.iter().map(|l| l.replace(&prefix, "")).collect();
    let errors: Vec<String> = lines(diagnostics.errors().map(ToString::to_string).collect());
    let warnings = lines(diagnostics.warnings().map(ToString::to_string).collect());
    assert_eq!(snapshot.is_none(), !errors.is_empty());
    (errors, warnings)
}

fn errors(text: &str) -> Vec<String> {
    read(text, Strictness::Strict).0
}

/// A policy with this spec, which begins at line 4 of the file.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: ns}}\n\
         spec:\n{spec}\n"
    )
}

/// The only error of a policy, without file position and object.
fn error_of(spec: &str) -> String {
    let mut found = errors(&policy(spec));
    assert_eq!(found.len(), 1, "{spec}: {found:?}");
    let line = found.remove(0);
    let (place, message) = line.split_once(": NetworkPolicy ns/p: ").unwrap();
    assert!(place.starts_with("f.yaml:"), "{place}");
    message.to_owned()
}

/// Entries of `ports` with one error each, and that error.
fn port_cases() -> Vec<(&'static str, String)> {
    let at = "spec.ingress[0].ports[0]";
    vec![
        (
            "protocol: ICMP",
            format!(
                "{at}.protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\""
            ),
        ),
        (
            "port: 0",
            format!("{at}.port: Invalid value: 0: must be between 1 and 65535, inclusive"),
        ),
        (
            "port: 70000",
            format!("{at}.port: Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ),
        (
            "port: 30000, endPort: 20000",
            format!("{at}.endPort: Invalid value: 20000: must be greater than or equal to `port`"),
        ),
        (
            "port: 3, endPort: 70000",
            format!("{at}.endPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ),
        (
            "port: http, endPort: 20000",
            format!(
                "{at}.endPort: Invalid value: 20000: may not be specified when `port` is non-numeric"
            ),
        ),
        (
            "endPort: 20000",
            format!(
                "{at}.endPort: Invalid value: 20000: may not be specified when `port` is not specified"
            ),
        ),
        (
            "port: a-name-that-is-long",
            format!(
                "{at}.port: Invalid value: \"a-name-that-is-long\": must be no more than 15 bytes"
            ),
        ),
        (
            "port: '80'",
            format!("{at}.port: Invalid value: \"80\": must contain at least one letter (a-z)"),
        ),
        (
            "port: true",
            format!(
                "{at}.port: Invalid value: true: must be an integer or a string, not a boolean"
            ),
        ),
        (
            "prot: 1",
            "strict decoding error: unknown field \"spec.ingress[0].ports[0].prot\"".to_owned(),
        ),
    ]
}

/// Entries of `from` with one error each, and that error.
fn peer_cases() -> Vec<(&'static str, String)> {
    let at = "spec.ingress[0].from[0]";
    let invalid = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    vec![
        ("{}", format!("{at}: Required value: must specify a peer")),
        (
            "{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}",
            format!("{at}: Forbidden: may not specify both ipBlock and another peer"),
        ),
        (
            "{ipBlock: {}}",
            format!("{at}.ipBlock.cidr: Required value"),
        ),
        (
            "{ipBlock: {cidr: x}}",
            format!("{at}.ipBlock.cidr: Invalid value: \"x\": {invalid}"),
        ),
        (
            "{ipBlock: {cidr: 010.0.0.0/8}}",
            format!(
                "{at}.ipBlock.cidr: Invalid value: \"010.0.0.0/8\": must not have leading 0s in IP or prefix length"
            ),
        ),
        (
            "{ipBlock: {cidr: '::ffff:10.0.0.0/104'}}",
            format!(
                "{at}.ipBlock.cidr: Invalid value: \"::ffff:10.0.0.0/104\": must not have an IPv4-mapped IPv6 address"
            ),
        ),
        (
            "{ipBlock: {cidr: 10.0.0.1/8}}",
            format!(
                "{at}.ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length"
            ),
        ),
        (
            "{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}",
            format!(
                "{at}.ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`"
            ),
        ),
        (
            "{ipBlock: {cidr: 10.0.0.0/8, except: ['2001:db8::/32']}}",
            format!(
                "{at}.ipBlock.except[0]: Invalid value: \"2001:db8::/32\": must be a strict subset of `cidr`"
            ),
        ),
        (
            "{ipBlock: {cidr: 5}}",
            format!(
                "{at}.ipBlock.cidr: Invalid value: 5: must be a string, not an integer; put it in quotes"
            ),
        ),
        (
            "{podSelector: {matchExpressions: [{key: a, operator: In}]}}",
            format!(
                "{at}.podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            ),
        ),
        (
            "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}}",
            format!(
                "{at}.podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            ),
        ),
        (
            "{podSelector: {matchExpressions: [{key: a, operator: Equals}]}}",
            format!(
                "{at}.podSelector.matchExpressions[0].operator: Invalid value: \"Equals\": not a valid selector operator"
            ),
        ),
    ]
}

#[test]
fn validation_errors_match_api_server() {
    for (text, expected) in port_cases() {
        let error = error_of(&format!("  ingress: [{{ports: [{{{text}}}]}}]"));
        assert_eq!(error, expected, "{text}");
    }
    for (text, expected) in peer_cases() {
        let error = error_of(&format!("  ingress: [{{from: [{text}]}}]"));
        assert_eq!(error, expected, "{text}");
    }
    // policyTypes.
    assert_eq!(
        error_of("  policyTypes: [ingress]"),
        "spec.policyTypes[0]: Unsupported value: \"ingress\": supported values: \"Ingress\", \"Egress\""
    );
    assert_eq!(
        error_of("  policyTypes: [Ingress, Egress, x]"),
        "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"x\"]: may not specify more than two policyTypes"
    );
    // Labels and names.
    assert!(error_of("  podSelector: {matchLabels: {'a b': x}}").starts_with(
        "spec.podSelector.matchLabels: Invalid value: \"a b\": name part must consist of alphanumeric characters"
    ));
    assert!(
        error_of("  podSelector: {matchLabels: {v: 1}}")
            .starts_with("spec.podSelector.matchLabels.v: Invalid value: 1: must be a string")
    );
    assert!(
        error_of("  podSelector: {matchLabels: {v: yes}}")
            .contains("must be a string, not a boolean")
    );
    let name = policy("  podSelector: {}").replace("name: p,", "name: Foo,");
    assert!(
        errors(&name)[0]
            .contains("metadata.name: Invalid value: \"Foo\": a lowercase RFC 1123 subdomain")
    );
}

#[test]
fn all_errors_have_file_and_position() {
    // Six errors in three documents.
    let text = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: a
  namespace: ns
spec:
  podSelector: {matchLabels: {x: 1}}
  ingress:
  - from:
    - ipBlock:
        cidr: 10.0.0.1/8
    ports:
    - port: 99999
      colour: red
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: c, namespace: ns}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: ns}
";
    let found = errors(text);
    let starts = [
        "f.yaml:7:34: NetworkPolicy ns/a: spec.podSelector.matchLabels.x: Invalid value: 1",
        "f.yaml:11:15: NetworkPolicy ns/a: spec.ingress[0].from[0].ipBlock.cidr",
        "f.yaml:13:13: NetworkPolicy ns/a: spec.ingress[0].ports[0].port",
        "f.yaml:14:7: NetworkPolicy ns/a: strict decoding error: unknown field",
        "f.yaml:16:1: CiliumNetworkPolicy c: no matches for kind",
        "f.yaml:22:18: NetworkPolicy ns/a: metadata.name: Duplicate value",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (line, start) in found.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\nis not\n{start}");
    }
}

#[test]
fn unknown_policy_kinds_are_errors_others_are_ignored() {
    // Kinds of other policies, wrong versions and misspelt kinds.
    for (version, kind) in [
        ("cilium.io/v2", "CiliumNetworkPolicy"),
        ("cilium.io/v2", "CiliumClusterwideNetworkPolicy"),
        ("crd.projectcalico.org/v1", "GlobalNetworkPolicy"),
        ("projectcalico.org/v3", "NetworkPolicy"),
        ("projectcalico.org/v3", "Tier"),
        ("crd.antrea.io/v1beta1", "ClusterNetworkPolicy"),
        ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"),
        ("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"),
        ("k8s.ovn.org/v1", "EgressFirewall"),
        ("networking.k8s.io/v1", "Networkpolicy"),
        ("networking.k8s.io/v1beta1", "NetworkPolicy"),
        ("extensions/v1beta1", "NetworkPolicy"),
        ("v1", "pod"),
        ("bailey.dev/v1", "Workloads"),
        ("bailey.dev/v2", "Workload"),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n");
        let found = errors(&text);
        assert!(
            found.len() == 1 && found[0].contains("no matches for kind"),
            "{kind}: {found:?}"
        );
    }
    // Kinds without any effect on policy.
    for (version, kind) in [
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("kueue.x-k8s.io/v1beta1", "Workload"),
        ("networking.k8s.io/v1", "Ingress"),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n");
        assert_eq!(errors(&text), [] as [&str; 0], "{kind}");
    }
}

#[test]
fn input_accepted_by_api_server_is_accepted() {
    for spec in [
        "  podSelector:\n  policyTypes: []\n  ingress:\n  -\n",
        "  ingress: [{from: [], ports: []}]",
        "  policyTypes: [Egress]\n  ingress: [{}]",
        "  policyTypes: [Ingress, Ingress]",
        "  ingress: [{ports: [{port: 80, endPort: 80}]}]",
        "  ingress: [{ports: [{port: 0x50}]}]",
        "  ingress: [{from: [{namespaceSelector: null, podSelector: {}}]}]",
    ] {
        assert_eq!(errors(&policy(spec)), [] as [&str; 0], "{spec}");
    }
    // The export of an old cluster.
    let exported = policy("  podSelector: {}\nstatus: {}").replace(
        "{name: p, namespace: ns}",
        "{name: p, namespace: ns, creationTimestamp: null, uid: x, resourceVersion: '1', \
         managedFields: [{manager: kubectl}]}",
    );
    assert_eq!(errors(&exported), [] as [&str; 0]);
    // A Pod of a newer API version has unknown fields.
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\n\
               spec: {containers: [{name: c, resources: {limits: {cpu: 1}}, novel: 1}], novel: [x]}\n\
               status: {podIP: 10.0.0.1, novel: {}}\n";
    assert_eq!(errors(pod), [] as [&str; 0]);
}

#[test]
fn lenient_mode_masks_and_warns() {
    let text = policy(
        "  ingress:\n  - from:\n    - ipBlock: {cidr: 192.168.1.5/24}\n    \
         - ipBlock: {cidr: 010.0.0.0/8}\n  novel: 1",
    );
    assert_eq!(errors(&text).len(), 3);
    let (errors, warnings) = read(&text, Strictness::Lenient);
    assert_eq!(errors, [] as [&str; 0]);
    let expected = [
        "CIDR value \"192.168.1.5/24\" is ambiguous in this context (should be \"192.168.1.0/24\" or \"192.168.1.5/32\"?)",
        "non-standard CIDR value \"010.0.0.0/8\" will be considered invalid in a future Kubernetes release: use \"10.0.0.0/8\"",
        "unknown field \"spec.novel\"",
    ];
    for text in expected {
        assert!(
            warnings.iter().any(|w| w.contains(text)),
            "{text}: {warnings:#?}"
        );
    }
}

#[test]
fn shared_address_warning_names_both_endpoints() {
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: ns}}\nstatus: {{podIP: 10.0.0.1}}\n---\n"
        )
    };
    let (refused, found) = read(&(pod("a") + &pod("b")), Strictness::Strict);
    assert_eq!(
        refused,
        [] as [&str; 0],
        "shared addresses occur in every cluster"
    );
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with(
            "f.yaml:6:1: Pod ns/b: address 10.0.0.1 belongs to both pod:ns/a and pod:ns/b (f.yaml:1:1)"
        ),
        "{found:?}"
    );
    let finished = pod("a") + &pod("b").replace("podIP", "phase: Failed, podIP");
    assert_eq!(errors(&finished), [] as [&str; 0]);
}

#[test]
fn single_line_json_errors_have_columns() {
    let text = "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"p\",\"namespace\":\"ns\"},\"spec\":{\"ingress\":[{\"ports\":[{\"port\":0}]}]}}";
    let column = text.find(":0").unwrap() + 2;
    assert!(errors(text)[0].starts_with(&format!(
        "f.yaml:1:{column}: NetworkPolicy ns/p: spec.ingress[0].ports[0].port"
    )));
}

#[test]
fn alias_depth_beyond_limit_is_refused() {
    let mut text = String::from("a0: &a0 {x: 1}\n");
    for level in 1..30 {
        let (open, close) = ("[".repeat(50), "]".repeat(50));
        text.push_str(&format!(
            "a{level}: &a{level} {open}*a{}{close}\n",
            level - 1
        ));
    }
    assert!(
        errors(&text)[0].contains("read.depth"),
        "{:?}",
        errors(&text)
    );
}
