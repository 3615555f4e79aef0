//! Kubernetes' rules for single values, with the error texts of `k8s.io/apimachinery`:
//! `util/validation/field/errors.go`, `api/validate/content`, `util/validation/ip.go`.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use bailey_policy::Labels;
use ipnet::IpNet;

use crate::parse::node::FieldPath;

/// Errors of one object, in the order in which the API server finds them.
#[derive(Debug, Default)]
pub(crate) struct FieldErrors(pub(crate) Vec<(FieldPath, String)>);

impl FieldErrors {
    pub(crate) fn add_required(&mut self, path: &FieldPath, detail: &str) {
        let mut text = String::from("Required value");
        if !detail.is_empty() {
            let _ = write!(text, ": {detail}");
        }
        self.0.push((path.clone(), text));
    }

    pub(crate) fn add_forbidden(&mut self, path: &FieldPath, detail: &str) {
        self.0.push((path.clone(), format!("Forbidden: {detail}")));
    }

    /// `value` is printed as is: the caller quotes strings, and passes numbers bare.
    pub(crate) fn add_invalid(&mut self, path: &FieldPath, value: impl Display, detail: &str) {
        self.0
            .push((path.clone(), format!("Invalid value: {value}: {detail}")));
    }

    pub(crate) fn add_invalid_text(&mut self, path: &FieldPath, value: &str, details: Vec<String>) {
        for detail in details {
            self.add_invalid(path, quoted(value), &detail);
        }
    }

    pub(crate) fn add_unsupported(&mut self, path: &FieldPath, value: &str, supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|s| quoted(s)).collect();
        let text = format!(
            "Unsupported value: {}: supported values: {}",
            quoted(value),
            supported.join(", ")
        );
        self.0.push((path.clone(), text));
    }
}

/// Quotes a string like Go's `%q`.
pub(crate) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

const LABEL_CHARS: &str = "alphanumeric characters, '-', '_' or '.', and must start and end with \
                           an alphanumeric character";

fn is_qualified_part(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty()
        && text.bytes().all(inner)
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.as_bytes()[text.len() - 1].is_ascii_alphanumeric()
}

