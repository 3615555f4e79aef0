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

/// A running `bailey run` and its log. Dropping it stops it as Ctrl-C does.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    binary: PathBuf,
}

/// Where the daemon finds its policies, below the lab's root.
pub const POLICIES: &str = "policies";

/// The configuration, below the lab's root.
pub const CONFIG: &str = "bailey.toml";

/// Writes a configuration that keeps everything below a root. `top` are its options before the
/// first table.
///
/// # Errors
/// If it cannot be written.
pub fn configure(root: &Path, top: &str) -> Result<()> {
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
    /// Starts the binary in the node's namespace, on the NIC, with everything it keeps below the
    /// lab's root. `extra` is added to the configuration, before its tables.
    ///
    /// # Errors
    /// If it cannot be started; whether it then enforces is for [`Self::wait_for`] to find out.
    pub fn start(lab: &Lab, binary: &Path, extra: &str) -> Result<Self> {
        configure(lab.root(), &format!("interfaces = [\"{NIC}\"]\n{extra}"))?;
        Self::launch(&lab.node, lab.root(), binary, &[])
    }

    /// Starts the binary in a namespace with the configuration that [`configure`] has written.
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
                // setpriv: the daemon must not outlive the lab, however the lab ends.
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
    /// If the daemon ends or the time is up before; the message has the whole log.
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
                        RecvTimeoutError::Timeout => "the time is up",
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

    /// Everything it has logged until now.
    pub fn log(&mut self) -> &[String] {
        self.log.extend(self.lines.try_iter());
        &self.log
    }

    /// Runs the binary with a verb that reads what the daemon has pinned, and returns what it
    /// prints.
    ///
    /// # Errors
    /// If it fails.
    pub fn ask(&self, lab: &Lab, verb: &str) -> Result<String> {
        let answer = ask(&lab.node, lab.root(), &self.binary, verb)?;
        if !answer.status.success() {
            bail!("{}", String::from_utf8_lossy(&answer.stderr));
        }
        Ok(String::from_utf8(answer.stdout)?)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes the pipe that it logs to.
    pub fn stop_listening(&mut self) {
        let (_, nothing) = channel();
        // The thread that reads ends with the next line, and with it the pipe.
        self.lines = nothing;
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), signal).context("kill")
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

/// Runs the binary with a verb and the lab's configuration.
///
/// # Errors
/// If it cannot be run.
pub fn ask(namespace: &Namespace, root: &Path, binary: &Path, verb: &str) -> Result<Output> {
    let words: Vec<&str> = verb.split_whitespace().collect();
    ask_words(namespace, root, binary, &words)
}

/// The same, where words may have blanks.
///
/// # Errors
/// If it cannot be run.
pub fn ask_words(
    namespace: &Namespace,
    root: &Path,
    binary: &Path,
    words: &[&str],
) -> Result<Output> {
    let (binary, config) = (binary.to_owned(), root.join(CONFIG));
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let output = namespace.run(move || {
        Command::new(binary)
            .args(words)
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
