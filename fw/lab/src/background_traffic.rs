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

/// Traffic that goes on while something is done to the firewall: two exchanges that policy allows,
/// one datagram or segment at a time, so that nothing can overflow and what is missing was dropped;
/// and attempts that policy forbids.
#[derive(Debug)]
pub struct Steady {
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

/// One round; false ends it.
type Work = Box<dyn Fn(&Counts) -> bool + Send>;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
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
    /// Those that came through, seen by whoever they were for.
    pub attempts_passed: u64,
}

/// Who takes part.
#[derive(Debug, Clone, Copy)]
pub struct Parties {
    /// May exchange datagrams and a connection with the server.
    pub friend: IpAddr,
    /// May not.
    pub stranger: IpAddr,
    /// The server.
    pub server: IpAddr,
    /// Its UDP port, for both.
    pub udp: u16,
    /// Its TCP port; somebody echoes there.
    pub tcp: u16,
}

/// A busy machine may be slow; an answer that comes is not lost.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_micros(300);

impl Steady {
    /// Starts, with the clients in one namespace and the server in another.
    ///
    /// # Errors
    /// If an address or port cannot be had, or the connection is refused.
    pub fn start(clients: &Namespace, server: &Namespace, parties: Parties) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let mut run = |work: Work| {
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) && work(&counts) {}
            }));
        };
        run(server_of(server, parties)?);
        let to = SocketAddr::new(parties.server, parties.udp);
        let socket = udp(clients, parties.friend)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(to)?;
        run(Box::new(move |counts| exchange(&socket, counts)));
        let to_tcp = SocketAddr::new(parties.server, parties.tcp);
        let stream = tcp_connect(clients, parties.friend, to_tcp)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        run(Box::new(move |counts| talk(&stream, counts)));
        let stranger = udp(clients, parties.stranger)?;
        let namespace = clients.clone();
        run(Box::new(move |counts| {
            let _ = stranger.send_to(b"intruder", to);
            knock(&namespace, parties.stranger, to_tcp, counts);
            counts.attempts.fetch_add(2, Ordering::Relaxed);
            true
        }));
        Ok(Self {
            stop,
            counts,
            threads,
        })
    }

    /// What has come of it so far.
    pub fn outcome(&self) -> Outcome {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Outcome {
            datagrams: read(&self.counts.datagrams),
            datagrams_lost: read(&self.counts.datagrams_lost),
            segments: read(&self.counts.segments),
            connection_broken: read(&self.counts.connection_broken),
            attempts: read(&self.counts.attempts),
            attempts_passed: read(&self.counts.attempts_passed),
        }
    }

    /// Ends it.
    pub fn finish(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.outcome()
    }
}

fn udp(namespace: &Namespace, address: IpAddr) -> Result<UdpSocket> {
    let socket = namespace.run(move || UdpSocket::bind((address, 0)));
    socket.with_context(|| address.to_string())
}

/// Answers the friend, and counts what the stranger got through.
fn server_of(namespace: &Namespace, parties: Parties) -> Result<Work> {
    let socket = namespace.run(move || UdpSocket::bind((parties.server, parties.udp)))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(Box::new(move |counts| {
        let mut buffer = [0; 64];
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if from.ip() == parties.stranger {
                counts.attempts_passed.fetch_add(1, Ordering::Relaxed);
            }
            let _ = socket.send_to(&buffer[..len], from);
        }
        true
    }))
}

fn exchange(socket: &UdpSocket, counts: &Counts) -> bool {
    let number = counts.datagrams.load(Ordering::Relaxed).to_be_bytes();
    let mut buffer = [0; 64];
    let sent = socket.send(&number);
    let answered = sent.and_then(|_| {
        loop {
            let len = socket.recv(&mut buffer)?;
            // A late answer to the one before is none to this.
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

fn talk(mut stream: &TcpStream, counts: &Counts) -> bool {
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

/// One SYN; a connection that comes of it was let through.
fn knock(namespace: &Namespace, source: IpAddr, to: SocketAddr, counts: &Counts) {
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
