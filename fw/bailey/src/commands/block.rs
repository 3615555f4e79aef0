//! `bailey block`, `unblock` and `blocks`: emergency blocks, written into the pinned map without the
//! daemon.

use std::io::Read as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use bailey_clock::now;
use bailey_config::Config;
use bailey_config::prefix::parse_or_address;
use bailey_control::api::{self, path};
use bailey_daemon::lockout::SshSession;
use bailey_datapath::PinDir;
use bailey_datapath::blocks::Blocks;
use bailey_introspect::{LiveState, short_prefix};
use bailey_policy::Protocol;
use bailey_state::lock::{Lock, LockError};
use ipnet::IpNet;

use crate::args::{BlockArgs, ListArgs, UnblockArgs};
use crate::commands::query::{read_config, render_list};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::list::ListLayout;
use crate::output::table::{Cell, Column};
use crate::output::{print_line, stderr_line};
use crate::ttl;

/// Changed prefixes that are printed one by one; of more, only the number.
const PRINTED_MAX: usize = 20;

/// Time to wait for another process that changes a long list of blocks.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Blocks addresses and prefixes.
pub(crate) fn block(args: &BlockArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let prefixes = collect_prefixes(args).map_err(CommandError::Usage)?;

    if !args.even_myself
        && let Some(prefix) = find_own_session(&config, &prefixes)
    {
        return Err(CommandError::LockOut(format!(
            "{prefix} contains an address of your own SSH session, and no failsafe entry covers the \
             session; use --even-myself to block it"
        )));
    }

    let since_epoch = bailey_clock::wall().duration_since(UNIX_EPOCH);
    let created = since_epoch.map_or(0, |since_epoch| since_epoch.as_secs());
    let mut blocks = open_blocks(&config)?;
    let _lock = lock_blocks(&config)?;
    blocks.add(&prefixes, args.ttl, &args.reason, created)?;

    let duration = ttl::format_seconds(args.ttl);
    for prefix in prefixes.iter().take(PRINTED_MAX) {
        print_line(&format!("{} blocked for {duration}", short_prefix(prefix)));
    }
    if prefixes.len() > PRINTED_MAX {
        print_line(&format!("and {} more", prefixes.len() - PRINTED_MAX));
    }
    Ok(Exit::Success)
}

/// Removes blocks.
pub(crate) fn unblock(args: &UnblockArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let mut blocks = open_blocks(&config)?;
    let _lock = lock_blocks(&config)?;

    let prefixes: Vec<IpNet> = if args.all {
        let all = blocks.list()?;
        all.into_iter().map(|block| block.prefix).collect()
    } else {
        parse_prefixes(&args.addresses).map_err(CommandError::Usage)?
    };
    let removed = blocks.remove(&prefixes)?;
    for prefix in removed.iter().take(PRINTED_MAX) {
        print_line(&format!("{} is no longer blocked", short_prefix(prefix)));
    }

    let missing: Vec<String> = prefixes
        .iter()
        .filter(|prefix| !removed.contains(prefix))
        .map(short_prefix)
        .collect();
    if missing.is_empty() {
        return Ok(Exit::Success);
    }
    stderr_line!("not blocked: {}", missing.join(", "));
    Ok(Exit::Negative)
}

/// Lists the active blocks.
pub(crate) fn list_blocks(args: &ListArgs) -> Result<Exit, CommandError> {
    render_list(
        args,
        path::BLOCKS,
        LiveState::blocks,
        "blocks",
        |blocks: &mut api::Blocks| &mut blocks.blocks,
        &BLOCKS,
    )
}

const BLOCKS: ListLayout<api::Block> = ListLayout {
    columns: &[
        Column::text("BLOCKED", 0, |row| row.prefix.clone()),
        Column {
            header: "REMAINING",
            rank: 0,
            cell: Cell::Scale(
                |row| ttl::format_seconds(row.remaining_seconds),
                |row| Some(row.remaining_seconds),
            ),
        },
        Column::text("REASON", 1, |row| row.reason.clone()),
    ],
    name: |row| row.prefix.clone(),
    empty: "no address is blocked",
};

/// Waits up to [`LOCK_TIMEOUT`] for the lock that serializes changes of blocks.
fn lock_blocks(config: &Config) -> Result<Lock, CommandError> {
    let deadline = now() + LOCK_TIMEOUT;
    loop {
        match Lock::take_for_blocks(&config.paths.run) {
            Err(LockError::Held(..)) if now() < deadline => sleep(Duration::from_millis(20)),
            result => return Ok(result?),
        }
    }
}

fn open_blocks(config: &Config) -> Result<Blocks, CommandError> {
    Ok(Blocks::open(&PinDir::Path(config.paths.pins.clone()))?)
}

/// The prefixes of the command line and of `--file`; at least one.
fn collect_prefixes(args: &BlockArgs) -> Result<Vec<IpNet>, String> {
    let mut prefixes = parse_prefixes(&args.addresses)?;
    if let Some(file) = &args.file {
        let text = read_file(file).map_err(|error| format!("{}: {error}", file.display()))?;
        for (index, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            let prefix = parse_or_address(entry)
                .map_err(|error| format!("{}:{}: {error}", file.display(), index + 1))?;
            prefixes.push(prefix);
        }
        if prefixes.is_empty() {
            return Err(format!("{}: no address or prefix to block", file.display()));
        }
    }
    Ok(prefixes)
}

/// Reads a file; `-` is standard input.
fn read_file(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

fn parse_prefixes(texts: &[String]) -> Result<Vec<IpNet>, String> {
    texts.iter().map(|text| parse_or_address(text)).collect()
}

/// The first prefix that contains an end of the operator's SSH session; `None` if the failsafe covers the
/// session, or the session is local.
fn find_own_session(config: &Config, prefixes: &[IpNet]) -> Option<IpNet> {
    let session = SshSession::detect()?;
    let (client, server) = (session.client.ip(), session.server);
    let failsafe = config.settings().failsafe;
    let is_covered = failsafe
        .iter()
        .any(|entry| entry.covers(client, Protocol::TCP, server.port()));
    if is_covered || client.is_loopback() {
        return None;
    }
    let ends = [client, server.ip()];
    let contains_end = |prefix: &IpNet| ends.iter().any(|end| prefix.contains(end));
    prefixes.iter().copied().find(contains_end)
}
