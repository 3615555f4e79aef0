//! Receives on an interface, and on sockets of every protocol that the generator uses.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use bailey_lab::Namespace;
use socket2::{Domain, Protocol, Socket, Type};

/// Ports that the generator prefers.
const PORTS: [u16; 6] = [80, 81, 53, 4789, 6081, 40_000];

/// Protocols of raw sockets: ICMP, TCP, GRE, OSPF, SCTP. Not UDP and ICMPv6: some of both passes
/// without policy.
const RAW: [i32; 5] = [1, 6, 47, 89, 132];

/// Records the frames on all interfaces of a namespace, and the packets that its sockets receive.
pub(crate) struct Listener {
    stop: Arc<AtomicBool>,
    frames: JoinHandle<Vec<Vec<u8>>>,
    /// UDP and raw sockets; held as `UdpSocket` because they only receive.
    datagrams: Vec<UdpSocket>,
    streams: Vec<TcpListener>,
}

/// A socket bound to the unspecified address of a family.
fn open_socket(family: Domain, kind: Type, protocol: Option<Protocol>, port: u16) -> Socket {
    let address: IpAddr = match family {
        Domain::IPV4 => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = Socket::new(family, kind, protocol).unwrap();
    if family == Domain::IPV6 && kind != Type::RAW {
        socket.set_only_v6(true).unwrap();
    }
    let at = std::net::SocketAddr::new(address, port);
    socket.bind(&at.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

impl Listener {
    pub(crate) fn start(namespace: &Namespace, own: [u8; 6]) -> Self {
        const AF_PACKET: i32 = 17;
        const ETH_P_ALL: u16 = 3;
        let stop = Arc::new(AtomicBool::new(false));
        // Sockets: all frames, and each family, port and protocol.
        let (socket, datagrams, streams) = namespace.run(|| {
            let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
            let socket = Socket::new(Domain::from(AF_PACKET), Type::RAW, Some(protocol)).unwrap();
            socket.set_recv_buffer_size(1 << 24).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(50)))
                .unwrap();
            let mut datagrams: Vec<UdpSocket> = Vec::new();
            let mut streams: Vec<TcpListener> = Vec::new();
            for family in [Domain::IPV4, Domain::IPV6] {
                for port in PORTS {
                    datagrams.push(open_socket(family, Type::DGRAM, None, port).into());
                    let stream = open_socket(family, Type::STREAM, None, port);
                    stream.listen(16).unwrap();
                    streams.push(stream.into());
                }
                for protocol in RAW {
                    let protocol = Some(Protocol::from(protocol));
                    datagrams.push(open_socket(family, Type::RAW, protocol, 0).into());
                }
            }
            (socket, datagrams, streams)
        });
        // A thread collects frames until stopped and no more arrive.
        let stopped = Arc::clone(&stop);
        let frames = thread::spawn(move || {
            let (mut socket, mut seen) = (socket, Vec::new());
            let mut frame = vec![0; 4096];
            loop {
                match socket.read(&mut frame) {
                    // AF_PACKET also returns the frames that this end sends, and those of its
                    // loopback.
                    Ok(length) if length >= 14 && frame[6..12] != own && frame[6..12] != [0; 6] => {
                        seen.push(frame[..length].to_vec());
                    }
                    Ok(_) => {}
                    Err(_) if stopped.load(Ordering::Acquire) => return seen,
                    Err(_) => {}
                }
            }
        });
        Self {
            stop,
            frames,
            datagrams,
            streams,
        }
    }

    /// Stops. Returns all received frames, and a description of each packet and connection of a
    /// socket.
    pub(crate) fn end(self) -> (Vec<Vec<u8>>, Vec<String>) {
        sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Release);
        let frames = self.frames.join().unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 2048];
        for socket in &self.datagrams {
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let local = socket.local_addr().unwrap();
                received.push(format!("{from} -> {local}: {length} bytes"));
            }
        }
        for stream in &self.streams {
            while let Ok((_, from)) = stream.accept() {
                let local = stream.local_addr().unwrap();
                received.push(format!("{from} -> {local}: a connection"));
            }
        }
        (frames, received)
    }
}
