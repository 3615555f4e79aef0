//! NetworkPolicy: defaulting (`pkg/apis/networking/v1/defaults.go`) and validation
//! (`pkg/apis/networking/validation/validation.go`), in the order and words of the API server.

use std::collections::BTreeSet;

use bailey_policy::{
    IpBlock, NetworkPolicy, Peer, PolicyRef, PortMatch, PortRange, PortSpec, Requirement, Rule,
    Selector, SourceLocation,
};
use ipnet::IpNet;
use k8s_openapi::api::networking::v1 as api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::kinds::inventory;
use crate::kinds::rate_limit;
use crate::kinds::validate::{self, CIDR_INVALID, FieldErrors, PORT_RANGE};
use crate::parse::node::FieldPath;

/// A policy, with its validation errors and warnings.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) policy: NetworkPolicy,
    pub(crate) errors: FieldErrors,
    /// Spellings of CIDRs that lenient reading accepts.
    pub(crate) warnings: Vec<(FieldPath, String)>,
}

pub(crate) fn read(id: PolicyRef, object: &api::NetworkPolicy, lenient: bool) -> Read {
    let mut reader = Reader {
        lenient,
        errors: FieldErrors::default(),
        warnings: Vec::new(),
    };
    // Rules are read even if policyTypes makes them inert, so that their errors are reported.
    let spec = object.spec.clone().unwrap_or_default();
    let path = FieldPath::of(&["spec"]);
    let pod_selector = spec
        .pod_selector
        .map(|selector| reader.read_selector(&path.key("podSelector"), &selector))
        .unwrap_or_default();
    let ingress = spec.ingress.unwrap_or_default();
    let ingress = reader.read_rules(
        &path.key("ingress"),
        "from",
        ingress
            .iter()
            .map(|rule| (rule.from.as_deref(), rule.ports.as_deref())),
    );
    let egress = spec.egress.unwrap_or_default();
    let egress = reader.read_rules(
        &path.key("egress"),
        "to",
        egress
            .iter()
            .map(|rule| (rule.to.as_deref(), rule.ports.as_deref())),
    );

    // Defaulting, and rate limits, which need the rules.
    let types = spec.policy_types.unwrap_or_default();
    let types = reader.read_policy_types(&path.key("policyTypes"), &types, !egress.is_empty());
    let mut policy = NetworkPolicy {
        id,
        pod_selector,
        ingress: types.ingress.then_some(ingress),
        egress: types.egress.then_some(egress),
        location: SourceLocation::default(),
    };
    if let Some(annotations) = &object.metadata.annotations {
        rate_limit::apply_annotations(annotations, &mut policy, &mut reader.errors);
    }
    Read {
        policy,
        errors: reader.errors,
        warnings: reader.warnings,
    }
}

struct PolicyTypes {
    ingress: bool,
    egress: bool,
}

struct Reader {
    lenient: bool,
    errors: FieldErrors,
    warnings: Vec<(FieldPath, String)>,
}

