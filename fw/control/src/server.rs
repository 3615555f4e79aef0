use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::api::{self, path};

/// Who knows the answers. Every call may read maps for a while; none may wait for packets or files.
pub trait Source: Send + Sync + 'static {
    /// One screen of truth.
    ///
    /// # Errors
    /// If what is pinned cannot be read; likewise below.
    fn status(&self) -> Result<api::Status, Problem>;
    /// Every rule.
    fn rules(&self) -> Result<api::Rules, Problem>;
    /// Every flow.
    fn flows(&self) -> Result<api::Flows, Problem>;
    /// Pressure on the flow table.
    fn flow_stats(&self) -> Result<api::FlowStats, Problem>;
    /// Packets by reason.
    fn counters(&self) -> Result<api::Counters, Problem>;
}

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
}

impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        Self {
            error: error.to_string(),
        }
    }
}

/// Clients served at one time; more wait in the socket's queue.
const CLIENTS: usize = 16;
/// Answers that are made at one time, also for clients that have gone away: each may be as large as
/// the flow table.
const ANSWERS: usize = 2;
/// The longest a client may take to ask.
const ASKING: Duration = Duration::from_secs(5);
/// The longest a connection may last.
const LASTING: Duration = Duration::from_secs(60);

/// A thread that answers. It ends with the process.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts to answer on a socket.
    ///
    /// # Errors
    /// If there can be no runtime.
    pub fn start(listener: StdListener, source: Arc<dyn Source>) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("control".into())
            .spawn(move || runtime.block_on(serve(listener, source)))
            .map(drop)
    }
}

/// A client that is connected.
struct Waiting {
    task: JoinHandle<()>,
    /// Has it asked something?
    asked: Arc<AtomicBool>,
}

async fn serve(listener: StdListener, source: Arc<dyn Source>) {
    let Ok(listener) = UnixListener::from_std(listener) else {
        return;
    };
    let clients = Arc::new(Semaphore::new(CLIENTS));
    let router = router(source);
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
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
        let answering = TowerToHyperService::new(router.clone());
        let asked = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let service = service_fn(move |request| {
                noted.store(true, Ordering::Release);
                answering.call(request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(ASKING)
                // One question each: who keeps a connection keeps it from others.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away or takes too long has no answer; nobody else is concerned.
            let _ = tokio::time::timeout(LASTING, connection).await;
            drop(permit);
        });
        waiting.push_back(Waiting { task, asked });
    }
}

fn router(source: Arc<dyn Source>) -> Router {
    Router::new()
        .route(path::STATUS, get(|s| answer(s, |s| s.status())))
        .route(path::RULES, get(|s| answer(s, |s| s.rules())))
        .route(path::FLOWS, get(|s| answer(s, |s| s.flows())))
        .route(path::FLOW_STATS, get(|s| answer(s, |s| s.flow_stats())))
        .route(path::COUNTERS, get(|s| answer(s, |s| s.counters())))
        .fallback(|| async {
            let error = "there is no such path; /v1/status is one".to_owned();
            (StatusCode::NOT_FOUND, Json(Problem { error }))
        })
        .with_state(Answering {
            source,
            permits: Arc::new(Semaphore::new(ANSWERS)),
        })
}

#[derive(Clone)]
struct Answering {
    source: Arc<dyn Source>,
    permits: Arc<Semaphore>,
}

/// Reading maps takes a while, so it happens on a thread of its own.
async fn answer<T: Serialize + Send + 'static>(
    State(Answering { source, permits }): State<Answering>,
    read: impl FnOnce(&dyn Source) -> Result<T, Problem> + Send + 'static,
) -> Response {
    let permit = permits.acquire_owned().await;
    let work = move || {
        let _permit = permit;
        read(&*source)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(problem)) => (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response(),
        Err(_) => {
            let error = "a defect: the answer could not be made".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, Json(Problem { error })).into_response()
        }
    }
}