pub(crate) fn check_label_key(key: &str) -> Vec<String> {
    let example = "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                   '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut errors = Vec::new();
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                errors.extend(
                    check_subdomain(prefix)
                        .into_iter()
                        .map(|e| format!("prefix part {e}")),
                );
            }
            name
        }
        _ => {
            return vec![format!(
                "a valid label key must consist of {LABEL_CHARS} {example} with an optional DNS \
                 subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_qualified_part(name) {
        errors.push(format!("name part must consist of {LABEL_CHARS} {example}"));
    }
    errors
}

pub(crate) fn check_label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_qualified_part(value) {
        errors.push(format!(
            "a valid label must be an empty string or consist of {LABEL_CHARS} (e.g. 'MyValue',  \
             or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ));
    }
    errors
}

/// Validates `metadata.labels`.
pub(crate) fn check_labels(labels: &Labels, errors: &mut FieldErrors) {
    let path = FieldPath::of(&["metadata", "labels"]);
    for (key, value) in labels.iter() {
        errors.add_invalid_text(&path, key, check_label_key(key));
        errors.add_invalid_text(&path, value, check_label_value(value));
    }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Validates an RFC 1123 subdomain: the names of most objects.
pub(crate) fn check_subdomain(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 253 {
        errors.push("must be no more than 253 bytes".to_owned());
    }
    if !name.split('.').all(is_dns_label) {
        errors.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    errors
}

/// Validates an RFC 1123 label: the names of namespaces.
pub(crate) fn check_dns_label(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 63 {
        errors.push("must be no more than 63 bytes".to_owned());
    }
    if !is_dns_label(name) {
        errors.push(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

pub(crate) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// Converts a port number; `None` unless it is in 1 to 65535.
pub(crate) fn parse_port(value: i64) -> Option<u16> {
    u16::try_from(value).ok().filter(|&port| port != 0)
}

pub(crate) fn check_port_name(name: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if name.len() > 15 {
        errors.push("must be no more than 15 bytes");
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || !name.bytes().all(allowed) {
        errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        errors.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        errors.push("must not begin or end with a hyphen");
    }
    errors.into_iter().map(str::to_owned).collect()
}

/// A parsed CIDR, and the objection of strict validation to its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cidr {
    /// As written, including host bits.
    pub(crate) written: IpNet,
    /// Without host bits.
    pub(crate) net: IpNet,
    /// The error text of strict validation.
    pub(crate) objection: Option<&'static str>,
}

pub(crate) const CIDR_INVALID: &str =
    "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
const LEADING_ZEROS: &str = "must not have leading 0s in IP or prefix length";
const MAPPED: &str = "must not have an IPv4-mapped IPv6 address";
const HOST_BITS: &str = "must not have bits set beyond the prefix length";

/// Parses a CIDR like `ParseCIDRSloppy`, with the objection of `netip.ParsePrefix` and the strict
/// checks that follow it; `None` if the CIDR is invalid.
pub(crate) fn parse_cidr(text: &str) -> Option<Cidr> {
    let (address, len) = text.split_once('/')?;
    if len.is_empty() || len.len() > 4 || !len.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let prefix_len: u8 = len.parse().ok()?;
    let sloppy = without_leading_zeros(address);
    let parsed: IpAddr = sloppy.parse().ok()?;
    let net = IpNet::new(parsed, prefix_len).ok()?;
    let mapped = matches!(parsed, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    let objection = if sloppy != address || (len.len() > 1 && len.starts_with('0')) {
        Some(LEADING_ZEROS)
    } else if mapped {
        Some(MAPPED)
    } else if net.addr() != net.network() {
        Some(HOST_BITS)
    } else {
        None
    };
    Some(Cidr {
        written: net,
        net: net.trunc(),
        objection,
    })
}

impl Cidr {
    /// Whether lenient reading accepts the CIDR, masked.
    pub(crate) fn can_be_masked(&self) -> bool {
        self.objection != Some(MAPPED)
    }

    /// The API server's warning about a CIDR that it accepts (`GetWarningsForCIDR`).
    pub(crate) fn warning(&self, text: &str) -> Option<String> {
        let (value, net) = (quoted(text), self.net);
        match self.objection {
            Some(HOST_BITS) => {
                let host = IpNet::from(self.written.addr());
                Some(format!(
                    "CIDR value {value} is ambiguous in this context (should be \"{net}\" or \
                     \"{host}\"?)"
                ))
            }
            Some(LEADING_ZEROS) => Some(format!(
                "non-standard CIDR value {value} will be considered invalid in a future \
                 Kubernetes release: use \"{net}\""
            )),
            None if text != net.to_string() => Some(format!(
                "IPv6 CIDR value {value} should be in RFC 5952 canonical format (suggestion: \
                 \"{net}\")"
            )),
            _ => None,
        }
    }
}

/// Rewrites `010.001.2.3` as `10.1.2.3`: decimal, like old versions of Go. Leading zeros are valid
/// in IPv6 groups, so IPv6 addresses stay unchanged.
fn without_leading_zeros(address: &str) -> String {
    if address.contains(':') {
        return address.to_owned();
    }
    let octets = address.split('.').map(|octet| {
        let trimmed = octet.trim_start_matches('0');
        if trimmed.is_empty() && !octet.is_empty() {
            "0"
        } else {
            trimmed
        }
    });
    octets.collect::<Vec<_>>().join(".")
}

/// Parses an address in the only spelling that Kubernetes accepts: no leading zeros, not
/// IPv4-mapped.
pub(crate) fn parse_address(text: &str) -> Result<IpAddr, &'static str> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(six)) if six.to_ipv4_mapped().is_some() => Err(MAPPED),
        Ok(address) => Ok(address),
        Err(_) if without_leading_zeros(text).parse::<IpAddr>().is_ok() => {
            Err("must not have leading 0s")
        }
        Err(_) => Err("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cidr_spellings_get_their_objections() {
        for (text, net, objection) in [
            ("10.0.0.0/8", "10.0.0.0/8", None),
            ("10.0.0.1/8", "10.0.0.0/8", Some(HOST_BITS)),
            ("010.0.0.0/8", "10.0.0.0/8", Some(LEADING_ZEROS)),
            ("10.0.0.0/08", "10.0.0.0/8", Some(LEADING_ZEROS)),
            ("0.0.0.0/0", "0.0.0.0/0", None),
            ("::/0", "::/0", None),
            ("2001:db8::1/64", "2001:db8::/64", Some(HOST_BITS)),
            ("2001:DB8:0::/64", "2001:db8::/64", None),
            ("::ffff:10.0.0.0/104", "::ffff:a00:0/104", Some(MAPPED)),
        ] {
            let read = parse_cidr(text).unwrap();
            assert_eq!(
                (read.net, read.objection),
                (net.parse().unwrap(), objection),
                "{text}"
            );
        }
        for text in [
            "x",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "/8",
            "::/129",
            "10..0.0/8",
        ] {
            assert_eq!(parse_cidr(text), None, "{text}");
        }
    }

    #[test]
    fn invalid_port_names_get_the_api_servers_errors() {
        let errors = |name: &str| check_port_name(name).len();
        assert_eq!(errors("http"), 0);
        assert_eq!(
            check_port_name("80"),
            ["must contain at least one letter (a-z)"]
        );
        assert_eq!(
            check_port_name("a-very-long-port-name"),
            ["must be no more than 15 bytes"]
        );
        assert_eq!(
            check_port_name("a--b"),
            ["must not contain consecutive hyphens"]
        );
        assert_eq!(
            check_port_name("-a"),
            ["must not begin or end with a hyphen"]
        );
        assert_eq!(
            check_port_name("HTTP"),
            [
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "must contain at least one letter (a-z)"
            ]
        );
    }

    #[test]
    fn invalid_label_keys_get_the_api_servers_errors() {
        assert!(check_label_key("app").is_empty());
        assert!(check_label_key("example.com/app").is_empty());
        assert!(check_label_key("a b")[0].starts_with("name part must consist of alphanumeric"));
        assert_eq!(check_label_key("x/")[0], "name part must be non-empty");
        assert_eq!(check_label_key("/x")[0], "prefix part must be non-empty");
        assert!(check_label_key("a/b/c")[0].starts_with("a valid label key must consist of"));
    }
}
