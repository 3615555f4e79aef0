//! `[control]`, `[paths]` and `[log]`: the control socket, the directories, the log.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// The group whose members may use the control socket.
    pub group: String,
}

/// `[paths]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Paths {
    /// Directory on a bpffs for pinned maps and links.
    pub pins: PathBuf,
    /// Directory of the control socket and the lock.
    pub run: PathBuf,
    /// Directory of the rule ids.
    pub state: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Severity of log lines, in descending order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            group: "bailey".into(),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            pins: "/sys/fs/bpf/bailey".into(),
            run: "/run/bailey".into(),
            state: "/var/lib/bailey".into(),
        }
    }
}

impl Paths {
    /// Path of the control socket.
    pub fn socket(&self) -> PathBuf {
        self.run.join("bailey.sock")
    }

    /// Relative paths would depend on the daemon's working directory.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self { pins, run, state } = self;
        for (key, path) in [("pins", pins), ("run", run), ("state", state)] {
            if !path.is_absolute() {
                return Err(format!(
                    "paths.{key} = {path:?}: must be absolute, as in \"/run/bailey\""
                ));
            }
        }
        Ok(())
    }
}