impl Reader {
    fn read_rules<'a>(
        &mut self,
        path: &FieldPath,
        peers_field: &str,
        rules: impl Iterator<
            Item = (
                Option<&'a [api::NetworkPolicyPeer]>,
                Option<&'a [api::NetworkPolicyPort]>,
            ),
        >,
    ) -> Vec<Rule> {
        rules
            .enumerate()
            .map(|(index, (peers, ports))| {
                let path = path.index(index);
                let ports_path = path.key("ports");
                let ports = ports.unwrap_or_default().iter().enumerate();
                let ports: Vec<_> = ports
                    .filter_map(|(i, port)| self.read_port(&ports_path.index(i), port))
                    .collect();
                let peers_path = path.key(peers_field);
                let peers = peers.unwrap_or_default().iter().enumerate();
                let peers = peers
                    .filter_map(|(i, peer)| self.read_peer(&peers_path.index(i), peer))
                    .collect();
                Rule {
                    peers,
                    ports,
                    ..Rule::default()
                }
            })
            .collect()
    }

    fn read_port(&mut self, path: &FieldPath, port: &api::NetworkPolicyPort) -> Option<PortMatch> {
        let errors = self.errors.0.len();
        let protocol_name = port.protocol.as_deref().unwrap_or("TCP");
        let protocol = inventory::parse_protocol(protocol_name);
        if protocol.is_none() {
            let supported = &["TCP", "UDP", "SCTP"];
            self.errors
                .add_unsupported(&path.key("protocol"), protocol_name, supported);
        }
        let port_path = path.key("port");
        let end_path = path.key("endPort");
        let spec = match (&port.port, port.end_port) {
            (None, None) => Some(PortSpec::Any),
            (None, Some(end)) => {
                let detail = "may not be specified when `port` is not specified";
                self.errors.add_invalid(&end_path, end, detail);
                None
            }
            (Some(IntOrString::Int(first)), end) => {
                let number = validate::parse_port(i64::from(*first));
                if number.is_none() {
                    self.errors.add_invalid(&port_path, first, PORT_RANGE);
                }
                self.read_end_port(&end_path, *first, end)
                    .zip(number)
                    .map(|(end, first)| {
                        PortSpec::Range(PortRange {
                            first,
                            last: end.unwrap_or(first),
                        })
                    })
            }
            (Some(IntOrString::String(name)), end) => {
                if let Some(end) = end {
                    let detail = "may not be specified when `port` is non-numeric";
                    self.errors.add_invalid(&end_path, end, detail);
                }
                self.errors
                    .add_invalid_text(&port_path, name, validate::check_port_name(name));
                Some(PortSpec::Named(name.clone()))
            }
        };

        // An invalid entry must not match anything.
        let valid = self.errors.0.len() == errors;
        spec.filter(|_| valid)
            .zip(protocol)
            .map(|(port, protocol)| PortMatch { protocol, port })
    }

    /// Validates `endPort`: `Some(None)` if there is none, `None` if it is invalid.
    fn read_end_port(
        &mut self,
        path: &FieldPath,
        first: i32,
        end: Option<i32>,
    ) -> Option<Option<u16>> {
        let Some(end) = end else { return Some(None) };
        if end < first {
            self.errors
                .add_invalid(path, end, "must be greater than or equal to `port`");
        }
        let number = validate::parse_port(i64::from(end));
        if number.is_none() {
            self.errors.add_invalid(path, end, PORT_RANGE);
        }
        number.filter(|_| end >= first).map(Some)
    }

    fn read_peer(&mut self, path: &FieldPath, peer: &api::NetworkPolicyPeer) -> Option<Peer> {
        let pods = peer
            .pod_selector
            .as_ref()
            .map(|selector| self.read_selector(&path.key("podSelector"), selector));
        let namespaces = peer
            .namespace_selector
            .as_ref()
            .map(|selector| self.read_selector(&path.key("namespaceSelector"), selector));
        let block = peer
            .ip_block
            .as_ref()
            .map(|block| self.read_ip_block(&path.key("ipBlock"), block));
        match (block, pods, namespaces) {
            (None, None, None) => {
                self.errors.add_required(path, "must specify a peer");
                None
            }
            (Some(block), None, None) => block.map(Peer::IpBlock),
            (Some(_), _, _) => {
                self.errors
                    .add_forbidden(path, "may not specify both ipBlock and another peer");
                None
            }
            (None, pods, namespaces) => Some(Peer::Selected {
                namespaces,
                pods: pods.unwrap_or_default(),
            }),
        }
    }

    fn read_ip_block(&mut self, path: &FieldPath, block: &api::IPBlock) -> Option<IpBlock> {
        let cidr_path = path.key("cidr");
        if block.cidr.is_empty() {
            self.errors.add_required(&cidr_path, "");
            return None;
        }
        let cidr = self.read_cidr(&cidr_path, &block.cidr)?;
        let mut except = Vec::new();
        for (index, text) in block
            .except
            .as_deref()
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let path = path.key("except").index(index);
            let Some(net) = self.read_cidr(&path, text) else {
                continue;
            };
            if !cidr.contains(&net.addr()) || cidr.prefix_len() >= net.prefix_len() {
                let detail = "must be a strict subset of `cidr`".to_owned();
                self.errors.add_invalid_text(&path, text, vec![detail]);
                continue;
            }
            except.push(net);
        }
        except.sort_unstable();
        except.dedup();
        Some(IpBlock { cidr, except })
    }

    fn read_cidr(&mut self, path: &FieldPath, text: &str) -> Option<IpNet> {
        let Some(cidr) = validate::parse_cidr(text) else {
            self.errors
                .add_invalid_text(path, text, vec![CIDR_INVALID.to_owned()]);
            return None;
        };
        match cidr.objection {
            Some(objection) if !(self.lenient && cidr.can_be_masked()) => {
                self.errors
                    .add_invalid_text(path, text, vec![objection.to_owned()]);
            }
            _ => {
                self.warnings
                    .extend(cidr.warning(text).map(|warning| (path.clone(), warning)));
            }
        }
        Some(cidr.net)
    }

    fn read_selector(&mut self, path: &FieldPath, selector: &LabelSelector) -> Selector {
        let mut requirements = BTreeSet::new();
        let labels_path = path.key("matchLabels");
        for (key, value) in selector.match_labels.iter().flatten() {
            self.errors
                .add_invalid_text(&labels_path, key, validate::check_label_key(key));
            self.errors
                .add_invalid_text(&labels_path, value, validate::check_label_value(value));
            requirements.insert(Requirement::In(key.clone(), [value.clone()].into()));
        }

        let expressions = selector.match_expressions.iter().flatten().enumerate();
        for (index, expression) in expressions {
            let path = path.key("matchExpressions").index(index);
            let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
            let key = expression.key.clone();
            let requirement = match expression.operator.as_str() {
                "In" | "NotIn" if values.is_empty() => {
                    let detail = "must be specified when `operator` is 'In' or 'NotIn'";
                    self.errors.add_required(&path.key("values"), detail);
                    None
                }
                "In" => Some(Requirement::In(key, values)),
                "NotIn" => Some(Requirement::NotIn(key, values)),
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    let detail =
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    self.errors.add_forbidden(&path.key("values"), detail);
                    None
                }
                "Exists" => Some(Requirement::Exists(key)),
                "DoesNotExist" => Some(Requirement::DoesNotExist(key)),
                other => {
                    let detail = "not a valid selector operator".to_owned();
                    self.errors
                        .add_invalid_text(&path.key("operator"), other, vec![detail]);
                    None
                }
            };
            requirements.extend(requirement);

            // The API server validates the key and all values, for every operator.
            let key = &expression.key;
            self.errors
                .add_invalid_text(&path.key("key"), key, validate::check_label_key(key));
            for (index, value) in expression.values.iter().flatten().enumerate() {
                let path = path.key("values").index(index);
                self.errors
                    .add_invalid_text(&path, value, validate::check_label_value(value));
            }
        }
        Selector(requirements)
    }

    /// Defaults `policyTypes`: missing or empty means Ingress, plus Egress if there are egress
    /// rules.
    fn read_policy_types(
        &mut self,
        path: &FieldPath,
        types: &[String],
        has_egress_rules: bool,
    ) -> PolicyTypes {
        if types.is_empty() {
            return PolicyTypes {
                ingress: true,
                egress: has_egress_rules,
            };
        }
        if types.len() > 2 {
            let list: Vec<String> = types.iter().map(|t| validate::quoted(t)).collect();
            let list = format!("[{}]", list.join(","));
            self.errors
                .add_invalid(path, list, "may not specify more than two policyTypes");
        } else {
            for (index, name) in types.iter().enumerate() {
                if name != "Ingress" && name != "Egress" {
                    self.errors
                        .add_unsupported(&path.index(index), name, &["Ingress", "Egress"]);
                }
            }
        }
        let has = |wanted: &str| types.iter().any(|name| name == wanted);
        PolicyTypes {
            ingress: has("Ingress"),
            egress: has("Egress"),
        }
    }
}
