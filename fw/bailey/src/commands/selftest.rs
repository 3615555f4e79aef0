//! `bailey selftest`: packets of the active policies through the loaded programs and the oracle.

use bailey_datapath::DatapathError;
use bailey_introspect::{LiveState, SelfTest, SelfTestPackets};

use crate::args::{Format, SelfTestArgs};
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::diagnostics::print_diagnostics;
use crate::output::{print_json, print_line, print_yaml, stderr_line};

/// Most differences that are printed.
const PRINTED_MAX: usize = 20;

/// Compares, and exits with 1 if there is a difference.
pub(crate) fn selftest(args: &SelfTestArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let loaded = PolicyInput::of_config(config.clone()).load();
    let Some(snapshot) = loaded.snapshot else {
        print_diagnostics(&loaded.diagnostics);
        return Ok(Exit::Invalid);
    };
    let pins = config.paths.pins.clone();
    let state = LiveState::new(config);
    let packets = SelfTestPackets::new(&snapshot, args.seed).take(args.packets as usize);
    let Some(result) = state.self_test(&snapshot, packets)? else {
        stderr_line!("note: a self-test needs the daemon: its probe ends with it");
        return Err(DatapathError::NotLoaded(pins).into());
    };
    match args.output {
        Format::Json => print_json(&result),
        Format::Yaml => print_yaml(&result),
        Format::Table => print_result(&result),
    }
    if result.is_interrupted {
        stderr_line!("the policies changed during the test: repeat it");
        return Ok(Exit::Negative);
    }
    if result.agreed + result.differed == 0 {
        stderr_line!(
            "nothing was compared: no policy selects an endpoint, or all packets are decided before policy"
        );
        return Ok(Exit::Negative);
    }
    Ok(match result.differed {
        0 => Exit::Success,
        _ => Exit::Negative,
    })
}

fn print_result(result: &SelfTest) {
    let SelfTest {
        generation,
        agreed,
        differed,
        differences,
        before_policy,
        rules,
        is_interrupted: _,
    } = result;
    for difference in differences.iter().take(PRINTED_MAX) {
        print_line(&format!("DIFFERENT {}", difference.connection));
        print_line(&format!("  programs {}", difference.programs));
        print_line(&format!("  oracle   {}", difference.oracle));
    }
    if *differed > 0 {
        print_line(
            "the policy files may have changed since the last commit: see `bailey status`; otherwise this is a \
             defect: please report it",
        );
    }
    for (reason, count) in before_policy {
        print_line(&format!(
            "{count} packets were decided before policy: {reason}"
        ));
    }
    print_line(&format!(
        "generation {generation}: {agreed} packets agree, {differed} differ; {} rules decided",
        rules.len()
    ));
}
