//! Requests that are garbage: the server stays, and answers the next client.
//! `BAILEY_FUZZ_REQUESTS` sets their number, `BAILEY_FUZZ_SEED` the seed.

mod served;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bailey_control::api::path;
use fastrand::Rng;
use served::*;

const PATHS: [&str; 12] = [
    path::STATUS,
    path::RULES,
    path::FLOWS,
    path::RECORDS,
    path::FLOW_STATS,
    path::FLOW_TOP,
    path::COUNTERS,
    path::BLOCKS,
    path::TALKERS,
    path::EXPLAIN,
    path::METRICS,
    "/",
];

/// A request that is valid but for some bytes.
fn request_bytes(random: &mut Rng) -> Vec<u8> {
    let queries = [
        "",
        "?limit=99999999999999999999",
        "?filter={\"ip\":[\"",
        "?src=%zz&dst=%00",
        "?name=%ff%fe",
        "?follow=true&last=-1",
        "?a=b&a=c&=",
    ];
    let methods = ["GET", "POST", "HEAD", "", "G\u{e9}T"];
    let (path, query) = (PATHS[random.usize(..12)], queries[random.usize(..7)]);
    let method = methods[random.usize(..5)];
    let mut bytes = format!("{method} {path}{query} HTTP/1.1\r\nHost: bailey\r\n\r\n").into_bytes();
    match random.usize(..4) {
        0 => bytes = (0..random.usize(..300)).map(|_| random.u8(..)).collect(),
        1 => bytes.truncate(random.usize(..=bytes.len())),
        _ => {
            for _ in 0..random.usize(..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
        }
    }
    bytes
}

/// Sends bytes, and reads what comes. A request that does not end is ended, so that the server need not
/// wait for the rest.
fn send(mut stream: impl Read + Write, end: impl FnOnce(), bytes: &[u8]) -> Vec<u8> {
    // The server may close first.
    let _ = stream.write_all(bytes);
    if !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        end();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn send_unix(folder: &tempfile::TempDir, bytes: &[u8]) -> Vec<u8> {
    let stream = UnixStream::connect(folder.path().join("socket")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let other = stream.try_clone().unwrap();
    send(stream, || drop(other.shutdown(Shutdown::Write)), bytes)
}

fn send_tcp(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let other = stream.try_clone().unwrap();
    send(stream, || drop(other.shutdown(Shutdown::Write)), bytes)
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

#[test]
fn garbage_gets_an_error_or_nothing() {
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = metrics.local_addr().unwrap();
    let (folder, _ended) = served(Some(metrics));
    let mut random = Rng::with_seed(number("BAILEY_FUZZ_SEED", 1));
    for round in 0..number("BAILEY_FUZZ_REQUESTS", 3000) {
        let bytes = request_bytes(&mut random);
        let answer = match round % 4 {
            0 => send_tcp(address, &bytes),
            _ => send_unix(&folder, &bytes),
        };
        let text = String::from_utf8_lossy(&answer);
        // The backend refuses everything, so nothing is answered with success.
        let is_error = text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 5");
        assert!(answer.is_empty() || is_error, "{bytes:?}: {text}");
    }
    let valid = b"GET /v1/status HTTP/1.1\r\nHost: bailey\r\n\r\n";
    let answer = send_unix(&folder, valid);
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
}

#[test]
fn requests_beyond_64_kib_are_refused() {
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = metrics.local_addr().unwrap();
    let (folder, _ended) = served(Some(metrics));
    for (bytes, is_refused) in [(1 << 12, false), (65 << 10, true), (4 << 20, true)] {
        let header = "x".repeat(bytes);
        let text = format!("GET /v1/status HTTP/1.1\r\nHost: bailey\r\nX-Long: {header}\r\n\r\n");
        for answer in [
            send_unix(&folder, text.as_bytes()),
            send_tcp(address, text.as_bytes()),
        ] {
            let text = String::from_utf8_lossy(&answer);
            // A server that closes while the client sends may reset the connection.
            let refused = answer.is_empty() || text.starts_with("HTTP/1.1 431");
            assert_eq!(refused, is_refused, "{bytes}: {text}");
        }
    }
}
