//! The terminal: raw mode, keys, signals, draws. Restored at every end.

use std::io::{self, IsTerminal, stdout};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bailey_clock::{now, wall};
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{
    self, DisableMouseCapture, EnableMouseCapture, Event, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::text::Line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};

use crate::feed::{Feed, Writer};
use crate::kept;
use crate::look::Look;
use crate::model::{Request, View};
use crate::painter::Painter;
use crate::save;
use crate::session::Session;
use crate::settings::{self, TuiSettings};
use crate::update::Key;
use crate::view::{Canvas, LEAST, texts};

/// At most ten draws a second.
const TICK: Duration = Duration::from_millis(100);
/// A screen is drawn at least this often: the clock goes on.
const IDLE_TICKS: u32 = 10;

/// Why the console did not start, or ended.
#[derive(Debug)]
pub enum ScreenError {
    /// There is no terminal, or it is too small or too simple: a sentence.
    Terminal(String),
    /// The file of keys and colours has a mistake: file, line, column, sentence.
    Settings(String),
    /// No daemon answers: a sentence.
    NoDaemon(String),
    /// The terminal failed.
    Io(io::Error),
}

impl From<io::Error> for ScreenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Runs the console until a key, a signal, or the end of the terminal. `writer`: keys may change the firewall.
///
/// # Errors
/// If the terminal cannot show it. The terminal is then untouched, or restored.
pub fn run(
    socket: &Path,
    view: View,
    look: Look,
    writer: Option<Writer>,
) -> Result<(), ScreenError> {
    check_terminal()?;
    let settings = match settings::path() {
        Some(path) => settings::read(&path).map_err(ScreenError::Settings)?,
        None => TuiSettings::default(),
    };
    let look = Look {
        colours: settings.colours,
        ..look
    };
    check_daemon(socket)?;
    let signals = Signals::register()?;
    end_with_terminal(Arc::clone(&signals.is_interrupted));
    let feed = Feed::start(socket);
    let mut session = Session::new(view);
    session.model_mut().may_change = writer.is_some();
    session.model_mut().keys = settings.keys;
    let kept = kept::path();
    if let Some(path) = &kept
        && let Err(problem) = kept::restore(path, session.model_mut())
    {
        session.say(problem);
    }
    // Also restores the terminal when any thread panics.
    drop(ratatui::try_init()?);
    release_mouse_after_panic();
    let around = Around {
        feed: &feed,
        writer: writer.as_ref(),
        look,
        signals: &signals,
    };
    let result = enter_screen().and_then(|()| follow(&around, &mut session));
    // A terminal that takes no output is not waited for.
    signals.is_interrupted.store(true, Ordering::Relaxed);
    leave_screen(session.model().has_mouse);
    if let Some(path) = &kept {
        // Only the next start would miss it.
        let _ = kept::keep(path, session.model());
    }
    let last = result?;
    if session.model().leaves_screen {
        println!("{}", texts(&last).join("\n"));
    }
    Ok(())
}

/// Signals that have come.
#[derive(Debug, Default)]
struct Signals {
    is_interrupted: Arc<AtomicBool>,
    is_suspended: Arc<AtomicBool>,
}

impl Signals {
    fn register() -> io::Result<Self> {
        let signals = Self::default();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&signals.is_interrupted))?;
        }
        signal_hook::flag::register(SIGTSTP, Arc::clone(&signals.is_suspended))?;
        Ok(signals)
    }
}

/// Takes the terminal: raw, the alternate screen, no cursor.
fn enter_screen() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide)
}

/// Gives the terminal back.
fn leave_screen(has_mouse: bool) {
    if has_mouse {
        let _ = execute!(stdout(), DisableMouseCapture);
    }
    let _ = execute!(stdout(), Show);
    ratatui::restore();
}

fn release_mouse_after_panic() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = execute!(stdout(), DisableMouseCapture, Show);
        others(panic);
    }));
}

/// Without a daemon there is nothing to see. One that ends later comes back by itself.
fn check_daemon(socket: &Path) -> Result<(), ScreenError> {
    let connected = UnixStream::connect(socket);
    connected.map(drop).map_err(|error| {
        let path = socket.display();
        ScreenError::NoDaemon(format!(
            "cannot reach the bailey daemon at {path}: {error}; `systemctl status bailey` tells whether it \
             runs, and root and members of the group in `[control] group` may ask it"
        ))
    })
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

/// Data source, command runner, look and signals of a running console.
#[derive(Debug, Clone, Copy)]
struct Around<'a> {
    feed: &'a Feed,
    writer: Option<&'a Writer>,
    look: Look,
    signals: &'a Signals,
}

