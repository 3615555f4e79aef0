//! `bailey tui`: the console.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bailey_config::Config;
use bailey_tui::batch::Shape;
use bailey_tui::feed::Writer;
use bailey_tui::look::Look;
use bailey_tui::model::View;
use bailey_tui::screen::{self, ScreenError};

use crate::args::{Colours, ConfigArgs, Output, TuiArgs};
use crate::commands::query::read_config;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{is_closed, print_line};

/// Runs the console, or prints a view.
pub(crate) fn tui(args: &TuiArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    if !args.batch {
        let writer = args.rw.then(|| writer(&args.config));
        return run(&config, args.view, look(args.ascii, args.color), writer);
    }
    let print = |text: &str| {
        print_line(text);
        !is_closed()
    };
    let delay = Duration::from_secs(args.delay);
    let shape = match args.output {
        Output::Text => Shape::Text(look(args.ascii, args.color)),
        Output::Json => Shape::Json,
    };
    bailey_tui::batch::run(
        &config.paths.socket(),
        args.view,
        args.times,
        delay,
        shape,
        print,
    )
    .map_err(CommandError::NoDaemon)?;
    Ok(Exit::Success)
}

/// Runs the console until its end.
pub(super) fn run(
    config: &Config,
    view: View,
    look: Look,
    writer: Option<Writer>,
) -> Result<Exit, CommandError> {
    match screen::run(&config.paths.socket(), view, look, writer) {
        Ok(()) => Ok(Exit::Success),
        Err(ScreenError::Terminal(sentence) | ScreenError::Settings(sentence)) => {
            Err(CommandError::Usage(sentence))
        }
        Err(ScreenError::NoDaemon(sentence)) => Err(CommandError::NoDaemon(sentence)),
        Err(ScreenError::Io(error)) => Err(CommandError::Terminal(error)),
    }
}

/// Changes the firewall with commands of this program: the console itself opens no map.
fn writer(config: &ConfigArgs) -> Writer {
    let config = config.config.clone();
    Writer(Arc::new(move |arguments| {
        let mut command = match std::env::current_exe() {
            Ok(program) => Command::new(program),
            Err(error) => return error.to_string(),
        };
        command.args(arguments);
        if let Some(config) = &config {
            command.arg("--config").arg(config);
        }
        match command.stdin(Stdio::null()).output() {
            Err(error) => error.to_string(),
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                said.lines().collect::<Vec<_>>().join("; ")
            }
        }
    }))
}

pub(super) fn look(is_ascii: bool, colours: Colours) -> Look {
    let has_no_colour = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Look {
        is_ascii: is_ascii || !has_utf8_locale(),
        is_plain: match colours {
            Colours::Auto => has_no_colour(),
            Colours::Always => false,
            Colours::Never => true,
        },
        ..Look::default()
    }
}

/// Whether the locale has more than ASCII: the first variable that is set decides.
fn has_utf8_locale() -> bool {
    let mut names = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let value = names.find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    value.is_some_and(|value| {
        let value = value.to_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}
