use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::server::Problem;

/// The longest wait for an answer: a daemon that is stopped accepts and says nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer: a full table of 2^24 flows is some gigabytes and read in another way.
const ANSWER_MAX: usize = 1 << 30;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no bailey answers: {0}")]
    Unreachable(#[source] io::Error),
    /// The socket is not for this user.
    #[error("not permitted; members of the group of the socket and root may ask")]
    Denied,
    /// The daemon has a reason.
    #[error("bailey answers: {0}")]
    Refused(String),
    /// What came is no answer.
    #[error("bailey's answer cannot be read: {0}")]
    Garbled(String),
    /// Nothing came.
    #[error("bailey does not answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// Asks for a path and waits for the answer.
///
/// # Errors
/// If there is no daemon, it does not answer, or not in this version's words.
pub fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ClientError::Unreachable)?;
    let (status, body) = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, ask(socket, path)).await })
        .map_err(|_| ClientError::Silent)??;
    if status != StatusCode::OK {
        let problem = serde_json::from_slice::<Problem>(&body);
        return Err(ClientError::Refused(
            problem.map_or_else(|_| status.to_string(), |problem| problem.error),
        ));
    }
    serde_json::from_slice(&body).map_err(|error| ClientError::Garbled(error.to_string()))
}

async fn ask(socket: &Path, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Denied,
            _ => ClientError::Unreachable(error),
        })?;
    let garbled = |error: hyper::Error| ClientError::Garbled(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(garbled)?;
    let request = Request::get(path)
        .header("host", "bailey")
        .body(Empty::<Bytes>::new())
        .map_err(|error| ClientError::Garbled(error.to_string()))?;
    // What ends the connection early ends the exchange with an error; the daemon ends it after each.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(garbled)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|error| ClientError::Garbled(error.to_string()))?;
    Ok((status, body.to_bytes()))
}
