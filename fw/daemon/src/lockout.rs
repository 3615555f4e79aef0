use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use bailey_config::Failsafe;
use bailey_policy::{Connection, Decider, Protocol, Snapshot, oracle};

/// An SSH session into this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshSession {
    /// Where the operator sits.
    pub client: SocketAddr,
    /// The address and port of this machine that they came in through.
    pub server: SocketAddr,
}

impl SshSession {
    /// The session of whoever started this process. `sudo` takes `SSH_CONNECTION` away, so the
    /// environments of the parents are asked too.
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

    /// sshd's form: client address and port, server address and port.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut side = || {
            let address: IpAddr = words.next()?.split('%').next()?.parse().ok()?;
            let port = words.next()?.parse().ok()?;
            Some(SocketAddr::new(address.to_canonical(), port))
        };
        Some(Self {
            client: side()?,
            server: side()?,
        })
    }
}

fn parent_of(process: &str) -> Option<u32> {
    let path: PathBuf = ["/proc", process, "status"].iter().collect();
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// What these policies would do to an SSH session, if that is not good; with the rule and the line
/// of configuration that prevents it.
pub fn warning(
    snapshot: &Snapshot,
    session: SshSession,
    failsafe: &[Failsafe],
    tcp_strict: bool,
) -> Option<String> {
    let SshSession { client, server } = session;
    if client.ip().is_loopback() {
        return None;
    }
    let covered = |entry: &Failsafe| entry.covers(client.ip(), Protocol::TCP, server.port());
    if failsafe.iter().any(covered) {
        return None;
    }
    let connection = |from: SocketAddr, to: SocketAddr| Connection {
        source: from.ip(),
        destination: to.ip(),
        protocol: Protocol::TCP,
        port: to.port(),
    };
    let there = oracle::evaluate(snapshot, &connection(client, server));
    let back = oracle::evaluate(snapshot, &connection(server, client));
    let bits = if client.is_ipv4() { 32 } else { 128 };
    let advice = format!(
        "to keep the way in: failsafe = [{{ cidr = \"{}/{bits}\", port = {} }}]",
        client.ip(),
        server.port()
    );
    let session = format!("your SSH session from {} to {}", client.ip(), server);
    if !there.is_allowed() {
        let denying = [&there.egress, &there.ingress]
            .into_iter()
            .find(|decider| !decider.is_allowed())
            .map(describe)
            .unwrap_or_default();
        return Some(format!(
            "LOCK-OUT: {session} would be cut off by {denying}; {advice}"
        ));
    }
    let deciders = [&there.egress, &there.ingress, &back.egress, &back.ingress];
    let isolating = deciders
        .into_iter()
        .find(|decider| matches!(decider, Decider::Rule(_) | Decider::DefaultDeny(_)));
    let why = match isolating {
        Some(decider) => format!("{} isolates an end of it", describe(decider)),
        None if tcp_strict => "tcp_strict lets only a SYN open a flow".to_owned(),
        None => return None,
    };
    Some(format!(
        "{session} will hang when Bailey is first attached, since {why}; a new session is \
         allowed; {advice}"
    ))
}

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
    fn sshd_says_who_is_there() {
        let session = SshSession::parse(SESSION).unwrap();
        assert_eq!(session.client, "192.0.2.7:51000".parse().unwrap());
        assert_eq!(session.server, "10.0.0.1:22".parse().unwrap());
        let mapped = SshSession::parse("fe80::1%eth0 1 ::ffff:10.0.0.1 22").unwrap();
        assert_eq!(mapped.server, "10.0.0.1:22".parse().unwrap());
        assert_eq!(SshSession::parse("nonsense"), None);
    }

    #[test]
    fn a_policy_that_cuts_the_caller_off_is_named_with_the_remedy() {
        let session = SshSession::parse(SESSION).unwrap();
        let policies = workload("ingress: []");
        let text = warning(&policies, session, &[], false).unwrap();
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
        assert_eq!(warning(&policies, session, &[failsafe(22)], false), None);
        assert!(warning(&policies, session, &[failsafe(23)], false).is_some());
    }

    #[test]
    fn a_session_that_is_allowed_but_isolated_hangs_once() {
        let session = SshSession::parse(SESSION).unwrap();
        let policies = workload("ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]");
        let text = warning(&policies, session, &[], false).unwrap();
        assert!(
            !text.contains("LOCK-OUT") && text.contains("x/p ingress[0]"),
            "{text}"
        );
        let egress = workload("policyTypes: [Egress], egress: [{}]");
        assert!(warning(&egress, session, &[], false).is_some());
    }

    #[test]
    fn where_nothing_isolates_nothing_is_said() {
        let session = SshSession::parse(SESSION).unwrap();
        let other = SshSession::parse("192.0.2.7 51000 10.0.0.9 22").unwrap();
        assert_eq!(warning(&workload("ingress: []"), other, &[], false), None);
        assert!(warning(&workload("ingress: []"), other, &[], true).is_some());
        let local = SshSession::parse("127.0.0.1 51000 127.0.0.1 22").unwrap();
        assert_eq!(warning(&workload("ingress: []"), local, &[], false), None);
        assert_ne!(warning(&workload("ingress: []"), session, &[], false), None);
    }
}
