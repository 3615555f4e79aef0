//! The rows of a view without a terminal.

use std::path::Path;
use std::time::Duration;

use bailey_clock::{now, wall};
use ratatui::text::Line;

use crate::feed::Feed;
use crate::look::Look;
use crate::model::View;
use crate::save;
use crate::session::Session;
use crate::spark::Span;
use crate::view::{Canvas, texts};

/// Time to wait for the daemon.
const PATIENCE: Duration = Duration::from_secs(5);
/// Size of a printed screen.
const SIZE: (usize, usize) = (120, 60);

/// How a view is printed.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// As on a screen.
    Text(Look),
    /// One JSON document per line.
    Json,
}

/// Prints a view `times` times, `pause` apart. `print` gets each screen as text, and returns false to end.
///
/// # Errors
/// Why no data came, in a sentence.
pub fn run(
    socket: &Path,
    view: View,
    times: u64,
    pause: Duration,
    shape: Shape,
    mut print: impl FnMut(&str) -> bool,
) -> Result<(), String> {
    let feed = Feed::start(socket);
    let mut session = Session::new(view);
    feed.want_flows(session.wants_flows());
    let begun = now();
    while !session.has_data() {
        match feed.wait(PATIENCE) {
            Some(news) => session.accept(news, now()),
            None => return Err("the daemon sends nothing".to_owned()),
        }
        if !session.has_data() && now() - begun > PATIENCE {
            return Err(session
                .problem()
                .unwrap_or("the daemon sends nothing")
                .to_owned());
        }
    }
    // Packets and flows come a moment later.
    std::thread::sleep(Duration::from_millis(300));
    let canvas = Canvas {
        width: SIZE.0,
        height: SIZE.1,
        look: match shape {
            Shape::Text(look) => look,
            Shape::Json => Look::default(),
        },
        span: Span::Minute,
    };
    for time in 0..times {
        let until = now() + if time > 0 { pause } else { Duration::ZERO };
        loop {
            for news in feed.take() {
                session.accept(news, now());
            }
            let rest = until.saturating_duration_since(now());
            if rest.is_zero() {
                break;
            }
            // Often enough that no news pile up.
            std::thread::sleep(rest.min(Duration::from_secs(1)));
        }
        let lines = session.draw(&canvas, now(), wall());
        let text = match shape {
            Shape::Json => save::as_json(session.model()).to_string(),
            Shape::Text(_) => as_text(&lines),
        };
        if !print(&text) {
            return Ok(());
        }
    }
    Ok(())
}

/// The lines of a screen without its keys, which do not work here.
fn as_text(lines: &[Line<'_>]) -> String {
    let mut texts = texts(lines);
    texts.pop();
    while texts.last().is_some_and(String::is_empty) {
        texts.pop();
    }
    texts.join("\n")
}
