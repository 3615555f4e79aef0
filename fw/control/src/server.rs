//! The server: one thread that serves the control socket, with limits on clients, on concurrent
//! reads and on time. All data comes from an [`ApiBackend`].

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http_body::Frame;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::api::{self, path};

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
    fn flows(&self, query: api::FlowQuery) -> Result<FlowStream, Problem>;
    /// Fill and events of the flow table.
    fn flow_stats(&self) -> Result<api::FlowStats, Problem>;
    /// Packets by interface, verdict and reason.
    fn counters(&self) -> Result<api::Counters, Problem>;
    /// The blocked prefixes.
    fn blocks(&self) -> Result<api::Blocks, Problem>;
    /// Live state for one connection, beyond its policy verdict.
    fn live(&self, query: api::LiveQuery) -> Result<api::Live, Problem>;
}

/// Writes all lines into a sink, in chunks; stops when the sink returns false.
type WriteLines = Box<dyn FnOnce(&mut LineSink<'_>) + Send>;
/// Accepts a chunk of whole lines; returns false if the client has disconnected.
type LineSink<'a> = dyn FnMut(Vec<u8>) -> bool + 'a;

/// A flow list that is written while the flow table is read.
pub struct FlowStream {
    /// Time and origin of the list.
    pub stamp: api::Stamp,
    /// Writes the list as lines of JSON.
    pub write: WriteLines,
}

/// The header with the stamp of a flow list, because the lines of the list have no common part.
pub(crate) const STAMP_HEADER: &str = "bailey-stamp";

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

    fn internal() -> Self {
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

/// Most clients served at the same time; further clients wait in the socket's backlog.
const MAX_CLIENTS: usize = 16;
/// Most responses prepared at the same time, including those whose clients have disconnected.
const MAX_RESPONSES: usize = 2;
/// Most flow lists written at the same time. A separate limit, so that slow readers of flow lists
/// delay no other response.
const MAX_FLOW_LISTS: usize = 2;
/// Most chunks of a flow list that wait for the client.
const MAX_QUEUED_CHUNKS: usize = 4;
/// Longest time for a client to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest duration of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// The thread that serves the socket. It runs until the process ends.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be created.
    pub fn start(listener: StdListener, backend: Arc<dyn ApiBackend>) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("control".into())
            .spawn(move || runtime.block_on(serve(listener, backend)))
            .map(drop)
    }
}

/// A connected client.
struct Client {
    task: JoinHandle<()>,
    /// Whether the client has sent its request.
    has_request: Arc<AtomicBool>,
}

async fn serve(listener: StdListener, backend: Arc<dyn ApiBackend>) {
    let Ok(listener) = UnixListener::from_std(listener) else {
        return;
    };
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    let router = router(backend);
    let mut connected: VecDeque<Client> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of file descriptors; wait until other connections close.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };

        // At the limit, disconnects the oldest client that has not sent a request.
        connected.retain(|client| !client.task.is_finished());
        if clients.available_permits() == 0 {
            let idle = connected
                .iter()
                .position(|client| !client.has_request.load(Ordering::Acquire));
            if let Some(client) = idle.and_then(|at| connected.remove(at)) {
                client.task.abort();
            }
        }

        // Serves one request in a task of its own.
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else {
            return;
        };
        let handler = TowerToHyperService::new(router.clone());
        let has_request = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&has_request);
        let task = tokio::spawn(async move {
            let service = service_fn(move |request| {
                flag.store(true, Ordering::Release);
                handler.call(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIMEOUT)
                // One request per connection, because connections are limited.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // An error or timeout concerns only this client, which gets no response.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(permit);
        });
        connected.push_back(Client { task, has_request });
    }
}

fn router(backend: Arc<dyn ApiBackend>) -> Router {
    Router::new()
        .route(path::STATUS, get(|s| respond(s, |s| s.status())))
        .route(
            path::RULES,
            get(|q, s| respond_to_query(s, q, |s, q| s.rules(q))),
        )
        .route(path::FLOWS, get(respond_flows))
        .route(path::FLOW_STATS, get(|s| respond(s, |s| s.flow_stats())))
        .route(path::COUNTERS, get(|s| respond(s, |s| s.counters())))
        .route(path::BLOCKS, get(|s| respond(s, |s| s.blocks())))
        .route(
            path::LIVE,
            get(|q, s| respond_to_query(s, q, |s, q| s.live(q))),
        )
        .fallback(|| async {
            let problem = Problem::bad_request("unknown path; try /v1/status");
            (StatusCode::NOT_FOUND, Json(problem))
        })
        .with_state(ServerState {
            backend,
            responses: Arc::new(Semaphore::new(MAX_RESPONSES)),
            flow_lists: Arc::new(Semaphore::new(MAX_FLOW_LISTS)),
        })
}

#[derive(Clone)]
struct ServerState {
    backend: Arc<dyn ApiBackend>,
    responses: Arc<Semaphore>,
    flow_lists: Arc<Semaphore>,
}

type QueryResult<Q> = Result<Query<Q>, QueryRejection>;

/// Responds to a request with query parameters.
async fn respond_to_query<Q: Send + 'static, T: Serialize + Send + 'static>(
    state: State<ServerState>,
    query: QueryResult<Q>,
    read: impl FnOnce(&dyn ApiBackend, Q) -> Result<T, Problem> + Send + 'static,
) -> Response {
    match query {
        Ok(Query(query)) => respond(state, |backend| read(backend, query)).await,
        Err(rejection) => Problem::bad_request(rejection.body_text()).into_response(),
    }
}

/// Responds with the value that `read` returns. Runs `read` on a separate thread, because reading
/// maps blocks.
async fn respond<T: Serialize + Send + 'static>(
    State(state): State<ServerState>,
    read: impl FnOnce(&dyn ApiBackend) -> Result<T, Problem> + Send + 'static,
) -> Response {
    let permit = state.responses.acquire_owned().await;
    let work = move || {
        let _permit = permit;
        read(&*state.backend)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}

/// Streams the flow list. The reading thread waits for the client, so the list is never held in
/// memory as a whole.
async fn respond_flows(
    query: QueryResult<api::FlowQuery>,
    State(state): State<ServerState>,
) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return Problem::bad_request(rejection.body_text()).into_response(),
    };

    // The reading thread sends the stamp or an error first, then chunks.
    let permit = state.flow_lists.acquire_owned().await;
    let (begin, began) = oneshot::channel();
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_CHUNKS);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        match state.backend.flows(query) {
            Err(problem) => drop(begin.send(Err(problem))),
            Ok(FlowStream { stamp, write }) => {
                if begin.send(Ok(stamp)).is_ok() {
                    write(&mut |piece| sender.blocking_send(Bytes::from(piece)).is_ok());
                }
            }
        }
    });

    // The status of the response depends on the first message.
    match began.await {
        Ok(Ok(stamp)) => {
            let stamp = serde_json::to_string(&stamp).unwrap_or_default();
            let headers = [
                ("content-type", "application/x-ndjson".to_owned()),
                (STAMP_HEADER, stamp),
            ];
            (headers, Body::new(ChunkBody(receiver))).into_response()
        }
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::internal().into_response(),
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
