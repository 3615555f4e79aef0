//! A network namespace and its thread.

use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace. It exists as long as one of its users: this thread, a socket or a child
/// process.
#[derive(Debug, Clone)]
pub struct Namespace {
    jobs: Sender<Job>,
    tid: i32,
}

/// Frame counters of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// Frames received since the interface exists.
    pub received: u64,
    /// Frames sent; a real NIC counts a frame after its transmission.
    pub sent: u64,
}

impl Namespace {
    /// Creates a namespace with loopback up.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN.
    pub fn new() -> Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let (ready, started) = channel();
        thread::spawn(move || {
            let result = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid().as_raw());
            if ready.send(result).is_ok() {
                queue.into_iter().for_each(|job| job());
            }
        });
        let tid = started
            .recv()?
            .context("cannot create a network namespace")?;
        let namespace = Self { jobs, tid };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Runs a closure in the namespace: its sockets and child processes belong there.
    ///
    /// # Panics
    /// If the closure panics.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (send, receive) = channel();
        let sent = self.jobs.send(Box::new(move || {
            let _ = send.send(job());
        }));
        assert!(sent.is_ok(), "the thread of the namespace has ended");
        receive.recv().expect("a job in a namespace panicked")
    }

    /// Runs `ip` with these arguments, separated by blanks.
    ///
    /// # Errors
    /// If `ip` fails; the message contains its standard error.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        self.command("ip", arguments)
    }

    /// Runs a program in the namespace with these arguments, separated by blanks.
    ///
    /// # Errors
    /// If the program fails; the message contains its standard error.
    pub fn command(&self, program: &'static str, arguments: &str) -> Result<()> {
        let arguments = arguments.to_owned();
        self.run(move || {
            let output = Command::new(program)
                .args(arguments.split_whitespace())
                .output()
                .with_context(|| format!("cannot run {program}; install it"))?;
            if !output.status.success() {
                bail!(
                    "{program} {arguments}: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                );
            }
            Ok(())
        })
    }

    /// Sets a sysctl of the namespace.
    ///
    /// # Errors
    /// If the sysctl does not exist.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        let value = value.to_owned();
        self.run(move || std::fs::write(&path, value).with_context(|| path))
    }

    /// The frame counters of an interface.
    ///
    /// # Errors
    /// If there is no interface with this name.
    pub fn frames(&self, interface: &str) -> Result<Frames> {
        let interface = interface.to_owned();
        self.run(move || {
            let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
            let mut lines = text.lines().map(str::trim_start);
            let line = lines
                .find_map(|line| line.strip_prefix(&interface)?.strip_prefix(':'))
                .with_context(|| format!("no interface {interface}"))?;
            let fields: Vec<&str> = line.split_whitespace().collect();
            let field = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
            let (received, sent) = field(1)
                .zip(field(9))
                .context("/proc/net/dev: unknown format")?;
            Ok(Frames { received, sent })
        })
    }

    /// The id of the thread, by which `ip link … netns` finds the namespace.
    pub fn id(&self) -> i32 {
        self.tid
    }
}
