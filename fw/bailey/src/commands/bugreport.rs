//! `bailey bugreport`: an archive of all that a maintainer asks for.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use bailey_config::{Config, DEFAULT_PATH};
use bailey_policy::Snapshot;
use tar::{Builder, Header};

use crate::args::BugreportArgs;
use crate::commands::query::read_config;
use crate::commands::redaction::Redaction;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::print_line;

/// Files of the archive, and the arguments of this program that print them.
const PARTS: &[(&str, &[&str])] = &[
    ("version.txt", &["--version"]),
    ("status.json", &["status", "-o", "json"]),
    ("doctor.json", &["doctor", "-o", "json"]),
    ("rules.json", &["rules", "-o", "json"]),
    ("counters.json", &["counters", "-o", "json"]),
    (
        "conntrack-stats.json",
        &["conntrack", "stats", "-o", "json"],
    ),
    ("conntrack-top.json", &["conntrack", "top", "-o", "json"]),
    ("blocks.json", &["blocks", "-o", "json"]),
    ("top.json", &["top", "-b", "-o", "json"]),
    (
        "records.ndjson",
        &["observe", "--last", "1000", "-o", "json"],
    ),
    ("check.txt", &["check"]),
];
/// Lines of the log.
const LOG_LINES: &str = "2000";

/// Writes the archive.
pub(crate) fn write_report(args: &BugreportArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let snapshot = PolicyInput::of_config(config.clone()).load().snapshot;
    let mut redaction = args.redact.then(|| redaction_of(snapshot.as_ref()));
    let path = args
        .output
        .clone()
        .unwrap_or_else(|| default_path(args.redact));
    let failed = |error: io::Error| CommandError::Archive(path.clone(), error);

    let mut files = collect(&config, args.config.config.as_deref());
    if let Some(redaction) = &mut redaction {
        for (_, text) in &mut files {
            *text = redaction.apply(text);
        }
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let mut archive = Builder::new(file.map_err(failed)?);
    for (name, text) in &files {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        let added = archive.append_data(
            &mut header,
            Path::new("bailey-report").join(name),
            text.as_bytes(),
        );
        added.map_err(failed)?;
    }
    let mut file = archive.into_inner().map_err(failed)?;
    file.flush().map_err(failed)?;
    print_line(&path.display().to_string());
    Ok(Exit::Success)
}

/// Names and texts of all files. A part that cannot be had has the reason as its text.
fn collect(config: &Config, config_path: Option<&Path>) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (name, arguments) in PARTS {
        files.push(((*name).to_owned(), run_self(arguments, config_path)));
    }
    let config_path = config_path.unwrap_or_else(|| Path::new(DEFAULT_PATH));
    let text = fs::read_to_string(config_path);
    let text = text.unwrap_or_else(|error| format!("{}: {error}\n", config_path.display()));
    files.push(("bailey.toml".to_owned(), text));
    files.push((
        "settings.txt".to_owned(),
        format!("{:#?}\n", config.settings()),
    ));
    files.push((
        "kernel.txt".to_owned(),
        run(Command::new("uname").arg("-a")),
    ));
    let log =
        run(Command::new("journalctl").args(["-u", "bailey", "-n", LOG_LINES, "-o", "short-iso"]));
    files.push(("log.txt".to_owned(), log));
    files
}

fn run_self(arguments: &[&str], config: Option<&Path>) -> String {
    let Ok(program) = std::env::current_exe() else {
        return "this program has no path\n".to_owned();
    };
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(config) = config {
        command.env("BAILEY_CONFIG", config);
    }
    run(&mut command)
}

/// Output of a command; with its messages and its exit status, if it fails.
fn run(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return format!("{}: {error}\n", command.get_program().to_string_lossy()),
    };
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || text.is_empty() {
        text += &format!(
            "{}{}\n",
            String::from_utf8_lossy(&output.stderr),
            output.status
        );
    }
    text
}

fn default_path(is_redacted: bool) -> PathBuf {
    let time = bailey_clock::rfc3339().replace(':', "");
    let kind = if is_redacted { "-redacted" } else { "" };
    format!("bailey-report{kind}-{time}.tar").into()
}

/// Names of the inventory and of the policies, and of this machine.
fn redaction_of(snapshot: Option<&Snapshot>) -> Redaction {
    let mut redaction = Redaction::default();
    redaction.add_name(&rustix::system::uname().nodename().to_string_lossy());
    let Some(snapshot) = snapshot else {
        return redaction;
    };
    for (namespace, labels) in snapshot.namespaces() {
        redaction.add_name(namespace);
        labels
            .iter()
            .for_each(|(_, value)| redaction.add_name(value));
    }
    for endpoint in snapshot.endpoints() {
        redaction.add_name(&endpoint.id.name);
        endpoint
            .labels
            .iter()
            .for_each(|(_, value)| redaction.add_name(value));
    }
    for policy in snapshot.policies() {
        redaction.add_name(&policy.id.namespace);
        redaction.add_name(&policy.id.name);
    }
    redaction
}
