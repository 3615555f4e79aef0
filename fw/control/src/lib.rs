//! The control API: HTTP with JSON over a Unix socket. Use [`client::get`], or `curl --unix-socket
//! /run/bailey/bailey.sock http://bailey/v1/status`.
//!
//! The server gets all data from an [`ApiBackend`] and limits the resources that clients can use.
//! It reads no maps and no files itself.
#![forbid(unsafe_code)]

/// Paths, queries and responses.
pub mod api;
/// Records of packets.
pub mod api_records;
/// The client: sends one request and reads the response.
pub mod client;
/// The server, with limits on clients.
pub mod server;

pub use client::ClientError;
pub use server::{ApiBackend, FlowStream, Problem, Server};
