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

/// Who knows the answers. Every call may read maps for a while; none may wait for packets or files.
pub trait ApiBackend: Send + Sync + 'static {
    /// One screen of truth.
    ///
    /// # Errors
    /// If what is pinned cannot be read; likewise below.
    fn status(&self) -> Result<api::Status, Problem>;
    /// Every rule, or those that a query names.
    fn rules(&self, query: api::RulesQuery) -> Result<api::Rules, Problem>;
    /// Flows, to be read one after the other.
    fn flows(&self, query: api::FlowQuery) -> Result<FlowStream, Problem>;
    /// Pressure on the flow table.
    fn flow_stats(&self) -> Result<api::FlowStats, Problem>;
    /// Packets by reason.
    fn counters(&self) -> Result<api::Counters, Problem>;
    /// What is blocked.
    fn blocks(&self) -> Result<api::Blocks, Problem>;
    /// What is there beside policy for a connection.
    fn live(&self, query: api::LiveQuery) -> Result<api::Live, Problem>;
}

/// Writes pieces, until all are written or it says false.
type WriteLines = Box<dyn FnOnce(&mut LineSink<'_>) + Send>;
/// Takes a piece of whole lines; false if nobody wants more.
type LineSink<'a> = dyn FnMut(Vec<u8>) -> bool + 'a;

/// Flows that are written when they are asked for.
pub struct FlowStream {
    /// When and where.
    pub stamp: api::Stamp,
    /// Hands over lines of JSON in pieces, until all are or the function says false.
    pub write: WriteLines,
}

/// The header that says when and where flows were read: their lines do not have one place for it.
pub(crate) const STAMP_HEADER: &str = "bailey-stamp";

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
    /// Is it the question that is wrong?
    #[serde(default)]
    pub question: bool,
}

impl Problem {
    /// With the question.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            question: true,
        }
    }

    fn internal() -> Self {
        Self {
            error: "a defect: the answer could not be made".to_owned(),
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

/// Clients served at one time; more wait in the socket's queue.
const MAX_CLIENTS: usize = 16;
/// Answers that are made at one time, also for clients that have gone away.
const MAX_RESPONSES: usize = 2;
/// Lists of flows that are written at one time. A client that reads slowly holds one up, and no other
/// answer.
const MAX_FLOW_LISTS: usize = 2;
/// ChunkBody of a list that wait for the client.
const MAX_QUEUED_CHUNKS: usize = 4;
/// The longest a client may take to ask.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// A thread that answers. It ends with the process.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts to answer on a socket.
    ///
    /// # Errors
    /// If there can be no runtime.
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

/// A client that is connected.
struct Client {
    task: JoinHandle<()>,
    /// Has it asked something?
    asked: Arc<AtomicBool>,
}

async fn serve(listener: StdListener, backend: Arc<dyn ApiBackend>) {
    let Ok(listener) = UnixListener::from_std(listener) else {
        return;
    };
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    let router = router(backend);
    let mut waiting: VecDeque<Client> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others will close some.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        waiting.retain(|client| !client.task.is_finished());
        if clients.available_permits() == 0 {
            // Who has asked nothing yet makes way, the oldest first.
            let idle = waiting
                .iter()
                .position(|client| !client.asked.load(Ordering::Acquire));
            if let Some(client) = idle.and_then(|at| waiting.remove(at)) {
                client.task.abort();
            }
        }
        let Ok(permit) = Arc::clone(&clients).acquire_owned().await else {
            return;
        };
        let state = TowerToHyperService::new(router.clone());
        let asked = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let service = service_fn(move |request| {
                noted.store(true, Ordering::Release);
                state.call(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIMEOUT)
                // One question each: who keeps a connection keeps it from others.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away or takes too long has no answer; nobody else is concerned.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(permit);
        });
        waiting.push_back(Client { task, asked });
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
            let problem = Problem::bad_request("there is no such path; /v1/status is one");
            (StatusCode::NOT_FOUND, Json(problem))
        })
        .with_state(ServerState {
            backend,
            permits: Arc::new(Semaphore::new(MAX_RESPONSES)),
            lists: Arc::new(Semaphore::new(MAX_FLOW_LISTS)),
        })
}

#[derive(Clone)]
struct ServerState {
    backend: Arc<dyn ApiBackend>,
    permits: Arc<Semaphore>,
    lists: Arc<Semaphore>,
}

type Asked<Q> = Result<Query<Q>, QueryRejection>;

/// Answers a question that says more than its path.
async fn respond_to_query<Q: Send + 'static, T: Serialize + Send + 'static>(
    state: State<ServerState>,
    query: Asked<Q>,
    read: impl FnOnce(&dyn ApiBackend, Q) -> Result<T, Problem> + Send + 'static,
) -> Response {
    match query {
        Ok(Query(query)) => respond(state, |backend| read(backend, query)).await,
        Err(rejection) => Problem::bad_request(rejection.body_text()).into_response(),
    }
}

/// Reading maps takes a while, so it happens on a thread of its own.
async fn respond<T: Serialize + Send + 'static>(
    State(state): State<ServerState>,
    read: impl FnOnce(&dyn ApiBackend) -> Result<T, Problem> + Send + 'static,
) -> Response {
    let permit = state.permits.acquire_owned().await;
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

/// Flows as lines, written while they are read: the client's pace is that of the thread that reads them.
async fn respond_flows(query: Asked<api::FlowQuery>, State(state): State<ServerState>) -> Response {
    let query = match query {
        Ok(Query(query)) => query,
        Err(rejection) => return Problem::bad_request(rejection.body_text()).into_response(),
    };
    let permit = state.lists.acquire_owned().await;
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

/// An answer that comes piece by piece.
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
