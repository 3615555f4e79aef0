//! `bailey explain`: the verdict on a connection, with the deciding rules and, without paths, the state of a
//! running Bailey.

use bailey_policy::{
    Connection, Decider, Direction, IsolatedDirections, OutOfScope, Protocol, Snapshot, Verdict,
};
use bailey_policytest::endpoint::{NamedEndpoint, list_connections};
use bailey_policytest::engine::{Engine, EngineError, Engines};
use serde::Serialize;

use crate::args::{ExplainArgs, Format};
#[cfg(target_os = "linux")]
use crate::commands::explain_live::{LiveAnswer, add_machine_addresses, query_live, show_denials};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::diagnostics::print_diagnostics;
use crate::output::{print_json, print_line, print_yaml};

/// Version of the JSON output.
const SCHEMA_VERSION: u32 = 2;

/// Printed if only files were evaluated.
const FILES_ONLY: &str = "\
files only: blocks, failsafe, floods and flows of a running bailey are not considered";

/// The answer for one pair of addresses.
struct Answer {
    connection: Connection,
    /// The verdict of policy.
    verdict: Verdict,
    /// Why the connection is dropped before policy, on a bridge or on a NIC of this machine.
    out_of_scope: Option<OutOfScope>,
    /// The state of the running Bailey; `None` if only files were evaluated.
    live: Option<LiveAnswer>,
    /// The verdict of policy, scope and live state together.
    is_allowed: bool,
}

/// Evaluates the connections between two endpoints and prints the deciders.
pub(crate) fn explain(args: &ExplainArgs) -> Result<Exit, CommandError> {
    let input = PolicyInput::from_args(&args.input)?;
    let loaded = input.load();
    print_diagnostics(&loaded.diagnostics);
    let Some(snapshot) = loaded.snapshot else {
        return Ok(Exit::Invalid);
    };
    let Some(to) = &args.to else {
        return explain_source(&input, &snapshot, args);
    };
    let connections = resolve_connections(&snapshot, args, to).map_err(CommandError::Usage)?;
    let answers = answer(&snapshot, &input, connections)?;

    let is_allowed = answers.iter().all(|answer| answer.is_allowed);
    match args.output {
        Format::Table => print_answers(&snapshot, &answers, input.config.link_scope().bridge),
        Format::Json | Format::Yaml => {
            let report = Report {
                schema_version: SCHEMA_VERSION,
                verdict: verdict_name(is_allowed),
                connections: answers.iter().map(ConnectionReport::from).collect(),
            };
            match args.output {
                Format::Yaml => print_yaml(&report),
                _ => print_json(&report),
            }
        }
    }
    Ok(match is_allowed {
        true => Exit::Success,
        false => Exit::Negative,
    })
}

/// Combines the verdict of policy, the scope of the link and the live state for every connection.
fn answer(
    snapshot: &Snapshot,
    input: &PolicyInput,
    connections: Vec<Connection>,
) -> Result<Vec<Answer>, CommandError> {
    let verdicts = evaluate(snapshot, &connections, input)?;
    let live = query_live(input, snapshot, &connections)?;

    // The addresses of this machine matter only if this machine enforces the policies.
    let mut scope = input.config.link_scope();
    #[cfg(target_os = "linux")]
    if live.is_some() {
        add_machine_addresses(&mut scope);
    }
    let isolates = IsolatedDirections::from(snapshot);

    let mut live = live.map(Vec::into_iter);
    let answers = connections.into_iter().zip(verdicts);
    Ok(answers
        .map(|(connection, verdict)| {
            let live = live.as_mut().and_then(Iterator::next);
            let out_of_scope = scope.find_exclusion(isolates, &connection);
            // Only a bridge drops every packet out of scope; a host drops some of them.
            let is_in_scope = out_of_scope.is_none() || !scope.bridge;
            let files_allow = verdict.is_allowed();
            let is_allowed = match &live {
                Some(live) => {
                    let policy_allows = live.active_verdict().unwrap_or(files_allow);
                    live.allows(policy_allows && is_in_scope)
                }
                None => files_allow && is_in_scope,
            };
            Answer {
                connection,
                verdict,
                out_of_scope,
                live,
                is_allowed,
            }
        })
        .collect())
}

/// Live state exists on Linux only.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Serialize)]
struct LiveAnswer {}

#[cfg(not(target_os = "linux"))]
impl LiveAnswer {
    fn allows(&self, allows: bool) -> bool {
        allows
    }

    fn active_verdict(&self) -> Option<bool> {
        None
    }

    fn print(&self, _: bool) {}
}

#[cfg(not(target_os = "linux"))]
fn query_live(
    _: &PolicyInput,
    _: &Snapshot,
    _: &[Connection],
) -> Result<Option<Vec<LiveAnswer>>, CommandError> {
    Ok(None)
}

/// Without a destination: the last dropped packets of the source.
fn explain_source(
    input: &PolicyInput,
    snapshot: &Snapshot,
    args: &ExplainArgs,
) -> Result<Exit, CommandError> {
    if input.is_explicit || args.port.is_some() {
        let message = "--to is required with a path or --port; without them, the last dropped packets of --from \
                       are shown";
        return Err(CommandError::Usage(message.to_owned()));
    }
    let addresses = match &args.from {
        NamedEndpoint::Address(address) => vec![*address],
        NamedEndpoint::Object(id) => snapshot
            .endpoint(id)
            .map(|endpoint| endpoint.addresses.clone())
            .ok_or_else(|| CommandError::Usage(format!("--from: no {id} in the inventory")))?,
    };
    #[cfg(target_os = "linux")]
    return show_denials(&input.config, &addresses);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = addresses;
        Err(CommandError::Usage(
            "--to is required on this system".to_owned(),
        ))
    }
}

