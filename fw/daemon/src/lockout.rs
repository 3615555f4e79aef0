//! Lock-out check: evaluates the operator's own SSH session against a policy set. Advises; never
//! blocks an installation.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use bailey_config::Failsafe;
use bailey_policy::{Connection, Decider, Protocol, Snapshot, oracle};

/// An SSH session into this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshSession {
    /// Address and port of the operator's side.
    pub client: SocketAddr,
    /// Address and port of this machine.
    pub server: SocketAddr,
}

impl SshSession {
    /// The session that this process runs in, if any. Reads the environments of parent processes
    /// too, because `sudo` removes `SSH_CONNECTION`.
    pub fn detect() -> Option<Self> {
        if let Ok(text) = std::env::var("SSH_CONNECTION") {
            return Self::parse(&text);
        }
        let mut pid = parent_of("self")?;
        while pid > 1 {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let mut variables = environment.split(|&b| b == 0);
            if let Some(value) = variables.find_map(|v| v.strip_prefix(b"SSH_CONNECTION=")) {
                return Self::parse(&String::from_utf8_lossy(value));
            }
            pid = parent_of(&pid.to_string())?;
        }
        None
    }

    /// Parses `SSH_CONNECTION`: client address and port, server address and port.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_whitespace();
        let mut next_address = || {
            // A link-local address has a zone.
            let address: IpAddr = fields.next()?.split('%').next()?.parse().ok()?;
            let port = fields.next()?.parse().ok()?;
            Some(SocketAddr::new(address.to_canonical(), port))
        };
        Some(Self {
            client: next_address()?,
            server: next_address()?,
        })
    }
}

