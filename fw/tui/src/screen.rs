//! The terminal: raw mode, keys, signals, draws. Restored at every end.

use std::io::{self, IsTerminal, Write, stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bailey_clock::{now, wall};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, disable_raw_mode,
};
use ratatui::layout::{Rect, Size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::feed::Feed;
use crate::look::Look;
use crate::model::View;
use crate::session::Session;
use crate::update::Key;
use crate::view::{Canvas, LEAST};

/// At most ten draws a second.
const TICK: Duration = Duration::from_millis(100);
/// A screen is drawn at least this often: the clock goes on.
const IDLE_TICKS: u32 = 10;

/// Why the console did not start, or ended.
#[derive(Debug)]
pub enum ScreenError {
    /// There is no terminal, or it is too small or too simple: a sentence.
    Terminal(String),
    /// The terminal failed.
    Io(io::Error),
}

impl From<io::Error> for ScreenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs the console until a key, a signal, or the end of the terminal.
///
/// # Errors
/// If the terminal cannot show it. The terminal is then untouched, or restored.
pub fn run(socket: &Path, view: View, look: Look) -> Result<(), ScreenError> {
    check_terminal()?;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&is_interrupted))?;
    }
    end_with_terminal(Arc::clone(&is_interrupted));
    let feed = Feed::start(socket);
    // Also restores the terminal when any thread panics.
    let mut terminal = ratatui::try_init()?;
    let result = follow(
        &mut terminal,
        &feed,
        Session::new(view),
        look,
        &is_interrupted,
    );
    ratatui::restore();
    result.map_err(ScreenError::Io)
}

fn check_terminal() -> Result<(), ScreenError> {
    let sentence = |text: &str| Err(ScreenError::Terminal(text.to_owned()));
    if !(stdout().is_terminal() && io::stdin().is_terminal()) {
        return sentence("the console needs a terminal; -b prints the same rows without one");
    }
    if std::env::var("TERM").is_ok_and(|term| term == "dumb" || term.is_empty()) {
        return sentence("TERM=dumb has no screen; -b prints the same rows without one");
    }
    let size = ratatui::crossterm::terminal::size()?;
    let (columns, lines) = (usize::from(size.0), usize::from(size.1));
    if columns < LEAST.0 || lines < LEAST.1 {
        return Err(ScreenError::Terminal(format!(
            "this terminal has {columns}x{lines}; the console needs {}x{}",
            LEAST.0, LEAST.1
        )));
    }
    Ok(())
}

/// Ends the process when the terminal is gone: reads of a closed terminal return at once, again and again. Also
/// after a signal, if the draw thread waits for a terminal that takes no output.
fn end_with_terminal(is_interrupted: Arc<AtomicBool>) {
    thread::spawn(move || {
        let stdin = io::stdin();
        let mut waited = 0;
        loop {
            let mut descriptors = [PollFd::new(&stdin, PollFlags::empty())];
            let pause = Timespec {
                tv_sec: 0,
                tv_nsec: 250_000_000,
            };
            let polled = poll(&mut descriptors, Some(&pause));
            let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
            waited += u32::from(is_interrupted.load(Ordering::Relaxed));
            let is_gone = polled.is_ok() && descriptors[0].revents().intersects(gone);
            if is_gone || waited > 2 {
                // Without output, which may wait again.
                let _ = disable_raw_mode();
                std::process::exit(1);
            }
        }
    });
}

fn follow(
    terminal: &mut DefaultTerminal,
    feed: &Feed,
    mut session: Session,
    look: Look,
    is_interrupted: &AtomicBool,
) -> io::Result<()> {
    let mut ticks = IDLE_TICKS;
    while !session.is_done() && !is_interrupted.load(Ordering::Relaxed) {
        feed.want_flows(session.wants_flows());
        let news = feed.take();
        let mut is_changed = !news.is_empty();
        for news in news {
            session.accept(news, now());
        }
        ticks += 1;
        if is_changed || ticks >= IDLE_TICKS {
            draw(terminal, &mut session, look)?;
            ticks = 0;
        }
        if event::poll(TICK)? {
            is_changed = false;
            // All that has come, then one draw.
            while event::poll(Duration::ZERO)? {
                match event::read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        if key.code == KeyCode::Char('l')
                            && key.modifiers.contains(KeyModifiers::CONTROL)
                        {
                            // Not clear(), which asks the terminal for its cursor and may get no answer.
                            let Size { width, height } = terminal.size()?;
                            terminal.resize(Rect::new(0, 0, width, height))?;
                        }
                        if let Some(key) = key_of(key) {
                            session.press(key, now());
                        }
                        is_changed = true;
                    }
                    Event::Resize(..) => is_changed = true,
                    _ => {}
                }
            }
            if is_changed {
                draw(terminal, &mut session, look)?;
            }
        }
    }
    Ok(())
}

fn draw(terminal: &mut DefaultTerminal, session: &mut Session, look: Look) -> io::Result<()> {
    let Size { width, height } = terminal.size()?;
    let canvas = Canvas {
        width: width.into(),
        height: height.into(),
        look,
    };
    let lines = session.draw(&canvas, now(), wall());
    queue!(stdout(), BeginSynchronizedUpdate)?;
    terminal.draw(|frame| {
        let area = frame.area();
        for (y, line) in (area.top()..area.bottom()).zip(&lines) {
            frame
                .buffer_mut()
                .set_line(area.left(), y, line, area.width);
        }
    })?;
    queue!(stdout(), EndSynchronizedUpdate)?;
    stdout().flush()
}

fn key_of(event: KeyEvent) -> Option<Key> {
    Some(match event.code {
        KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => Key::Ctrl(c),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
