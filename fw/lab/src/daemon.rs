//! `bailey run` in a namespace, its log and its queries.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::namespace::Namespace;
use crate::topology::{Lab, NIC};

/// A running `bailey run` and its log. Dropping it stops the process as Ctrl-C does.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    binary: PathBuf,
}

/// The folder of the policies, below the lab's root.
pub const POLICIES: &str = "policies";

/// The configuration, below the lab's root.
pub const CONFIG: &str = "bailey.toml";

/// Writes a configuration whose paths are all below a root. `top` are its options before the first
/// table.
///
/// # Errors
/// If the file cannot be written.
pub fn write_config(root: &Path, top: &str) -> Result<()> {
    let text = format!(
        "policies = [\"{root}/{POLICIES}\"]\n{top}\n\
         [flow_table]\nflows = 4096\n\
         [paths]\npins = \"{root}/bpf/bailey\"\nrun = \"{root}/run\"\n\
         state = \"{root}/state\"\n",
        root = root.display()
    );
    fs::write(root.join(CONFIG), text).context("cannot write the configuration")
}

impl Daemon {
    /// Starts the binary in the node's namespace, on the NIC, with all its files below the lab's
    /// root. `extra` is added to the configuration, before its tables.
    ///
    /// # Errors
    /// If the process cannot be started. To learn whether it enforces, call [`Self::wait_for`].
    pub fn start(lab: &Lab, binary: &Path, extra: &str) -> Result<Self> {
        write_config(lab.root(), &format!("interfaces = [\"{NIC}\"]\n{extra}"))?;
        Self::launch(&lab.node, lab.root(), binary, &[])
    }

    /// Starts the binary in a namespace with the configuration that [`write_config`] has written.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn launch(
        namespace: &Namespace,
        root: &Path,
        binary: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let (file, program) = (root.join(CONFIG), binary.to_owned());
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut child = namespace
            .run(move || {
                // setpriv ends the daemon with the lab, also if the lab is killed.
                Command::new("setpriv")
                    .args(["--pdeathsig", "INT"])
                    .arg(program)
                    .args(["run", "--config"])
                    .arg(file)
                    .args(arguments)
                    .stdin(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
            })
            .context("cannot start bailey")?;
        let stderr = child.stderr.take().context("no stderr")?;
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            lines,
            log: Vec::new(),
            binary: binary.to_owned(),
        })
    }

    /// Waits for a log line that contains a text, and returns it.
    ///
    /// # Errors
    /// If the daemon ends or the timeout expires first; the message contains the whole log.
    pub fn wait_for(&mut self, text: &str, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.log.push(line.clone());
                    if line.contains(text) {
                        return Ok(line);
                    }
                }
                Err(error) => {
                    let why = match error {
                        RecvTimeoutError::Timeout => "the timeout has expired",
                        RecvTimeoutError::Disconnected => "bailey has ended",
                    };
                    bail!(
                        "waiting for {text:?}: {why}; its log:\n{}",
                        self.log.join("\n")
                    );
                }
            }
        }
    }

    /// All log lines until now.
    pub fn log(&mut self) -> &[String] {
        self.log.extend(self.lines.try_iter());
        &self.log
    }

    /// Runs the binary with a verb that reads the state of the daemon, and returns its standard
    /// output.
    ///
    /// # Errors
    /// If the verb fails.
    pub fn query(&self, lab: &Lab, verb: &str) -> Result<String> {
        let answer = query(&lab.node, lab.root(), &self.binary, verb)?;
        if !answer.status.success() {
            bail!("{}", String::from_utf8_lossy(&answer.stderr));
        }
        Ok(String::from_utf8(answer.stdout)?)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes the pipe of the log.
    pub fn close_log(&mut self) {
        let (_, unused) = channel();
        // The reading thread ends at the next line and closes the pipe.
        self.lines = unused;
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), signal).context("kill")
    }

    /// Waits until the process ends.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

/// Runs the binary with a verb, its arguments separated by blanks, and the lab's configuration.
///
/// # Errors
/// If the binary cannot be run.
pub fn query(namespace: &Namespace, root: &Path, binary: &Path, verb: &str) -> Result<Output> {
    let arguments: Vec<&str> = verb.split_whitespace().collect();
    query_args(namespace, root, binary, &arguments)
}

/// As [`query`], with arguments that may contain blanks.
///
/// # Errors
/// If the binary cannot be run.
pub fn query_args(
    namespace: &Namespace,
    root: &Path,
    binary: &Path,
    arguments: &[&str],
) -> Result<Output> {
    let (binary, config) = (binary.to_owned(), root.join(CONFIG));
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let output = namespace.run(move || {
        Command::new(binary)
            .args(arguments)
            .arg("--config")
            .arg(config)
            .output()
    });
    output.context("cannot run bailey")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.signal(Signal::SIGINT).is_ok() && self.signal(Signal::SIGCONT).is_ok() {
            let _ = self.child.wait();
        }
    }
}