fn resolve_connections(
    snapshot: &Snapshot,
    args: &ExplainArgs,
    to: &NamedEndpoint,
) -> Result<Vec<Connection>, String> {
    let protocol = bailey_config::parse_protocol(&args.protocol)?;
    let port = match (&args.port, protocol.has_ports()) {
        (None, false) => 0,
        (Some(_), false) => {
            return Err(format!("--port cannot be used with protocol {protocol}"));
        }
        (None, true) => return Err(format!("--port is required for protocol {protocol}")),
        (Some(text), true) => resolve_port(snapshot, to, text, protocol)?,
    };
    list_connections(snapshot, &args.from, to, protocol, port, |_| true)
}

/// Parses a port number, or resolves a port name at the destination.
fn resolve_port(
    snapshot: &Snapshot,
    to: &NamedEndpoint,
    text: &str,
    protocol: Protocol,
) -> Result<u16, String> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return to.resolve_port(snapshot, text, protocol);
    }
    text.parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| format!("port {text} is not between 1 and 65535"))
}

fn evaluate(
    snapshot: &Snapshot,
    connections: &[Connection],
    input: &PolicyInput,
) -> Result<Vec<Verdict>, EngineError> {
    let mut engines = Engines::new(&[Engine::Tables], input.config.limits, None)?;
    let prepared = engines.prepare(snapshot)?;
    connections
        .iter()
        .map(|connection| engines.evaluate(Engine::Tables, &prepared, connection))
        .collect()
}

fn verdict_name(is_allowed: bool) -> &'static str {
    if is_allowed { "allow" } else { "deny" }
}

fn print_answers(snapshot: &Snapshot, answers: &[Answer], is_bridge: bool) {
    for answer in answers {
        print_verdict(snapshot, answer);
        if let Some(out_of_scope) = answer.out_of_scope {
            print_line(&describe_scope(out_of_scope, is_bridge));
        }
        if let Some(live) = &answer.live {
            live.print(answer.verdict.is_allowed());
        }
    }
    if answers.iter().all(|answer| answer.live.is_none()) {
        print_line(FILES_ONLY);
    }
}

fn print_verdict(snapshot: &Snapshot, answer: &Answer) {
    let Answer {
        connection,
        verdict,
        is_allowed,
        ..
    } = answer;
    let endpoint = |address| {
        snapshot
            .endpoint_at(address)
            .map_or_else(String::new, |e| format!(" ({})", e.id))
    };
    print_line(&format!(
        "{}  {}{} -> {}{} {}",
        verdict_name(*is_allowed).to_uppercase(),
        connection.source,
        endpoint(connection.source),
        connection.destination,
        endpoint(connection.destination),
        describe_protocol(connection),
    ));
    for direction in Direction::BOTH {
        let decider = verdict.decider(direction);
        print_line(&format!(
            "  {direction:<8} {:<6} {decider}",
            verdict_name(decider.is_allowed())
        ));
        if let Decider::DefaultDeny(policies) = decider {
            let names: Vec<String> = policies.iter().map(ToString::to_string).collect();
            print_line(&format!("           isolated by {}", names.join(", ")));
        }
    }
}

fn describe_scope(out_of_scope: OutOfScope, is_bridge: bool) -> String {
    let name = out_of_scope.name();
    if is_bridge {
        return format!("  link     deny   {name}");
    }
    let condition = match out_of_scope {
        OutOfScope::Group => "if the packet arrives on a NIC; packets of this machine pass",
        OutOfScope::LinkLocal => "unless this machine is the source or the destination",
        OutOfScope::Spoofed => "if the packet arrives on a NIC: the source is this machine",
    };
    format!("  link     deny   {name}, {condition}")
}

fn describe_protocol(connection: &Connection) -> String {
    match connection.protocol.has_ports() {
        true => format!("{}/{}", connection.protocol, connection.port),
        false => connection.protocol.to_string(),
    }
}

/// The answer in JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema_version: u32,
    verdict: &'static str,
    connections: Vec<ConnectionReport<'a>>,
}

/// One connection in JSON.
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
    /// Why a bridge drops the connection before policy. Elsewhere the reason holds only for some packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'static str>,
    /// State of the running Bailey; absent if only files were evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<&'a LiveAnswer>,
}

/// The decider of one side in JSON.
#[derive(Debug, Serialize)]
struct SideReport {
    verdict: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    isolated_by: Vec<String>,
}

impl<'a> From<&'a Answer> for ConnectionReport<'a> {
    fn from(answer: &'a Answer) -> Self {
        let connection = &answer.connection;
        Self {
            source: connection.source.to_string(),
            destination: connection.destination.to_string(),
            protocol: connection.protocol.to_string(),
            port: connection.protocol.has_ports().then_some(connection.port),
            verdict: verdict_name(answer.is_allowed),
            egress: SideReport::from(answer.verdict.decider(Direction::Egress)),
            ingress: SideReport::from(answer.verdict.decider(Direction::Ingress)),
            link: answer.out_of_scope.map(OutOfScope::name),
            live: answer.live.as_ref(),
        }
    }
}

impl From<&Decider> for SideReport {
    fn from(decider: &Decider) -> Self {
        Self {
            verdict: verdict_name(decider.is_allowed()),
            rule: decider.to_string(),
            isolated_by: decider
                .isolated_by()
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}
