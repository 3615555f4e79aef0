//! TCP, UDP and ICMP exchanges through the kernel's sockets.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::namespace::Namespace;

/// The result of an exchange, as the client observed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// The client received an answer.
    Allowed,
    /// The client received nothing: a silent drop.
    Silent,
    /// The client received an error, such as a reset or an ICMP error.
    Refused(String),
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allow"),
            Self::Silent => f.write_str("deny"),
            Self::Refused(why) => write!(f, "refused ({why})"),
        }
    }
}

/// Silence of this length counts as a drop. An answer takes about a hundredth of it.
pub(crate) const SILENCE: Duration = Duration::from_millis(700);
const GREETING: &[u8] = b"bailey";

/// Echo servers in a namespace. They run until the process ends.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Echoes TCP connections to a port, on all addresses of both families.
    ///
    /// # Errors
    /// If the port is in use.
    pub fn tcp(namespace: &Namespace, port: u16) -> Result<()> {
        let listener = namespace.run(move || TcpListener::bind(("::", port)));
        let listener = listener.with_context(|| format!("TCP port {port}"))?;
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || echo(stream));
            }
        });
        Ok(())
    }

    /// Echoes UDP datagrams to a port of one address. A socket on all addresses could answer from
    /// another address than the datagram was sent to.
    ///
    /// # Errors
    /// If the port is in use.
    pub fn udp(namespace: &Namespace, address: IpAddr, port: u16) -> Result<()> {
        let socket = namespace.run(move || UdpSocket::bind((address, port)));
        let socket = socket.with_context(|| format!("UDP port {port}"))?;
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..len], from);
            }
        });
        Ok(())
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 2048];
    while let Ok(len) = stream.read(&mut buffer) {
        if len == 0 || stream.write_all(&buffer[..len]).is_err() {
            return;
        }
    }
}

/// Opens a TCP connection from an address and returns it.
///
/// # Errors
/// The error of the kernel; a timeout after 700 ms without an answer.
pub fn tcp_connect(
    namespace: &Namespace,
    source: IpAddr,
    destination: SocketAddr,
) -> std::io::Result<TcpStream> {
    tcp_connect_with_timeout(SILENCE, namespace, source, destination)
}

/// As [`tcp_connect`], with a given timeout.
///
/// # Errors
/// As [`tcp_connect`].
pub fn tcp_connect_with_timeout(
    timeout: Duration,
    namespace: &Namespace,
    source: IpAddr,
    destination: SocketAddr,
) -> std::io::Result<TcpStream> {
    namespace.run(move || {
        let socket = Socket::new(Domain::for_address(destination), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&destination.into(), timeout)?;
        let stream: TcpStream = socket.into();
        stream.set_read_timeout(Some(timeout))?;
        Ok(stream)
    })
}

/// Sends a greeting through a connection and waits for its echo.
pub fn tcp_echo(stream: &mut TcpStream) -> Observed {
    let mut answer = [0; GREETING.len()];
    let result = stream
        .write_all(GREETING)
        .and_then(|()| stream.read_exact(&mut answer));
    observed(result)
}

/// Sends this number of bytes through a connection while reading their echo.
pub fn tcp_transfer(stream: &TcpStream, bytes: usize) -> Observed {
    let result = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut stream = stream;
            let chunk = vec![7_u8; 1 << 14];
            (0..bytes / chunk.len()).try_for_each(|_| stream.write_all(&chunk))
        });
        let mut reader = stream;
        let mut missing = bytes / (1 << 14) * (1 << 14);
        let mut buffer = vec![0; 1 << 16];
        while missing > 0 {
            match reader.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => missing = missing.saturating_sub(len),
            }
        }
        sender
            .join()
            .unwrap_or_else(|_| Err(std::io::Error::other("the sender panicked")))
    });
    observed(result)
}

/// Connects by TCP and exchanges a greeting.
pub fn tcp(namespace: &Namespace, source: IpAddr, destination: SocketAddr) -> Observed {
    match tcp_connect(namespace, source, destination) {
        Ok(mut stream) => tcp_echo(&mut stream),
        Err(error) => observed(Err(error)),
    }
}

/// Sends a datagram and waits for its echo.
pub fn udp(namespace: &Namespace, source: IpAddr, destination: SocketAddr) -> Observed {
    udp_with_size(namespace, source, destination, GREETING.len())
}

/// As [`udp`], with a datagram of this number of bytes.
pub fn udp_with_size(
    namespace: &Namespace,
    source: IpAddr,
    destination: SocketAddr,
    bytes: usize,
) -> Observed {
    let result = namespace.run(move || {
        let socket = UdpSocket::bind((source, 0))?;
        socket.set_read_timeout(Some(SILENCE))?;
        socket.connect(destination)?;
        let sent: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        socket.send(&sent)?;
        let mut answer = vec![0; bytes];
        let len = socket.recv(&mut answer)?;
        if answer[..len] != sent {
            return Err(std::io::Error::other("the echo differs from the datagram"));
        }
        Ok(())
    });
    observed(result)
}

/// Sends an ICMP or ICMPv6 echo request and waits for the reply.
pub fn ping(namespace: &Namespace, source: IpAddr, destination: IpAddr) -> Observed {
    let result = namespace.run(move || {
        let (domain, protocol, kind) = match destination {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128),
        };
        // A ping socket: the kernel fills in identifier and checksum.
        let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        let to: SockAddr = SocketAddr::new(destination, 0).into();
        let mut request = vec![kind, 0, 0, 0, 0, 0, 0, 1];
        request.extend(GREETING);
        socket.send_to(&request, &to)?;
        let deadline = Instant::now() + SILENCE;
        let mut buffer = [MaybeUninit::uninit(); 256];
        socket.set_read_timeout(Some(deadline.saturating_duration_since(Instant::now())))?;
        socket.recv_from(&mut buffer).map(|_| ())
    });
    observed(result)
}

/// The observation behind the result of a socket call.
pub(crate) fn observed(result: std::io::Result<()>) -> Observed {
    match result {
        Ok(()) => Observed::Allowed,
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
            Observed::Silent
        }
        Err(error) => Observed::Refused(error.to_string()),
    }
}
