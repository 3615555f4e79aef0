use std::io::Read as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

use crate::args::{Block, Listing, Unblock};
use crate::commands::query::{self, config, fail};
use crate::exit::Exit;
use crate::output::complain;
use crate::output::line;
use crate::output::listing::Kind;
use crate::output::table::{Cell, Column};
use crate::ttl;

/// Blocks addresses and prefixes.
pub(crate) fn block(options: &Block) -> Exit {
    let (config, wanted) = match (config(&options.config), wanted(options)) {
        (Ok(config), Ok(wanted)) => (config, wanted),
        (Err(exit), _) => return exit,
        (_, Err(message)) => {
            complain!("error: {message}");
            return Exit::Usage;
        }
    };
    if !options.even_myself
        && let Some(net) = locks_out(&config, &wanted)
    {
        complain!(
            "error: {net} holds an end of your own SSH session, and no failsafe entry keeps it in; \
             --even-myself blocks it all the same"
        );
        return Exit::LockOut;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    let added = open(&config).and_then(|mut blocks| {
        let _lock = lock(&config)?;
        blocks
            .add(&wanted, options.ttl, &options.reason, seconds)
            .map_err(|error| fail(&error))
    });
    match added {
        Err(exit) => exit,
        Ok(()) => {
            let time = ttl::show(options.ttl);
            for net in wanted.iter().take(SHOWN) {
                line(&format!("{} blocked for {time}", short_prefix(net)));
            }
            if wanted.len() > SHOWN {
                line(&format!("and {} more", wanted.len() - SHOWN));
            }
            Exit::Success
        }
    }
}

/// Of a long list only the first lines are news.
const SHOWN: usize = 20;

/// Lifts blocks.
pub(crate) fn unblock(options: &Unblock) -> Exit {
    let config = match config(&options.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut blocks = match open(&config) {
        Ok(blocks) => blocks,
        Err(exit) => return exit,
    };
    let _lock = match lock(&config) {
        Ok(lock) => lock,
        Err(exit) => return exit,
    };
    let wanted = if options.all {
        blocks
            .list()
            .map(|all| all.into_iter().map(|block| block.prefix).collect())
            .map_err(|error| fail(&error))
    } else {
        parse_all(options.addresses.iter().map(String::as_str)).map_err(|message| {
            complain!("error: {message}");
            Exit::Usage
        })
    };
    let wanted: Vec<IpNet> = match wanted {
        Ok(wanted) => wanted,
        Err(exit) => return exit,
    };
    let lifted = match blocks.remove(&wanted) {
        Ok(lifted) => lifted,
        Err(error) => return fail(&error),
    };
    for net in lifted.iter().take(SHOWN) {
        line(&format!("{} is no longer blocked", short_prefix(net)));
    }
    let missing: Vec<String> = wanted
        .iter()
        .filter(|net| !lifted.contains(net))
        .map(short_prefix)
        .collect();
    if missing.is_empty() {
        return Exit::Success;
    }
    complain!("not blocked: {}", missing.join(", "));
    Exit::Negative
}

/// Shows what is blocked.
pub(crate) fn list(options: &Listing) -> Exit {
    query::list(
        options,
        path::BLOCKS,
        LiveState::blocks,
        "blocks",
        |blocks: &mut api::Blocks| &mut blocks.blocks,
        &BLOCKS,
    )
}

const BLOCKS: Kind<api::Block> = Kind {
    columns: &[
        Column::text("BLOCKED", 0, |row| row.prefix.clone()),
        Column {
            header: "LEFT",
            rank: 0,
            cell: Cell::Scale(
                |row| ttl::show(row.remaining_seconds),
                |row| Some(row.remaining_seconds),
            ),
        },
        Column::text("REASON", 1, |row| row.reason.clone()),
    ],
    name: |row| row.prefix.clone(),
    none: "nothing is blocked",
};

/// Held by who changes blocks.
fn lock(config: &Config) -> Result<Lock, Exit> {
    let deadline = now() + PATIENCE;
    loop {
        match Lock::for_blocks(&config.paths.run) {
            Err(LockError::Held(..)) if now() < deadline => sleep(Duration::from_millis(20)),
            Err(error) => {
                complain!("error: {error}");
                return Err(Exit::NotAuthorised);
            }
            Ok(lock) => return Ok(lock),
        }
    }
}

/// Another one's list may be long.
const PATIENCE: Duration = Duration::from_secs(10);

fn open(config: &Config) -> Result<Blocks, Exit> {
    Blocks::open(&PinDir::Path(config.paths.pins.clone())).map_err(|error| fail(&error))
}

fn wanted(options: &Block) -> Result<Vec<IpNet>, String> {
    let mut wanted = parse_all(options.addresses.iter().map(String::as_str))?;
    if let Some(file) = &options.file {
        let text = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let lines = text.lines().enumerate().filter_map(|(at, line)| {
            let entry = line.split('#').next().unwrap_or_default().trim();
            (!entry.is_empty()).then_some((at + 1, entry))
        });
        for (number, entry) in lines {
            let net = parse_or_address(entry)
                .map_err(|error| format!("{}:{number}: {error}", file.display()))?;
            wanted.push(net);
        }
    }
    if wanted.is_empty() {
        return Err("there is nothing in it to block".into());
    }
    Ok(wanted)
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file)
}

fn parse_all<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<IpNet>, String> {
    texts.map(parse_or_address).collect()
}

/// The one that would cut off who asks.
fn locks_out(config: &Config, wanted: &[IpNet]) -> Option<IpNet> {
    let session = SshSession::detect()?;
    let (client, server) = (session.client.ip(), session.server);
    let failsafe = config.settings().failsafe;
    let kept = failsafe
        .iter()
        .any(|entry| entry.covers(client, Protocol::TCP, server.port()));
    if kept || client.is_loopback() {
        return None;
    }
    let ends = [client, server.ip()];
    let holds = |net: &IpNet| ends.iter().any(|end| net.contains(end));
    wanted.iter().copied().find(holds)
}
