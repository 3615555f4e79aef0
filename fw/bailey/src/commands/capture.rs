//! `bailey capture`: frames with their verdicts, as a pcapng file or as lines.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use bailey_datapath::DatapathError;
use bailey_introspect::{FrameSource, LiveState, NamedFrame};
use bailey_state::lock::{Lock, LockError};
use bailey_telemetry::capture_file::{CaptureFile, FileFrame};
use rustix::fs::OFlags;
use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::args::CaptureArgs;
use crate::commands::query::read_config;
use crate::commands::record_printer::RecordPrinter;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::PolicyInput;
use crate::output::{is_closed, stderr_line};
use crate::ttl;

/// Pause between two readings of the rings.
const PAUSE: Duration = Duration::from_millis(10);

/// Standard output as the name of a file.
const STDOUT: &str = "-";

/// Captures frames until a limit is reached or a signal comes.
pub(crate) fn capture(args: &CaptureArgs) -> Result<Exit, CommandError> {
    let config = read_config(&args.config)?;
    let inventory = PolicyInput::of_config(config.clone()).load().snapshot;
    let is_interrupted = stop_on_signals()?;
    let _lock = Lock::take_for_capture(&config.paths.run).map_err(|error| match error {
        LockError::Held(_, process) => CommandError::CaptureRuns(process),
        other => other.into(),
    })?;
    let state = LiveState::new(config);
    let source = state.capture(
        args.record_filter(),
        inventory.map(Arc::new),
        args.snaplen,
        Duration::from_secs(args.duration),
    )?;
    let mut source = source.map_err(CommandError::Usage)?;
    // The programs copy frames from here on; a file that cannot be written stops them.
    let mut sink = Sink::open(args)?;
    stderr_line!(
        "capturing {} for at most {}",
        sink.target(),
        ttl::format_seconds(args.duration)
    );
    let ended = run(args, &mut source, &mut sink, &is_interrupted)?;
    report(&sink, &source, ended);
    Ok(Exit::Success)
}

/// Set by the signals that end a capture.
fn stop_on_signals() -> Result<Arc<AtomicBool>, CommandError> {
    let is_interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&is_interrupted));
        registered.map_err(|source| DatapathError::System {
            operation: "sigaction",
            source,
        })?;
    }
    Ok(is_interrupted)
}

/// Why a capture ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Interrupted,
    Duration,
    Count,
    Size,
    Closed,
}

impl End {
    fn text(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Duration => "the time of --duration is over",
            Self::Count => "the number of --count is reached",
            Self::Size => "the size of --size is reached",
            Self::Closed => "the reader has closed the output",
        }
    }
}

fn run(
    args: &CaptureArgs,
    source: &mut FrameSource<'_>,
    sink: &mut Sink,
    is_interrupted: &AtomicBool,
) -> Result<End, CommandError> {
    let deadline = bailey_clock::now() + Duration::from_secs(args.duration);
    loop {
        let ended = match (is_interrupted.load(Ordering::Relaxed), bailey_clock::now()) {
            (true, _) => Some(End::Interrupted),
            (_, now) if now >= deadline => Some(End::Duration),
            _ => None,
        };
        let room = usize::try_from(args.count - sink.count).unwrap_or(usize::MAX);
        let mut frames = source.read();
        frames.truncate(room);
        let is_full = match sink.accept(&frames, args.size) {
            Err(CommandError::Archive(path, error))
                if path.as_os_str() == STDOUT && error.kind() == io::ErrorKind::BrokenPipe =>
            {
                return Ok(End::Closed);
            }
            other => other?,
        };
        let ended = match () {
            () if sink.count >= args.count => Some(End::Count),
            () if is_full => Some(End::Size),
            () if is_closed() => Some(End::Closed),
            () => ended,
        };
        if let Some(ended) = ended {
            return Ok(ended);
        }
        sleep(PAUSE);
    }
}

fn report(sink: &Sink, source: &FrameSource<'_>, ended: End) {
    let frames = match sink.count {
        1 => "1 frame".to_owned(),
        count => format!("{count} frames"),
    };
    stderr_line!("{frames} {}; {}", sink.target(), ended.text());
    match source.missed() {
        0 => {}
        missed => stderr_line!(
            "{missed} frames came faster than they could be read and are missing; an address (--ip), \
             --drops or a shorter --snaplen leave fewer to copy"
        ),
    }
}

/// The destination of frames.
struct Sink {
    output: Output,
    /// The file; `None` for standard output.
    path: Option<PathBuf>,
    count: u64,
}

enum Output {
    File(CaptureFile<Box<dyn Write>>),
    Lines(Box<RecordPrinter>),
}

impl Sink {
    fn open(args: &CaptureArgs) -> Result<Self, CommandError> {
        let Some(path) = &args.write else {
            let printer = RecordPrinter::new(args.output.unwrap_or_default(), args.numeric);
            return Ok(Self {
                output: Output::Lines(Box::new(printer)),
                path: None,
                count: 0,
            });
        };
        let is_stdout = path.as_os_str() == STDOUT;
        if is_stdout && io::stdout().is_terminal() {
            return Err(CommandError::Usage(
                "-w -: standard output is a terminal; name a file, or pipe the frames to a program such as \
                 tshark -r -"
                    .to_owned(),
            ));
        }
        let failed = |error: io::Error| CommandError::Archive(path.clone(), error);
        let writer = writer(path, is_stdout).map_err(failed)?;
        let file = CaptureFile::new(writer, args.snaplen).map_err(failed)?;
        Ok(Self {
            output: Output::File(file),
            path: (!is_stdout).then(|| path.clone()),
            count: 0,
        })
    }

    /// The destination, as part of a sentence.
    fn target(&self) -> String {
        match (&self.path, &self.output) {
            (Some(path), _) => format!("to {}", path.display()),
            (None, Output::File(_)) => "to standard output".to_owned(),
            (None, Output::Lines(_)) => "as lines".to_owned(),
        }
    }

    /// Writes frames. Returns whether the file has reached `size` bytes.
    fn accept(&mut self, frames: &[NamedFrame], size: u64) -> Result<bool, CommandError> {
        let file = match &mut self.output {
            Output::Lines(printer) => {
                printer.print(frames.iter().map(|frame| frame.packet.clone()).collect());
                self.count += frames.len() as u64;
                return Ok(false);
            }
            Output::File(file) => file,
        };
        let path = self.path.clone().unwrap_or_else(|| STDOUT.into());
        let failed = |error: io::Error| CommandError::Archive(path.clone(), error);
        for frame in frames {
            if file.written() >= size {
                break;
            }
            let written = file.write(&FileFrame {
                time: frame.time,
                packet: &frame.packet,
                bytes: &frame.bytes,
                frame_bytes: frame.frame_bytes,
                revision: frame.revision,
            });
            written.map_err(failed)?;
            self.count += 1;
        }
        // After each reading, so that the file is whole if this process is killed.
        file.flush().map_err(failed)?;
        Ok(file.written() >= size)
    }
}

/// Frames contain the data of endpoints, so only the owner may read the file. A file that exists is emptied, if it
/// is a plain file of this user.
fn writer(path: &Path, is_stdout: bool) -> io::Result<Box<dyn Write>> {
    if is_stdout {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(path)?;
    let known = file.metadata()?;
    if !known.is_file() || known.uid() != geteuid().as_raw() {
        return Err(io::Error::other(
            "it exists and is no plain file of this user",
        ));
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    Ok(Box::new(BufWriter::new(file)))
}
