use bailey_policy::{
    Connection, Decider, Direction, IsolatedDirections, OutOfScope, Protocol, Snapshot, Verdict,
};
use bailey_policytest::engine::{Engine, Engines};
use bailey_policytest::endpoint::connections;
use serde::Serialize;

use crate::args::{Explain, Format};
#[cfg(target_os = "linux")]
use crate::commands::explain_live::{Here, here};
use crate::exit::Exit;
use crate::input::Named;
use crate::output::complain;
use crate::output::diagnostics::print_diagnostics;
use crate::output::{json, line, yaml};

/// Judges a connection on the compiled tables and says what decided; without paths, also what a
/// Bailey that runs here has to say of it.
pub(crate) fn explain(options: &Explain) -> Exit {
    let named = match Named::by(&options.source) {
        Ok(named) => named,
        Err(exit) => return exit,
    };
    let loaded = named.load();
    print_diagnostics(&loaded.diagnostics);
    let Some(snapshot) = loaded.snapshot else {
        return Exit::Invalid;
    };
    let asked = match asked(&snapshot, options) {
        Ok(asked) => asked,
        Err(message) => {
            complain!("error: {message}");
            return Exit::Usage;
        }
    };
    let answers = match judge(&snapshot, asked, &named) {
        Ok(answers) => answers,
        Err(error) => {
            complain!("error: {error}");
            return Exit::Invalid;
        }
    };
    let here = match here(&named, &snapshot, &answers) {
        Ok(here) => here,
        Err(exit) => return exit,
    };
    let mut scope = named.config.link_scope();
    #[cfg(target_os = "linux")]
    if !here.is_empty() {
        super::explain_live::know_machine(&mut scope);
    }
    let isolates = IsolatedDirections::from(&snapshot);
    let scopes: Vec<Option<OutOfScope>> = answers
        .iter()
        .map(|(connection, _)| scope.find_exclusion(isolates, connection))
        .collect();
    let allows = |at: usize, verdict: &Verdict| {
        let policy = verdict.is_allowed() && (scopes[at].is_none() || !scope.bridge);
        here.get(at).map_or(policy, |here| here.allows(policy))
    };
    let verdicts: Vec<bool> = answers
        .iter()
        .enumerate()
        .map(|(at, (_, verdict))| allows(at, verdict))
        .collect();
    let allowed = verdicts.iter().all(|&allowed| allowed);
    match options.output {
        Format::Table => {
            for (at, (connection, verdict)) in answers.iter().enumerate() {
                print(&snapshot, connection, verdict, verdicts[at]);
                if let Some(out) = scopes[at] {
                    line(&describe_scope(out, scope.bridge));
                }
                if let Some(here) = here.get(at) {
                    here.print();
                }
            }
            if here.is_empty() {
                line(UNKNOWN);
            }
        }
        Format::Json | Format::Yaml => {
            let connections = answers.iter().enumerate();
            let report = Report {
                schema_version: SCHEMA_VERSION,
                verdict: word(allowed),
                connections: connections
                    .map(|(at, (c, verdict))| ConnectionReport {
                        link: scopes[at].map(OutOfScope::name),
                        ..connection(c, verdict, verdicts[at], here.get(at))
                    })
                    .collect(),
            };
            match options.output {
                Format::Yaml => yaml(&report),
                _ => json(&report),
            }
        }
    }
    if allowed {
        Exit::Success
    } else {
        Exit::Negative
    }
}

/// The version of what is printed as JSON.
const SCHEMA_VERSION: u32 = 2;

/// Said where only files were asked.
const UNKNOWN: &str = "\
these files alone: blocks, failsafe, floods and flows of a running bailey are not known to them";

/// Nothing runs here.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Serialize)]
struct Here {}

#[cfg(not(target_os = "linux"))]
impl Here {
    fn allows(&self, policy: bool) -> bool {
        policy
    }

    fn print(&self) {}
}

#[cfg(not(target_os = "linux"))]
fn here(_: &Named, _: &Snapshot, _: &[(Connection, Verdict)]) -> Result<Vec<Here>, Exit> {
    Ok(Vec::new())
}

