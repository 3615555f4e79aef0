//! The connections that the demo attempts, and the hosts between which it does.

pub(crate) const WEB: [&str; 2] = ["10.42.0.11", "fd42::11"];
pub(crate) const DB: [&str; 2] = ["10.42.0.12", "fd42::12"];
pub(crate) const BACKUP: [&str; 2] = ["203.0.113.10", "2001:db8:a::10"];
pub(crate) const STRANGER: [&str; 2] = ["198.51.100.20", "2001:db8:b::20"];
pub(crate) const NODE: [&str; 2] = ["203.0.113.1", "2001:db8:a::1"];

/// The protocol of a connection, and its port.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Tcp(u16),
    Udp(u16),
    Ping,
}

/// A connection that the demo attempts in both families.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) title: &'static str,
    /// Source addresses, IPv4 and IPv6.
    pub(crate) from: [&'static str; 2],
    /// Destination addresses, IPv4 and IPv6.
    pub(crate) to: [&'static str; 2],
    pub(crate) kind: Kind,
    /// Whether policy allows the connection, before and after the edit.
    pub(crate) allowed: [bool; 2],
}

/// All connections of the demo.
pub(crate) const ATTEMPTS: [Attempt; 11] = [
    Attempt {
        title: "external client to web",
        from: BACKUP,
        to: WEB,
        kind: Kind::Tcp(8080),
        allowed: [true, true],
    },
    Attempt {
        title: "excluded network to web",
        from: STRANGER,
        to: WEB,
        kind: Kind::Tcp(8080),
        allowed: [false, true],
    },
    Attempt {
        title: "external client to web, other port",
        from: BACKUP,
        to: WEB,
        kind: Kind::Tcp(9090),
        allowed: [false, false],
    },
    Attempt {
        title: "backup host to db",
        from: BACKUP,
        to: DB,
        kind: Kind::Tcp(5432),
        allowed: [true, false],
    },
    Attempt {
        title: "other host to db",
        from: STRANGER,
        to: DB,
        kind: Kind::Tcp(5432),
        allowed: [false, false],
    },
    Attempt {
        title: "backup host pings db",
        from: BACKUP,
        to: DB,
        kind: Kind::Ping,
        allowed: [true, false],
    },
    Attempt {
        title: "backup host pings web",
        from: BACKUP,
        to: WEB,
        kind: Kind::Ping,
        allowed: [false, false],
    },
    Attempt {
        title: "web queries external DNS",
        from: WEB,
        to: BACKUP,
        kind: Kind::Udp(53),
        allowed: [true, true],
    },
    Attempt {
        title: "web to external host, TCP",
        from: WEB,
        to: BACKUP,
        kind: Kind::Tcp(443),
        allowed: [false, false],
    },
    Attempt {
        title: "db to external host, TCP",
        from: DB,
        to: BACKUP,
        kind: Kind::Tcp(443),
        allowed: [false, false],
    },
    Attempt {
        title: "node to external host, TCP",
        from: NODE,
        to: BACKUP,
        kind: Kind::Tcp(443),
        allowed: [true, true],
    },
];
