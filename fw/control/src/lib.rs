//! The control API: HTTP with JSON over a Unix socket. Use [`client::get`], or `curl --unix-socket
//! /run/bailey/bailey.sock http://bailey/v1/status`.
//!
//! The server gets all data from an [`ApiBackend`] and limits the resources that clients can use.
//! It reads no maps and no files itself.
#![forbid(unsafe_code)]

/// Paths, queries and responses.
pub mod api;
/// State of one connection.
pub mod api_live;
/// Records of packets.
pub mod api_records;
/// The name of a rule.
mod api_rule_name;
/// Talkers.
pub mod api_talkers;
/// Updates of each second.
pub mod api_watch;
/// The source of all responses.
mod backend;
/// The client: sends one request and reads the response.
pub mod client;
/// `/metrics` over TCP.
mod metrics_server;
/// JSON Schemas of all answers.
#[cfg(feature = "schema")]
pub mod schema;
/// The server, with limits on clients.
pub mod server;
/// Answers that are sent while they are made.
mod streams;

pub use axum::body::Bytes;
pub use backend::{ApiBackend, LineSink, LineStream, MetricsFormat, Problem};
pub use client::ClientError;
pub use server::Server;
