//! Streams of the server: long ones go on, and a reader that stops reading is cut.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bailey_control::api::{self, path};
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

fn served() -> (tempfile::TempDir, Receiver<Instant>) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let (sender, ended) = channel();
    Server::start(listener, None, Arc::new(Endless(Mutex::new(sender)))).unwrap();
    (folder, ended)
}

fn request(folder: &tempfile::TempDir, path: &str) -> UnixStream {
    let mut stream = UnixStream::connect(folder.path().join("socket")).unwrap();
    let text = format!("GET {path} HTTP/1.1\r\nHost: bailey\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

#[test]
fn reader_that_stops_is_cut() {
    let (folder, ended) = served();
    let begun = Instant::now();
    let _stopped = request(&folder, path::WATCH);
    // Others are served meanwhile.
    let mut answer = String::new();
    request(&folder, path::STATUS)
        .read_to_string(&mut answer)
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && begun.elapsed() < Duration::from_secs(3),
        "{answer}"
    );
    let end = ended.recv_timeout(Duration::from_secs(15)).unwrap();
    assert!(end - begun >= Duration::from_secs(4), "{:?}", end - begun);
}

#[test]
fn reader_that_leaves_ends_the_stream() {
    let (folder, ended) = served();
    let mut stream = request(&folder, path::WATCH);
    stream.read_exact(&mut [0; 1 << 20]).unwrap();
    drop(stream);
    ended.recv_timeout(Duration::from_secs(3)).unwrap();
}
