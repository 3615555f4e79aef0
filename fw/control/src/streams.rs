//! Answers of JSON lines that are sent while they are made.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::backend::{ApiBackend, LINES_HEADER, LineSink, LineStream, Problem};

/// Most chunks that wait for the client.
const MAX_QUEUED_CHUNKS: usize = 4;
/// Longest time that a chunk waits for a client which does not read.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type QueryResult<Q> = Result<Query<Q>, QueryRejection>;

/// Whether a connection sends a stream that its client reads. Such a connection has no time limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamFlag(Arc<AtomicBool>);

impl StreamFlag {
    /// Returns once a connection has lasted for `limit` and sends no stream.
    pub(crate) async fn outlasted(&self, limit: Duration) {
        tokio::time::sleep(limit).await;
        while self.0.load(Ordering::Acquire) {
            tokio::time::sleep(SEND_TIMEOUT).await;
        }
    }
}

/// Clears the flag at the end of a stream.
struct Streaming(StreamFlag);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// Streams an answer. The reading thread waits for the client, so the answer is never held in memory as a
/// whole.
pub(crate) async fn stream_lines<Q: Send + 'static>(
    backend: Arc<dyn ApiBackend>,
    limit: Arc<Semaphore>,
    Extension(flag): Extension<StreamFlag>,
    query: QueryResult<Q>,
    open: fn(&dyn ApiBackend, Q) -> Result<LineStream, Problem>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return Problem::bad_request(rejection.body_text()).into_response(),
    };

    // The reading thread sends the header or an error first, then chunks.
    let permit = limit.acquire_owned().await;
    let (begin, began) = oneshot::channel();
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_CHUNKS);
    flag.0.store(true, Ordering::Release);
    let streaming = Streaming(flag);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let _streaming = streaming;
        match open(&*backend, query) {
            Err(problem) => drop(begin.send(Err(problem))),
            Ok(LineStream { common, write }) => {
                if begin.send(Ok(common)).is_ok() {
                    write(&mut ChunkSink {
                        sender,
                        runtime: Handle::current(),
                    });
                }
            }
        }
    });

    // The status of the response depends on the first message.
    match began.await {
        Ok(Ok(common)) => {
            let headers = [
                ("content-type", "application/x-ndjson".to_owned()),
                (LINES_HEADER, common),
            ];
            (headers, Body::new(ChunkBody(receiver))).into_response()
        }
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}

/// Hands chunks to the connection.
struct ChunkSink {
    sender: mpsc::Sender<Bytes>,
    runtime: Handle,
}

impl LineSink for ChunkSink {
    fn send(&mut self, chunk: Bytes) -> bool {
        // A client that reads has a free place at once.
        match self.sender.try_send(chunk) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(chunk)) => {
                let sent = self.sender.send_timeout(chunk, SEND_TIMEOUT);
                self.runtime.block_on(sent).is_ok()
            }
        }
    }

    fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }
}

/// A response body that is sent in chunks.
struct ChunkBody(mpsc::Receiver<Bytes>);

impl http_body::Body for ChunkBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
