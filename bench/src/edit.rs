use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bailey::config::Config;
use bailey::daemon::reload::{Generation, Outcome, Reloader};
use bailey_compile::RuleIds;
use bailey_datapath::{Datapath, PinDir};

use crate::cluster;
use crate::memory::mebibytes;

/// Edits of one policy at each size.
const EDITS: u16 = 9;

pub(crate) fn run(workloads: usize, policies: usize) -> Result<()> {
    println!(
        "{:<36} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "read", "compile", "wait", "install", "all [ms]"
    );
    measure("demo", 20, 10)?;
    measure("cluster", workloads, policies)
}

fn measure(name: &str, workloads: usize, policies: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let policies_at = directory.path().join("policies");
    std::fs::create_dir(&policies_at)?;
    let bytes = cluster::write(&policies_at, workloads, policies)?;
    let (mut reloader, mut datapath) = start(directory.path(), &policies_at)?;
    let first = reload(&mut reloader, &mut datapath)?;
    let size = format!(
        "{name}: {policies} policies, {workloads} workloads, {} MB",
        bytes / 1_000_000
    );
    println!("{size}");
    print("  first", &first);
    // Files that were just written are read again to be sure; those of a cluster are older.
    std::thread::sleep(std::time::Duration::from_secs(3));
    reload(&mut reloader, &mut datapath).ok();
    let mut edits = Vec::new();
    for n in 0..EDITS {
        cluster::write_edited(&policies_at, policies, workloads, 1000 + n)?;
        edits.push(reload(&mut reloader, &mut datapath)?);
    }
    edits.sort_by(|a, b| a.1.total_cmp(&b.1));
    print("  one edit (median)", &edits[edits.len() / 2]);
    print("  one edit (slowest)", &edits[edits.len() - 1]);
    println!(
        "  tables {} MiB; memory {} MiB, at most {} MiB",
        first.0.stats.bytes >> 20,
        mebibytes("VmRSS:"),
        mebibytes("VmHWM:")
    );
    Ok(())
}

fn start(root: &Path, policies: &Path) -> Result<(Reloader, Datapath)> {
    let text = format!(
        "policies = [{policies:?}]\n[paths]\nstate = {root:?}\n[flow_table]\nflows = 65536\n"
    );
    let config = Config::parse(&text).map_err(anyhow::Error::msg)?;
    let datapath = Datapath::open(PinDir::private()?, config.settings(), RuleIds::default());
    let reloader = Reloader::new(config, RuleIds::default(), false);
    Ok((reloader, datapath.context("root is needed")?))
}

/// A reload and how long it took, in milliseconds.
fn reload(reloader: &mut Reloader, datapath: &mut Datapath) -> Result<(Box<Generation>, f64)> {
    let begun = Instant::now();
    match reloader.reload(datapath, || true) {
        Outcome::Committed(generation) => Ok((generation, begun.elapsed().as_secs_f64() * 1000.0)),
        Outcome::Refused(refusal) => bail!("{}", refusal.messages[0]),
        Outcome::Unchanged | Outcome::Moving => bail!("nothing was committed"),
    }
}

fn print(what: &str, (generation, all): &(Box<Generation>, f64)) {
    let ms = |name: &str| {
        let stage = generation.stages.iter().find(|(stage, _)| *stage == name);
        stage.map_or(0.0, |(_, duration)| duration.as_secs_f64() * 1000.0)
    };
    println!(
        "{what:<36} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {all:>9.1}",
        ms("read"),
        ms("compile"),
        ms("wait"),
        ms("install"),
    );
}
