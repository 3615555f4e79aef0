//! Streams of the server: long ones go on, and a reader that stops reading is cut.

mod served;

use std::io::Read;
use std::time::{Duration, Instant};

use bailey_control::api::path;
use served::*;

#[test]
fn reader_that_stops_is_cut() {
    let (folder, ended) = served(None);
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
    let (folder, ended) = served(None);
    let mut stream = request(&folder, path::WATCH);
    stream.read_exact(&mut [0; 1 << 20]).unwrap();
    drop(stream);
    ended.recv_timeout(Duration::from_secs(3)).unwrap();
}
