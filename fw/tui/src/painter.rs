//! Screens to the terminal: only cells that changed, each screen in one write of a thread of its own. The drawing
//! thread never waits for a slow terminal; it leaves out screens instead.

use std::io::{self, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ratatui::backend::{Backend, ClearType, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Bytes of one screen.
#[derive(Debug, Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The screen of the terminal, and the thread that writes to it.
#[derive(Debug)]
pub(crate) struct Painter {
    bytes: Bytes,
    backend: CrosstermBackend<Bytes>,
    shown: Buffer,
    screens: SyncSender<Vec<u8>>,
    is_busy: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
}

impl Painter {
    /// For a terminal of which nothing is known.
    pub(crate) fn new() -> Self {
        let bytes = Bytes::default();
        let (screens, to_write) = sync_channel::<Vec<u8>>(1);
        let (is_busy, has_failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (busy, failed) = (Arc::clone(&is_busy), Arc::clone(&has_failed));
        thread::spawn(move || {
            for screen in to_write {
                let mut out = stdout();
                let written = out.write_all(&screen).and_then(|()| out.flush());
                failed.fetch_or(written.is_err(), Ordering::Relaxed);
                busy.store(false, Ordering::Release);
            }
        });
        Self {
            backend: CrosstermBackend::new(bytes.clone()),
            bytes,
            shown: Buffer::empty(Rect::ZERO),
            screens,
            is_busy,
            has_failed,
        }
    }

    /// Whether the last screen is still on its way: the terminal is slow.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    /// The next screen is drawn as a whole.
    pub(crate) fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Shows lines. To be called if the painter is not busy.
    ///
    /// # Errors
    /// If the terminal does not take output any more.
    pub(crate) fn show(&mut self, lines: &[Line<'_>], width: u16, height: u16) -> io::Result<()> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let area = Rect::new(0, 0, width, height);
        let mut next = Buffer::empty(area);
        for (y, line) in (0..height).zip(lines) {
            next.set_line(0, y, line, width);
        }
        let is_new = self.shown.area != area;
        if is_new {
            self.shown = Buffer::empty(area);
        }
        let changed = self.shown.diff(&next);
        if changed.is_empty() && !is_new {
            return Ok(());
        }
        queue!(self.bytes, BeginSynchronizedUpdate)?;
        if is_new {
            self.backend.clear_region(ClearType::All)?;
        }
        self.backend.draw(changed.into_iter())?;
        queue!(self.bytes, EndSynchronizedUpdate)?;
        self.shown = next;
        self.is_busy.store(true, Ordering::Release);
        let sent = self.screens.send(self.bytes.take());
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