/// The parent of a process, from proc_pid_status(5).
fn parent_of(process: &str) -> Option<u32> {
    let path: PathBuf = ["/proc", process, "status"].iter().collect();
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// A warning if these policies would cut off or hang an SSH session. Names the deciding rule and
/// the failsafe entry that prevents it. `tcp_strict` is the setting of that name.
pub fn find_warning(
    snapshot: &Snapshot,
    session: SshSession,
    failsafe: &[Failsafe],
    tcp_strict: bool,
) -> Option<String> {
    // Loopback traffic and failsafe traffic pass regardless of policy.
    let SshSession { client, server } = session;
    if client.ip().is_loopback() {
        return None;
    }
    let is_covered = |entry: &Failsafe| entry.covers(client.ip(), Protocol::TCP, server.port());
    if failsafe.iter().any(is_covered) {
        return None;
    }

    // Evaluate both directions: at the first attachment, no flow tells which side opened the
    // connection.
    let connection = |from: SocketAddr, to: SocketAddr| Connection {
        source: from.ip(),
        destination: to.ip(),
        protocol: Protocol::TCP,
        port: to.port(),
    };
    let inbound = oracle::evaluate(snapshot, &connection(client, server));
    let outbound = oracle::evaluate(snapshot, &connection(server, client));
    let bits = if client.is_ipv4() { 32 } else { 128 };
    let advice = format!(
        "to keep access, add failsafe = [{{ cidr = \"{}/{bits}\", port = {} }}]",
        client.ip(),
        server.port()
    );

    // A denied session ends.
    let session = format!("your SSH session from {} to {}", client.ip(), server);
    if !inbound.is_allowed() {
        let denying = [&inbound.egress, &inbound.ingress]
            .into_iter()
            .find(|decider| !decider.is_allowed())
            .map(describe)
            .unwrap_or_default();
        return Some(format!(
            "LOCK-OUT: {session} would be cut off by {denying}; {advice}"
        ));
    }

    // An allowed session hangs at the first attachment if its running connection cannot be picked
    // up midstream.
    let deciders = [
        &inbound.egress,
        &inbound.ingress,
        &outbound.egress,
        &outbound.ingress,
    ];
    let isolating = deciders
        .into_iter()
        .find(|decider| matches!(decider, Decider::Rule(_) | Decider::DefaultDeny(_)));
    let cause = match isolating {
        Some(decider) => format!("{} isolates one of its endpoints", describe(decider)),
        None if tcp_strict => "tcp_strict permits only a SYN to create a flow".to_owned(),
        None => return None,
    };
    Some(format!(
        "{session} will hang when Bailey is first attached, because {cause}; a new \
         session is allowed; {advice}"
    ))
}

/// The decider as text; a default-deny with its policies.
fn describe(decider: &Decider) -> String {
    match decider {
        Decider::DefaultDeny(policies) => {
            let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
            format!("default-deny ({})", names.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "192.0.2.7 51000 10.0.0.1 22";

    fn snapshot(text: &str) -> Snapshot {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("p.yaml"), text).unwrap();
        let paths = [directory.path().to_owned()];
        let loaded = bailey_source::load_paths(&paths, false, false, |files| {
            bailey_source::load_snapshot(
                files,
                bailey_source::Strictness::Strict,
                bailey_source::ReadLimits::default(),
                &bailey_source::DeclaredPrefixes::default(),
            )
        });
        loaded.snapshot.unwrap()
    }

    fn workload(rules: &str) -> Snapshot {
        snapshot(&format!(
            "apiVersion: bailey.dev/v1\nkind: Workload\n\
             metadata: {{name: me, namespace: x}}\nspec: {{addresses: [10.0.0.1]}}\n---\n\
             apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{name: p, namespace: x}}\nspec: {{podSelector: {{}}, {rules}}}\n"
        ))
    }

    #[test]
    fn ssh_connection_is_parsed() {
        let session = SshSession::parse(SESSION).unwrap();
        assert_eq!(session.client, "192.0.2.7:51000".parse().unwrap());
        assert_eq!(session.server, "10.0.0.1:22".parse().unwrap());
        let mapped = SshSession::parse("fe80::1%eth0 1 ::ffff:10.0.0.1 22").unwrap();
        assert_eq!(mapped.server, "10.0.0.1:22".parse().unwrap());
        assert_eq!(SshSession::parse("nonsense"), None);
    }

    #[test]
    fn lockout_names_policy_and_failsafe_entry() {
        let session = SshSession::parse(SESSION).unwrap();
        let policies = workload("ingress: []");
        let text = find_warning(&policies, session, &[], false).unwrap();
        assert!(
            text.contains("LOCK-OUT") && text.contains("default-deny (x/p)"),
            "{text}"
        );
        assert!(
            text.contains("failsafe = [{ cidr = \"192.0.2.7/32\", port = 22 }]"),
            "{text}"
        );
        let failsafe = |port| Failsafe {
            cidr: "192.0.2.0/24".parse().unwrap(),
            protocol: Protocol::TCP,
            port,
        };
        assert_eq!(
            find_warning(&policies, session, &[failsafe(22)], false),
            None
        );
        assert!(find_warning(&policies, session, &[failsafe(23)], false).is_some());
    }

    #[test]
    fn allowed_session_of_isolated_endpoint_hangs_once() {
        let session = SshSession::parse(SESSION).unwrap();
        let policies = workload("ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]");
        let text = find_warning(&policies, session, &[], false).unwrap();
        assert!(
            !text.contains("LOCK-OUT") && text.contains("x/p ingress[0]"),
            "{text}"
        );
        let egress = workload("policyTypes: [Egress], egress: [{}]");
        assert!(find_warning(&egress, session, &[], false).is_some());
    }

    #[test]
    fn unisolated_or_local_session_causes_no_warning() {
        let session = SshSession::parse(SESSION).unwrap();
        let other = SshSession::parse("192.0.2.7 51000 10.0.0.9 22").unwrap();
        assert_eq!(
            find_warning(&workload("ingress: []"), other, &[], false),
            None
        );
        assert!(find_warning(&workload("ingress: []"), other, &[], true).is_some());
        let local = SshSession::parse("127.0.0.1 51000 127.0.0.1 22").unwrap();
        assert_eq!(
            find_warning(&workload("ingress: []"), local, &[], false),
            None
        );
        assert_ne!(
            find_warning(&workload("ingress: []"), session, &[], false),
            None
        );
    }
}
