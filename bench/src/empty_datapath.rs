//! A datapath without policies, for measurements of single hooks.

use anyhow::{Context, Result};
use bailey_compile::{CompileLimits, RuleIds, compile};
use bailey_config::Settings;
use bailey_datapath::{Datapath, Enforcer, PinDir};
use bailey_policy::Snapshot;

/// Opens a datapath with private maps and no isolating policy.
pub(crate) fn open_without_policies(settings: Settings) -> Result<Datapath> {
    open_without_policies_in(PinDir::private()?, settings)
}

/// As [`open_without_policies`], with maps that are pinned in a directory.
pub(crate) fn open_without_policies_in(pins: PinDir, settings: Settings) -> Result<Datapath> {
    let mut datapath = Datapath::open(pins, settings, RuleIds::default())
        .context("cannot open the datapath; run as root")?;
    let nothing = compile(
        &Snapshot::default(),
        &RuleIds::default(),
        &CompileLimits::default(),
    )?;
    datapath.install(&nothing)?;
    Ok(datapath)
}
