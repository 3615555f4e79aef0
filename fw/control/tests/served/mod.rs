//! A server whose backend has one endless stream and refuses everything else.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test binary uses a part"
)]

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bailey_control::api;
use bailey_control::api_live::{Live, LiveQuery};
use bailey_control::api_records::RecordsQuery;
use bailey_control::api_talkers::{FlowTop, Talkers, TalkersQuery};
use bailey_control::{ApiBackend, LineStream, MetricsFormat, Problem, Server};

/// A backend with one endless stream, which reports its end.
struct Endless(Mutex<Sender<Instant>>);

fn none<T>() -> Result<T, Problem> {
    Err(Problem::bad_request("not here"))
}

impl ApiBackend for Endless {
    fn status(&self) -> Result<api::Status, Problem> {
        none()
    }
    fn rules(&self, _: api::RulesQuery) -> Result<api::Rules, Problem> {
        none()
    }
    fn flows(&self, _: api::FlowQuery) -> Result<LineStream, Problem> {
        none()
    }
    fn records(&self, _: RecordsQuery) -> Result<LineStream, Problem> {
        none()
    }
    fn flow_stats(&self) -> Result<api::FlowStats, Problem> {
        none()
    }
    fn counters(&self) -> Result<api::Counters, Problem> {
        none()
    }
    fn blocks(&self) -> Result<api::Blocks, Problem> {
        none()
    }
    fn live(&self, _: LiveQuery) -> Result<Live, Problem> {
        none()
    }
    fn talkers(&self, _: TalkersQuery) -> Result<Talkers, Problem> {
        none()
    }
    fn flow_top(&self, _: TalkersQuery) -> Result<FlowTop, Problem> {
        none()
    }
    fn metrics(&self, _: &str) -> Result<MetricsFormat, Problem> {
        none()
    }
    fn watch(&self) -> Result<LineStream, Problem> {
        let ended = self.0.lock().unwrap().clone();
        Ok(LineStream {
            common: "{}".to_owned(),
            write: Box::new(move |sink| {
                while sink.send(vec![b'\n'; 64 << 10].into()) {}
                let _ = ended.send(Instant::now());
            }),
        })
    }
}

pub fn served(metrics: Option<TcpListener>) -> (tempfile::TempDir, Receiver<Instant>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let (sender, ended) = channel();
    Server::start(listener, metrics, Arc::new(Endless(Mutex::new(sender)))).unwrap();
    (folder, ended)
}

pub fn request(folder: &tempfile::TempDir, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(folder.path().join("socket")).unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nHost: bailey\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    stream
}
