//! The source of all responses, and the error of a response.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::api;
use crate::api_live::{Live, LiveQuery};
use crate::api_records::RecordsQuery;
use crate::api_talkers::{FlowTop, Talkers, TalkersQuery};

/// The source of all responses. A call may take as long as reading the maps takes; it must not wait
/// for packets or files.
pub trait ApiBackend: Send + Sync + 'static {
    /// The overall state.
    ///
    /// # Errors
    /// This and all other methods fail if the pinned maps cannot be read.
    fn status(&self) -> Result<api::Status, Problem>;
    /// All rules, or the rules that the query names.
    fn rules(&self, query: api::RulesQuery) -> Result<api::Rules, Problem>;
    /// The flow list, as a stream.
    fn flows(&self, query: api::FlowQuery) -> Result<LineStream, Problem>;
    /// Records of packets, as a stream.
    fn records(&self, query: RecordsQuery) -> Result<LineStream, Problem>;
    /// Fill and events of the flow table.
    fn flow_stats(&self) -> Result<api::FlowStats, Problem>;
    /// Packets by interface, verdict and reason.
    fn counters(&self) -> Result<api::Counters, Problem>;
    /// The blocked prefixes.
    fn blocks(&self) -> Result<api::Blocks, Problem>;
    /// Live state for one connection, beyond its policy verdict.
    fn live(&self, query: LiveQuery) -> Result<Live, Problem>;
    /// Talkers of dropped and new traffic.
    fn talkers(&self, query: TalkersQuery) -> Result<Talkers, Problem>;
    /// Addresses and ports with most flows.
    fn flow_top(&self, query: TalkersQuery) -> Result<FlowTop, Problem>;
    /// Everything, then the changes of each second, as a stream.
    fn watch(&self) -> Result<LineStream, Problem>;
    /// All metrics, in the format that the `Accept` header asks for.
    fn metrics(&self, accept: &str) -> Result<MetricsFormat, Problem>;
}

/// Metrics in one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsFormat {
    /// Value of the header `Content-Type`.
    pub content_type: &'static str,
    /// The exposition.
    pub text: String,
}

/// Accepts lines for a client.
pub trait LineSink {
    /// Sends a chunk of whole lines; returns false if the client has disconnected or does not read.
    fn send(&mut self, lines: Bytes) -> bool;
    /// Whether the client is still there.
    fn is_open(&self) -> bool;
}

/// Writes all lines into a sink, in chunks; stops when the sink accepts no more.
type WriteLines = Box<dyn FnOnce(&mut dyn LineSink) + Send>;

/// An answer of JSON lines that is written while its data is read.
pub struct LineStream {
    /// Value of the header [`LINES_HEADER`]: the fields that all lines share, as JSON.
    pub common: String,
    /// Writes the lines.
    pub write: WriteLines,
}

/// The header with the fields that all lines of an answer share: for flows an [`api::Stamp`], for records a
/// [`crate::api_records::RecordsSummary`].
pub(crate) const LINES_HEADER: &str = "bailey-stamp";

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// The error message.
    pub error: String,
    /// Whether the request is invalid (status 400); otherwise the data is unavailable (503).
    #[serde(default)]
    pub question: bool,
}

impl Problem {
    /// The request is invalid.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            question: true,
        }
    }

    pub(crate) fn internal() -> Self {
        Self {
            error: "internal error: a handler of the control API panicked".to_owned(),
            question: false,
        }
    }
}

impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        Self {
            error: error.to_string(),
            question: false,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = if self.question {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(self)).into_response()
    }
}

/// Size of a request's buffer. The last read may exceed it by as much, so a request has at most 64 KiB.
pub(crate) const REQUEST_BYTES: usize = 32 << 10;

/// Longest time for a client to send its request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
