//! Traffic in the background while a test changes the firewall.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use crate::namespace::Namespace;
use crate::traffic::tcp_connect;

/// Traffic in the background while a test changes the firewall: two exchanges that policy allows,
/// and attempts that policy forbids. Each exchange has one datagram or segment in flight, so that
/// no queue overflows and a missing answer proves a drop.
#[derive(Debug)]
pub struct BackgroundTraffic {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    datagrams: AtomicU64,
    datagrams_lost: AtomicU64,
    segments: AtomicU64,
    connection_broken: AtomicU64,
    attempts: AtomicU64,
    attempts_passed: AtomicU64,
}

/// One round of a thread; the thread ends when it returns false.
type Round = Box<dyn Fn(&Counts) -> bool + Send>;

/// What the threads have counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Datagrams that were answered.
    pub datagrams: u64,
    /// Datagrams without an answer.
    pub datagrams_lost: u64,
    /// Exchanges over the TCP connection.
    pub segments: u64,
    /// Exchanges that ended or stalled the TCP connection.
    pub connection_broken: u64,
    /// Forbidden attempts.
    pub attempts: u64,
    /// Forbidden attempts that reached the server.
    pub attempts_passed: u64,
}

/// The hosts that take part.
#[derive(Debug, Clone, Copy)]
pub struct TrafficPeers {
    /// Policy allows it to exchange datagrams and a connection with the server.
    pub friend: IpAddr,
    /// Policy forbids it to reach the server.
    pub stranger: IpAddr,
    /// The server.
    pub server: IpAddr,
    /// The UDP port of the server, for both.
    pub udp: u16,
    /// A TCP port of the server with an echo service.
    pub tcp: u16,
}

/// The longest wait for an answer. Long, because a late answer of a busy machine is no loss.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_micros(300);

impl BackgroundTraffic {
    /// Starts the traffic, with the clients in one namespace and the server in another.
    ///
    /// # Errors
    /// If an address or port is unavailable, or the connection is refused.
    pub fn start(clients: &Namespace, server: &Namespace, peers: TrafficPeers) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let mut run = |work: Round| {
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) && work(&counts) {}
            }));
        };
        // The server.
        run(answer_datagrams(server, peers)?);

        // The datagrams of the friend.
        let to = SocketAddr::new(peers.server, peers.udp);
        let socket = bind_udp(clients, peers.friend)?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        socket.connect(to)?;
        run(Box::new(move |counts| exchange_datagram(&socket, counts)));

        // The connection of the friend.
        let to_tcp = SocketAddr::new(peers.server, peers.tcp);
        let stream = tcp_connect(clients, peers.friend, to_tcp)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        run(Box::new(move |counts| exchange_segment(&stream, counts)));

        // The attempts of the stranger.
        let stranger = bind_udp(clients, peers.stranger)?;
        let namespace = clients.clone();
        run(Box::new(move |counts| {
            let _ = stranger.send_to(b"intruder", to);
            attempt_connection(&namespace, peers.stranger, to_tcp, counts);
            counts.attempts.fetch_add(2, Ordering::Relaxed);
            true
        }));
        Ok(Self {
            stop,
            counts,
            threads,
        })
    }

    /// The counts so far.
    pub fn counts(&self) -> TrafficCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TrafficCounts {
            datagrams: read(&self.counts.datagrams),
            datagrams_lost: read(&self.counts.datagrams_lost),
            segments: read(&self.counts.segments),
            connection_broken: read(&self.counts.connection_broken),
            attempts: read(&self.counts.attempts),
            attempts_passed: read(&self.counts.attempts_passed),
        }
    }

    /// Stops the traffic and returns the final counts.
    pub fn finish(mut self) -> TrafficCounts {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.counts()
    }
}

fn bind_udp(namespace: &Namespace, address: IpAddr) -> Result<UdpSocket> {
    let socket = namespace.run(move || UdpSocket::bind((address, 0)));
    socket.with_context(|| address.to_string())
}

/// Answers datagrams, and counts those of the stranger.
fn answer_datagrams(namespace: &Namespace, peers: TrafficPeers) -> Result<Round> {
    let socket = namespace.run(move || UdpSocket::bind((peers.server, peers.udp)))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(Box::new(move |counts| {
        let mut buffer = [0; 64];
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if from.ip() == peers.stranger {
                counts.attempts_passed.fetch_add(1, Ordering::Relaxed);
            }
            let _ = socket.send_to(&buffer[..len], from);
        }
        true
    }))
}

fn exchange_datagram(socket: &UdpSocket, counts: &Counts) -> bool {
    let number = counts.datagrams.load(Ordering::Relaxed).to_be_bytes();
    let mut buffer = [0; 64];
    let sent = socket.send(&number);
    let answered = sent.and_then(|_| {
        loop {
            let len = socket.recv(&mut buffer)?;
            // Skip a late answer to an earlier datagram.
            if buffer[..len] == number {
                return Ok(());
            }
        }
    });
    let count = match answered {
        Ok(()) => &counts.datagrams,
        Err(_) => &counts.datagrams_lost,
    };
    count.fetch_add(1, Ordering::Relaxed);
    thread::sleep(PAUSE);
    true
}

fn exchange_segment(mut stream: &TcpStream, counts: &Counts) -> bool {
    let mut answer = [0; 6];
    let result = stream
        .write_all(b"steady")
        .and_then(|()| stream.read_exact(&mut answer));
    thread::sleep(PAUSE);
    match result {
        Ok(()) => {
            counts.segments.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(_) => {
            counts.connection_broken.fetch_add(1, Ordering::Relaxed);
            false
        }
    }
}

/// Sends one SYN; a connection or a reset proves that the SYN passed.
fn attempt_connection(namespace: &Namespace, source: IpAddr, to: SocketAddr, counts: &Counts) {
    let connected = namespace.run(move || {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&to.into(), Duration::from_millis(20))
    });
    let passed = match connected {
        Ok(()) => true,
        // A reset is an answer.
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
    };
    counts
        .attempts_passed
        .fetch_add(u64::from(passed), Ordering::Relaxed);
}
