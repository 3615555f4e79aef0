//! The control API: HTTP/JSON on a unix socket. `curl --unix-socket /run/bailey/bailey.sock
//! http://bailey/v1/status` works; so does [`client::get`].
//!
//! The server knows nothing of Bailey: it asks a [`ApiBackend`](server::ApiBackend) and bounds what clients
//! can cost.
#![forbid(unsafe_code)]

/// What is asked for and answered.
pub mod api;
/// Asks.
pub mod client;
/// Answers.
pub mod server;

pub use client::ClientError;
pub use server::{ApiBackend, FlowStream, Problem, Server};
