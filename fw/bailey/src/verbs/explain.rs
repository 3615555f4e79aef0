use bailey_policy::{Connection, Decider, Direction, Protocol, Snapshot, Verdict};
use serde::Serialize;

use crate::cli::{Explain, Format};
use crate::engine::{Engine, Engines};
use crate::exit::Exit;
use crate::load::{load_source, print_diagnostics};
use crate::output::{json, line};
use crate::target::{self, connections};

/// Judges a connection on the compiled tables and says what decided.
pub(crate) fn explain(options: &Explain) -> Exit {
    let loaded = match load_source(&options.source) {
        Ok((_, loaded)) => loaded,
        Err(exit) => return exit,
    };
    print_diagnostics(&loaded.diagnostics);
    let Some(snapshot) = loaded.snapshot else {
        return Exit::Invalid;
    };
    let judged = asked(&snapshot, options)
        .and_then(|asked| judge(&snapshot, asked).map_err(|error| error.to_string()));
    let answers = match judged {
        Ok(answers) => answers,
        Err(message) => {
            eprintln!("error: {message}");
            return Exit::Invalid;
        }
    };
    let allowed = answers.iter().all(|(_, verdict)| verdict.allows());
    match options.output {
        Format::Table => answers
            .iter()
            .for_each(|(c, verdict)| print(&snapshot, c, verdict)),
        Format::Json => json(&Report {
            schema_version: 1,
            verdict: word(allowed),
            connections: answers
                .iter()
                .map(|(c, verdict)| connection(c, verdict))
                .collect(),
        }),
    }
    if allowed {
        Exit::Success
    } else {
        Exit::Negative
    }
}

fn asked(snapshot: &Snapshot, options: &Explain) -> Result<Vec<Connection>, String> {
    let protocol = target::protocol(&options.protocol)?;
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
) -> Result<Vec<(Connection, Verdict)>, crate::engine::EngineError> {
    let mut engines = Engines::new(&[Engine::Tables])?;
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

fn print(snapshot: &Snapshot, connection: &Connection, verdict: &Verdict) {
    let who = |address| {
        snapshot
            .endpoint_at(address)
            .map_or_else(String::new, |e| format!(" ({})", e.id))
    };
    line(&format!(
        "{}  {}{} -> {}{} {}",
        word(verdict.allows()).to_uppercase(),
        connection.source,
        who(connection.source),
        connection.destination,
        who(connection.destination),
        describe(connection),
    ));
    for direction in Direction::BOTH {
        let decider = verdict.side(direction);
        line(&format!(
            "  {direction:<8} {:<6} {decider}",
            word(decider.allows())
        ));
        if let Decider::DefaultDeny(policies) = decider {
            let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
            line(&format!("           isolated by {}", names.join(", ")));
        }
    }
}

fn describe(connection: &Connection) -> String {
    match connection.protocol.has_ports() {
        true => format!("{}/{}", connection.protocol, connection.port),
        false => connection.protocol.to_string(),
    }
}

#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    verdict: &'static str,
    connections: Vec<ConnectionReport>,
}

#[derive(Debug, Serialize)]
struct ConnectionReport {
    source: String,
    destination: String,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    verdict: &'static str,
    egress: SideReport,
    ingress: SideReport,
}

#[derive(Debug, Serialize)]
struct SideReport {
    verdict: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    isolated_by: Vec<String>,
}

fn connection(connection: &Connection, verdict: &Verdict) -> ConnectionReport {
    let side = |direction| {
        let decider = verdict.side(direction);
        let isolated_by = match decider {
            Decider::DefaultDeny(policies) => policies.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        SideReport {
            verdict: word(decider.allows()),
            rule: decider.to_string(),
            isolated_by,
        }
    };
    ConnectionReport {
        source: connection.source.to_string(),
        destination: connection.destination.to_string(),
        protocol: connection.protocol.to_string(),
        port: connection.protocol.has_ports().then_some(connection.port),
        verdict: word(verdict.allows()),
        egress: side(Direction::Egress),
        ingress: side(Direction::Ingress),
    }
}
