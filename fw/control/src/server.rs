//! The server: one thread that serves the control socket, with limits on clients, on concurrent
//! reads and on time. All data comes from an [`ApiBackend`].

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::api::{self, path};
use crate::api_records::RecordsQuery;
use crate::backend::{ApiBackend, Problem, REQUEST_BYTES, REQUEST_TIMEOUT};
use crate::metrics_server::{exposition, serve_metrics};
use crate::streams::{QueryResult, StreamFlag, stream_lines};

/// Most clients served at the same time; further clients wait in the socket's backlog.
const MAX_CLIENTS: usize = 128;
/// Most responses prepared at the same time, including those whose clients have disconnected.
const MAX_RESPONSES: usize = 2;
/// Most flow lists written at the same time. A separate limit, so that slow readers of flow lists
/// delay no other response.
const MAX_FLOW_LISTS: usize = 2;
/// Most readers of records and of changes at the same time; each costs a thread while it follows.
const MAX_FOLLOWERS: usize = 100;
/// Longest duration of a connection, but for streams that the client reads.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// The thread that serves the socket. It runs until the process ends.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts the thread. `metrics`: serves `/metrics` too.
    ///
    /// # Errors
    /// If the runtime or the thread cannot be created.
    pub fn start(
        listener: StdListener,
        metrics: Option<TcpListener>,
        backend: Arc<dyn ApiBackend>,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        if let Some(metrics) = &metrics {
            metrics.set_nonblocking(true)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                runtime.block_on(async {
                    if let Some(metrics) = metrics {
                        tokio::spawn(serve_metrics(metrics, Arc::clone(&backend)));
                    }
                    serve(listener, backend).await;
                });
            })
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
        let Ok((socket, _)) = listener.accept().await else {
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
            let stream = StreamFlag::default();
            let request_stream = stream.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                flag.store(true, Ordering::Release);
                request.extensions_mut().insert(request_stream.clone());
                handler.call(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIMEOUT)
                .max_buf_size(REQUEST_BYTES)
                // One request per connection, because connections are limited.
                .keep_alive(false)
                .serve_connection(TokioIo::new(socket), service);
            // An error or timeout concerns only this client, which gets no response.
            tokio::select! {
                _ = connection => {}
                () = stream.outlasted(CONNECTION_TIMEOUT) => {}
            }
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
        .route(
            path::FLOWS,
            get(
                |State(state): State<ServerState>, stream, query: QueryResult<api::FlowQuery>| {
                    let (backend, limit) = (state.backend, state.flow_lists);
                    stream_lines(backend, limit, stream, query, |s, q| s.flows(q))
                },
            ),
        )
        .route(
            path::RECORDS,
            get(
                |State(state): State<ServerState>, stream, query: QueryResult<RecordsQuery>| {
                    let (backend, limit) = (state.backend, state.followers);
                    stream_lines(backend, limit, stream, query, |s, q| s.records(q))
                },
            ),
        )
        .route(path::FLOW_STATS, get(|s| respond(s, |s| s.flow_stats())))
        .route(path::COUNTERS, get(|s| respond(s, |s| s.counters())))
        .route(path::BLOCKS, get(|s| respond(s, |s| s.blocks())))
        .route(
            path::EXPLAIN,
            get(|q, s| respond_to_query(s, q, |s, q| s.live(q))),
        )
        .route(
            path::WATCH,
            get(
                |State(state): State<ServerState>, stream, query: QueryResult<NoQuery>| {
                    let (backend, limit) = (state.backend, state.followers);
                    stream_lines(backend, limit, stream, query, |s, NoQuery {}| s.watch())
                },
            ),
        )
        .route(
            path::TALKERS,
            get(|q, s| respond_to_query(s, q, |s, q| s.talkers(q))),
        )
        .route(
            path::FLOW_TOP,
            get(|q, s| respond_to_query(s, q, |s, q| s.flow_top(q))),
        )
        .route(
            path::METRICS,
            get(
                |State(state): State<ServerState>, headers: HeaderMap| async move {
                    exposition(state.backend, &headers).await
                },
            ),
        )
        .fallback(|| async {
            let problem = Problem::bad_request("unknown path; try /v1/status");
            (StatusCode::NOT_FOUND, Json(problem))
        })
        .with_state(ServerState {
            backend,
            responses: Arc::new(Semaphore::new(MAX_RESPONSES)),
            flow_lists: Arc::new(Semaphore::new(MAX_FLOW_LISTS)),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
        })
}

/// The query of a path that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

#[derive(Clone)]
struct ServerState {
    backend: Arc<dyn ApiBackend>,
    responses: Arc<Semaphore>,
    flow_lists: Arc<Semaphore>,
    followers: Arc<Semaphore>,
}

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
