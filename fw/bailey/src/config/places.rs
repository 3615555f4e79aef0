use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Control {
    pub group: String,
}

/// `[paths]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Paths {
    pub pins: PathBuf,
    pub run: PathBuf,
    pub state: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "explained in configs/bailey.toml")]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The least important lines that are logged.
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
    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.run.join("bailey.sock")
    }
}
