use anyhow::{Context, Result};
use bailey_compile::{CompileLimits, RuleIds, compile};
use bailey_config::Settings;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use bailey_policy::Snapshot;

/// A datapath with maps of its own in which no policy isolates anybody.
pub(crate) fn open_without_policies(settings: Settings) -> Result<Datapath> {
    let mut datapath = Datapath::open(PinDir::private()?, settings, RuleIds::default())
        .context("root is needed")?;
    let nothing = compile(
        &Snapshot::default(),
        &RuleIds::default(),
        &CompileLimits::default(),
    )?;
    datapath.install(&nothing)?;
    Ok(datapath)
}
