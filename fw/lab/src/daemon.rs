use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::topology::{Lab, NIC};

/// A running `bailey run` and its log. Dropping it stops it as Ctrl-C does.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    config: PathBuf,
    binary: PathBuf,
}

/// Where the daemon finds its policies, below the lab's root.
pub const POLICIES: &str = "policies";

impl Daemon {
    /// Starts the binary in the node's namespace, on the NIC, with everything it keeps below the
    /// lab's root. `extra` is added to the configuration, before its tables.
    ///
    /// # Errors
    /// If it cannot be started; whether it then enforces is for [`Self::wait_for`] to find out.
    pub fn start(lab: &Lab, binary: &Path, extra: &str) -> Result<Self> {
        let root = lab.root();
        let config = root.join("bailey.toml");
        let text = format!(
            "interfaces = [\"{NIC}\"]\npolicies = [\"{root}/{POLICIES}\"]\n{extra}\n\
             [flow_table]\nflows = 4096\n\
             [paths]\npins = \"{root}/bpf/bailey\"\nrun = \"{root}/run\"\n\
             state = \"{root}/state\"\n",
            root = root.display()
        );
        fs::write(&config, text)?;
        let (arguments, program) = (config.clone(), binary.to_owned());
        let mut child = lab
            .node
            .run(move || {
                // setpriv: the daemon must not outlive the lab, however the lab ends.
                Command::new("setpriv")
                    .args(["--pdeathsig", "INT"])
                    .arg(program)
                    .args(["run", "--config"])
                    .arg(arguments)
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
            config,
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
        let (binary, config, verb) = (self.binary.clone(), self.config.clone(), verb.to_owned());
        let output = lab.node.run(move || {
            Command::new(binary)
                .args(verb.split_whitespace())
                .arg("--config")
                .arg(config)
                .output()
        })?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
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

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.signal(Signal::SIGINT).is_ok() {
            let _ = self.child.wait();
        }
    }
}
