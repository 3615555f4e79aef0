use std::io;
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::api::{FlowQuery, Stamp, path};
use crate::server::{Problem, STAMP_HEADER};

/// The longest wait for an answer: a daemon that is stopped accepts and says nothing.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer in one piece: some millions of rules.
const MAX_RESPONSE_BYTES: usize = 1 << 30;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no bailey answers: {0}")]
    Unreachable(#[source] io::Error),
    /// The socket is not for this user.
    #[error(
        "not permitted: the control socket answers root (who has CAP_DAC_OVERRIDE) and members of its \
         group; see [control] group"
    )]
    PermissionDenied,
    /// The daemon has a reason.
    #[error("bailey answers: {0}")]
    Refused(String),
    /// The question is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// What came is no answer.
    #[error("bailey's answer cannot be read: {0}")]
    Malformed(String),
    /// Nothing came.
    #[error("bailey does not answer within {} s", RESPONSE_TIMEOUT.as_secs())]
    Timeout,
}

/// Asks for a path and waits for the answer.
///
/// # Errors
/// If there is no daemon, it does not answer, or not in this version's words.
pub fn get<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    query: &impl Serialize,
) -> Result<T, ClientError> {
    let whole = async {
        let answer = send_request(socket, path, query).await?;
        read_body(answer).await
    };
    let (status, body) = block_on(async { with_timeout(whole).await? })?;
    if status != StatusCode::OK {
        return Err(error_of_response(status, &body));
    }
    serde_json::from_slice(&body).map_err(|error| ClientError::Malformed(error.to_string()))
}

/// Asks for flows: says when and where they were read, then hands over pieces of their lines, until
/// all came or the function says false.
///
/// # Errors
/// As [`get`]; also if the daemon falls silent under way.
pub fn stream_flows(
    socket: &Path,
    query: &FlowQuery,
    begin: impl FnOnce(Stamp),
    mut piece: impl FnMut(&[u8]) -> bool,
) -> Result<(), ClientError> {
    block_on(async {
        let answer = with_timeout(send_request(socket, path::FLOWS, query)).await??;
        if answer.status() != StatusCode::OK {
            let (status, body) = with_timeout(read_body(answer)).await??;
            return Err(error_of_response(status, &body));
        }
        let stamp = answer.headers().get(STAMP_HEADER);
        let stamp = stamp.and_then(|stamp| serde_json::from_slice(stamp.as_bytes()).ok());
        begin(stamp.ok_or_else(|| ClientError::Malformed("it has no stamp".into()))?);
        let mut body = answer.into_body();
        while let Some(frame) = with_timeout(body.frame()).await? {
            let frame = frame.map_err(malformed)?;
            if let Some(data) = frame.data_ref()
                && !piece(data)
            {
                break;
            }
        }
        Ok(())
    })
}

fn block_on<T>(work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ClientError::Unreachable)?;
    runtime.block_on(work)
}

async fn with_timeout<T>(work: impl Future<Output = T>) -> Result<T, ClientError> {
    let waited = tokio::time::timeout(RESPONSE_TIMEOUT, work).await;
    waited.map_err(|_| ClientError::Timeout)
}

fn malformed(error: hyper::Error) -> ClientError {
    ClientError::Malformed(error.to_string())
}

fn error_of_response(status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.question => ClientError::BadRequest(problem.error),
        Ok(problem) => ClientError::Refused(problem.error),
        Err(_) => ClientError::Refused(status.to_string()),
    }
}

async fn send_request(
    socket: &Path,
    path: &str,
    query: &impl Serialize,
) -> Result<Response<Incoming>, ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::PermissionDenied,
            _ => ClientError::Unreachable(error),
        })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(malformed)?;
    let query = serde_urlencoded::to_string(query)
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    let request = Request::get(format!("{path}?{query}"))
        .header("host", "bailey")
        .body(Empty::<Bytes>::new())
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    // What ends the connection early ends the exchange with an error; the daemon ends it after each.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(malformed)
}

async fn read_body(answer: Response<Incoming>) -> Result<(StatusCode, Bytes), ClientError> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_RESPONSE_BYTES)
        .collect()
        .await;
    let body = body.map_err(|error| ClientError::Malformed(error.to_string()))?;
    Ok((status, body.to_bytes()))
}