/// Follows data, keys and signals; returns the last screen.
fn follow(around: &Around<'_>, session: &mut Session) -> io::Result<Vec<Line<'static>>> {
    let Around {
        feed,
        look,
        signals,
        ..
    } = *around;
    let mut painter = Painter::new();
    let mut last = Vec::new();
    let mut ticks = IDLE_TICKS;
    let mut is_changed = true;
    while !session.is_done() && !signals.is_interrupted.load(Ordering::Relaxed) {
        feed.want_flows(session.wants_flows());
        for news in feed.take() {
            session.accept(news, now());
            is_changed = true;
        }
        ticks += 1;
        // A slow terminal gets the newest screen when it has taken the last one.
        if (is_changed || ticks >= IDLE_TICKS) && !painter.is_busy() {
            last = draw(&mut painter, session, look)?;
            (is_changed, ticks) = (false, 0);
        }
        if event::poll(TICK)? {
            // All that has come, then one draw.
            while event::poll(Duration::ZERO)? {
                is_changed |= take_event(&event::read()?, session);
                if let Some(request) = session.take_request() {
                    serve(&request, around, session, &mut painter, &last)?;
                }
            }
            if is_changed && !painter.is_busy() {
                last = draw(&mut painter, session, look)?;
                (is_changed, ticks) = (false, 0);
            }
        }
        if signals.is_suspended.swap(false, Ordering::Relaxed) {
            suspend(session, &mut painter)?;
        }
    }
    Ok(last)
}

/// Whether the screen may differ afterwards.
fn take_event(event: &Event, session: &mut Session) -> bool {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let had_mouse = session.model().has_mouse;
            if let Some(key) = key_of(*key) {
                session.press(key, now());
            }
            set_mouse(had_mouse, session.model().has_mouse);
            true
        }
        Event::Mouse(mouse) => match mouse_key(mouse) {
            Some(key) => {
                session.press(key, now());
                true
            }
            None => false,
        },
        Event::Resize(..) => true,
        _ => false,
    }
}

fn mouse_key(mouse: &MouseEvent) -> Option<Key> {
    match mouse.kind {
        MouseEventKind::ScrollDown => Some(Key::Down),
        MouseEventKind::ScrollUp => Some(Key::Up),
        MouseEventKind::Down(MouseButton::Left) => {
            Some(Key::Click(mouse.column.into(), mouse.row.into()))
        }
        _ => None,
    }
}

fn set_mouse(before: bool, now: bool) {
    // A terminal without a mouse ignores the sequence.
    let _ = match (before, now) {
        (false, true) => execute!(stdout(), EnableMouseCapture),
        (true, false) => execute!(stdout(), DisableMouseCapture),
        _ => Ok(()),
    };
}

/// Does what a key asks of the process.
fn serve(
    request: &Request,
    around: &Around<'_>,
    session: &mut Session,
    painter: &mut Painter,
    screen: &[Line<'_>],
) -> io::Result<()> {
    match request {
        Request::Redraw => painter.forget(),
        Request::Suspend => suspend(session, painter)?,
        Request::Explain(question) => {
            around.feed.ask(question.clone());
            session.say("the daemon is asked".to_owned());
        }
        Request::Change(change) => {
            if let Some(writer) = around.writer {
                around.feed.change(change.clone(), writer);
                session.say("the change is on its way".to_owned());
            }
        }
        Request::Save => {
            let saved = std::env::current_dir().and_then(|folder| {
                save::to_files(session.model(), &texts(screen).join("\n"), &folder)
            });
            session.say(match saved {
                Ok(path) => format!("written: {}.json and .txt", path.display()),
                Err(error) => {
                    format!("not written: {error}; start the console in a folder of yours")
                }
            });
        }
    }
    Ok(())
}

/// Stops this process as a shell expects it, and takes the terminal again afterwards.
fn suspend(session: &Session, painter: &mut Painter) -> io::Result<()> {
    let has_mouse = session.model().has_mouse;
    leave_screen(has_mouse);
    signal_hook::low_level::emulate_default_handler(SIGTSTP)?;
    enter_screen()?;
    set_mouse(false, has_mouse);
    painter.forget();
    Ok(())
}

/// Draws a screen; returns its lines.
fn draw(
    painter: &mut Painter,
    session: &mut Session,
    look: Look,
) -> io::Result<Vec<Line<'static>>> {
    let (width, height) = ratatui::crossterm::terminal::size()?;
    let canvas = Canvas {
        width: width.into(),
        height: height.into(),
        look,
        span: session.model().span,
    };
    let lines = session.draw(&canvas, now(), wall());
    painter.show(&lines, width, height)?;
    Ok(lines)
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