fn asked(snapshot: &Snapshot, options: &Explain) -> Result<Vec<Connection>, String> {
    let protocol = bailey_config::parse_protocol(&options.protocol)?;
    let port = match (&options.port, protocol.has_ports()) {
        (None, false) => 0,
        (Some(_), false) => return Err(format!("--port does not go with protocol {protocol}")),
        (None, true) => return Err(format!("--port is needed for {protocol}")),
        (Some(text), true) => port(snapshot, options, text, protocol)?,
    };
    connections(snapshot, &options.from, &options.to, protocol, port, |_| {
        true
    })
}

fn port(
    snapshot: &Snapshot,
    options: &Explain,
    text: &str,
    protocol: Protocol,
) -> Result<u16, String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return options.to.named_port(snapshot, text, protocol);
    }
    text.parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| format!("port {text} is not between 1 and 65535"))
}

fn judge(
    snapshot: &Snapshot,
    connections: Vec<Connection>,
    named: &Named,
) -> Result<Vec<(Connection, Verdict)>, bailey_policytest::engine::EngineError> {
    let mut engines = Engines::new(&[Engine::Tables], named.config.limits, None)?;
    let prepared = engines.prepare(snapshot)?;
    connections
        .into_iter()
        .map(|c| {
            engines
                .judge(Engine::Tables, &prepared, &c)
                .map(|verdict| (c, verdict))
        })
        .collect()
}

fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

fn print(snapshot: &Snapshot, connection: &Connection, verdict: &Verdict, allowed: bool) {
    let who = |address| {
        snapshot
            .endpoint_at(address)
            .map_or_else(String::new, |e| format!(" ({})", e.id))
    };
    line(&format!(
        "{}  {}{} -> {}{} {}",
        word(allowed).to_uppercase(),
        connection.source,
        who(connection.source),
        connection.destination,
        who(connection.destination),
        describe(connection),
    ));
    for direction in Direction::BOTH {
        let decider = verdict.decider(direction);
        line(&format!(
            "  {direction:<8} {:<6} {decider}",
            word(decider.is_allowed())
        ));
        if let Decider::DefaultDeny(policies) = decider {
            let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
            line(&format!("           isolated by {}", names.join(", ")));
        }
    }
}

fn describe_scope(out: OutOfScope, bridge: bool) -> String {
    let name = out.name();
    if bridge {
        return format!("  link     deny   {name}");
    }
    let rest = match out {
        OutOfScope::Group => "of what comes in through a NIC; what leaves has its sender's leave",
        OutOfScope::LinkLocal => "unless this machine itself is meant",
        OutOfScope::Spoofed => "where it comes in through a NIC: the source is this machine's own",
    };
    format!("  link     deny   {name}, {rest}")
}

fn describe(connection: &Connection) -> String {
    match connection.protocol.has_ports() {
        true => format!("{}/{}", connection.protocol, connection.port),
        false => connection.protocol.to_string(),
    }
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema_version: u32,
    verdict: &'static str,
    connections: Vec<ConnectionReport<'a>>,
}

#[derive(Debug, Serialize)]
struct ConnectionReport<'a> {
    source: String,
    destination: String,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    verdict: &'static str,
    egress: SideReport,
    ingress: SideReport,
    /// Why a group or a link-local address closes it on a bridge, and elsewhere where the machine itself
    /// is not meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'static str>,
    /// What a running Bailey knows; absent where only files were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'a Here>,
}

#[derive(Debug, Serialize)]
struct SideReport {
    verdict: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    isolated_by: Vec<String>,
}

fn connection<'a>(
    connection: &Connection,
    verdict: &Verdict,
    allowed: bool,
    live: Option<&'a Here>,
) -> ConnectionReport<'a> {
    let side = |direction| {
        let decider = verdict.decider(direction);
        let isolated_by = match decider {
            Decider::DefaultDeny(policies) => policies.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        SideReport {
            verdict: word(decider.is_allowed()),
            rule: decider.to_string(),
            isolated_by,
        }
    };
    ConnectionReport {
        source: connection.source.to_string(),
        destination: connection.destination.to_string(),
        protocol: connection.protocol.to_string(),
        port: connection.protocol.has_ports().then_some(connection.port),
        verdict: word(allowed),
        link: None,
        live,
        egress: side(Direction::Egress),
        ingress: side(Direction::Ingress),
    }
}
