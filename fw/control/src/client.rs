//! The client: one request per connection, with timeouts and a size limit.

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

use crate::backend::{LINES_HEADER, Problem};

/// Longest wait for a response. A stopped daemon still accepts connections but never responds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest response that is not streamed: enough for some million rules.
const MAX_RESPONSE_BYTES: usize = 1 << 30;

/// Why a request has no usable response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No process listens on the socket.
    #[error("cannot reach the bailey daemon: {0}")]
    Unreachable(#[source] io::Error),
    /// The user may not use the socket.
    #[error(
        "not permitted: the control socket accepts root (CAP_DAC_OVERRIDE) and members of its \
         group; see [control] group"
    )]
    PermissionDenied,
    /// The daemon reports an error.
    #[error("the bailey daemon reports: {0}")]
    Refused(String),
    /// The request is invalid.
    #[error("{0}")]
    BadRequest(String),
    /// The response is not valid.
    #[error("cannot parse the response of the bailey daemon: {0}")]
    Malformed(String),
    /// The daemon did not respond in time.
    #[error("no response from the daemon within {} s", RESPONSE_TIMEOUT.as_secs())]
    Timeout,
}

/// Sends a request and returns the response.
///
/// # Errors
/// If the daemon does not run, does not respond, or responds with an error or in another schema.
pub fn get<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    query: &impl Serialize,
) -> Result<T, ClientError> {
    let exchange = async {
        let response = send_request(socket, path, query).await?;
        read_body(response).await
    };
    let (status, body) = block_on(async { with_timeout(exchange).await? })?;
    if status != StatusCode::OK {
        return Err(error_of_response(status, &body));
    }
    serde_json::from_slice(&body).map_err(|error| ClientError::Malformed(error.to_string()))
}

/// Requests an answer of lines. Calls `begin` with the header that the lines have in common, then `accept` with
/// whole lines as they come, until the answer ends or `accept` returns false. `follow`: the daemon may be silent for
/// any time between two lines.
///
/// # Errors
/// Those of [`get`]; also if the daemon stops sending before the end.
pub fn stream_lines<Common: DeserializeOwned>(
    socket: &Path,
    path: &str,
    query: &impl Serialize,
    follow: bool,
    begin: impl FnOnce(Common),
    mut accept: impl FnMut(&[u8]) -> bool,
) -> Result<(), ClientError> {
    block_on(async {
        let response = with_timeout(send_request(socket, path, query)).await??;
        if response.status() != StatusCode::OK {
            let (status, body) = with_timeout(read_body(response)).await??;
            return Err(error_of_response(status, &body));
        }
        let common = response.headers().get(LINES_HEADER);
        let common = common.and_then(|common| serde_json::from_slice(common.as_bytes()).ok());
        begin(common.ok_or_else(|| ClientError::Malformed("the stamp header is missing".into()))?);
        let mut body = response.into_body();
        // Received bytes of a line that is not complete yet.
        let mut partial: Vec<u8> = Vec::new();
        loop {
            let frame = match follow {
                true => body.frame().await,
                false => with_timeout(body.frame()).await?,
            };
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(malformed)?;
            let data: &[u8] = frame.data_ref().map_or(&[], |data| data);
            let before = partial.len();
            partial.extend_from_slice(data);
            // The bytes before have no end of a line: a long line is searched once.
            let Some(end) = data.iter().rposition(|&byte| byte == b'\n') else {
                continue;
            };
            let rest = partial.split_off(before + end + 1);
            if !accept(&std::mem::replace(&mut partial, rest)) {
                return Ok(());
            }
        }
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
    // The daemon closes the connection after each response. An early close fails the request below.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(malformed)
}

async fn read_body(response: Response<Incoming>) -> Result<(StatusCode, Bytes), ClientError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES)
        .collect()
        .await;
    let body = body.map_err(|error| ClientError::Malformed(error.to_string()))?;
    Ok((status, body.to_bytes()))
}
