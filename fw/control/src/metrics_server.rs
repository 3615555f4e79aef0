//! `/metrics` over TCP: the exposition for Prometheus, and no other path.

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::backend::{ApiBackend, MetricsFormat, REQUEST_BYTES, REQUEST_TIMEOUT};

/// Most scrapes at the same time; further clients wait.
const MAX_SCRAPES: usize = 4;
/// Longest duration of a scrape.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves scrapes until the process ends.
pub(crate) async fn serve_metrics(listener: StdListener, backend: Arc<dyn ApiBackend>) {
    let address = listener.local_addr().ok();
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let scrapes = Arc::new(Semaphore::new(MAX_SCRAPES));
    let router = Router::new()
        .route("/metrics", get(respond_metrics))
        .fallback(|| async { (StatusCode::NOT_FOUND, "the only path is /metrics\n") })
        .with_state(ScrapeState { backend, address });
    loop {
        let Ok(permit) = Arc::clone(&scrapes).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of file descriptors; wait until other connections close.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let handler = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIMEOUT)
                .max_buf_size(REQUEST_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), handler);
            let _ = tokio::time::timeout(SCRAPE_TIMEOUT, connection).await;
            drop(permit);
        });
    }
}

#[derive(Clone)]
struct ScrapeState {
    backend: Arc<dyn ApiBackend>,
    address: Option<SocketAddr>,
}

async fn respond_metrics(State(state): State<ScrapeState>, headers: HeaderMap) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if !is_own_host(host, state.address.map(|address| address.ip())) {
        let text = "the Host header names neither this address nor localhost\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    exposition(state.backend, &headers).await
}

/// The exposition in the format that the client accepts.
pub(crate) async fn exposition(backend: Arc<dyn ApiBackend>, headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let accept = accept.unwrap_or_default().to_owned();
    let render = move || backend.metrics(&accept);
    match tokio::task::spawn_blocking(render).await {
        Ok(Ok(MetricsFormat { content_type, text })) => {
            ([(CONTENT_TYPE, content_type)], text).into_response()
        }
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether a request is meant for this server. A browser that a foreign page directs here by a name of
/// its own (DNS rebinding) sends that name.
fn is_own_host(host: Option<&str>, listening: Option<IpAddr>) -> bool {
    let Some(host) = host else { return true };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    // Behind an unspecified address every address of the machine is its own; a foreign page cannot
    // make a browser send an address.
    name.parse::<IpAddr>().is_ok_and(|address| {
        listening.is_none_or(|own| own.is_unspecified() || own == address) || address.is_loopback()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_host_headers_are_answered() {
        let own = Some("192.0.2.1".parse().unwrap());
        for host in [
            "192.0.2.1:10911",
            "192.0.2.1",
            "localhost:1",
            "LOCALHOST",
            "127.0.0.1:9",
            "[::1]:9",
        ] {
            assert!(is_own_host(Some(host), own), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:10911",
            "198.51.100.1:10911",
            "",
            "[::2]",
            "192.0.2.1.evil",
        ] {
            assert!(!is_own_host(Some(host), own), "{host}");
        }
        assert!(is_own_host(None, own));
        let all = Some("0.0.0.0".parse().unwrap());
        assert!(is_own_host(Some("203.0.113.9:10911"), all));
        assert!(!is_own_host(Some("evil.example"), all));
    }
}
