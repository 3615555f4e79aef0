//! Packets with spoofed sources, from raw sockets.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::Namespace;

/// A flood of SYNs and UDP datagrams in turn, from random sources that no host has, at a fixed
/// rate.
#[derive(Debug)]
pub struct SpoofedFlood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// `IPPROTO_RAW`: the sender writes the IP header.
const RAW: i32 = 255;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Packets between two readings of the clock.
const BATCH: u64 = 16;

impl SpoofedFlood {
    /// Starts to send from a namespace to a port of these addresses, `rate` packets per second.
    ///
    /// # Errors
    /// If raw sockets are not permitted.
    pub fn start(from: &Namespace, to: &[IpAddr], port: u16, rate: u64) -> Result<Self> {
        let targets = from.run({
            let to = to.to_owned();
            move || {
                to.into_iter()
                    .map(open_socket)
                    .collect::<std::io::Result<Vec<_>>>()
            }
        });
        let targets = targets.context("raw sockets")?;
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let begun = Instant::now();
            let mut random = 0x0bad_5eed_u64;
            while !stopped.load(Ordering::Relaxed) {
                let sent = counter.load(Ordering::Relaxed);
                let due = Duration::from_nanos(sent * 1_000_000_000 / rate);
                thread::sleep(due.saturating_sub(begun.elapsed()));
                for at in 0..BATCH {
                    let (socket, address) = &targets[(at / 2) as usize % targets.len()];
                    let protocol = if at % 2 == 0 { TCP } else { UDP };
                    random = next_random(random);
                    let packet = build_packet(*address, port, protocol, random);
                    // A packet that finds the send queue full is lost; the test does not need it.
                    let _ = socket.send_to(&packet, &SocketAddr::new(*address, 0).into());
                }
                counter.fetch_add(BATCH, Ordering::Relaxed);
            }
        });
        Ok(Self {
            stop,
            sent,
            thread: Some(thread),
        })
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for SpoofedFlood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn open_socket(address: IpAddr) -> std::io::Result<(Socket, IpAddr)> {
    let domain = Domain::for_address(SocketAddr::new(address, 0));
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(RAW)))?;
    socket.set_send_buffer_size(1 << 20)?;
    Ok((socket, address))
}

/// Xorshift (Marsaglia, Journal of Statistical Software 2003).
fn next_random(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^ x << 17
}

fn build_packet(to: IpAddr, port: u16, protocol: u8, random: u64) -> Vec<u8> {
    let mut payload = vec![0; if protocol == TCP { 20 } else { 8 }];
    payload[..2].copy_from_slice(&(random as u16 | 1024).to_be_bytes());
    payload[2..4].copy_from_slice(&port.to_be_bytes());
    if protocol == TCP {
        payload[4..8].copy_from_slice(&(random as u32).to_be_bytes());
        payload[12] = 5 << 4;
        payload[13] = 2; // SYN
    } else {
        payload[5] = 8; // length
    }
    let bytes = (random >> 16).to_be_bytes();
    let mut packet = Vec::with_capacity(60);
    match to {
        IpAddr::V4(to) => {
            packet.extend([
                0x45,
                0,
                0,
                20 + payload.len() as u8,
                0,
                0,
                0,
                0,
                64,
                protocol,
                0,
                0,
            ]);
            // Sources: 32.0.0.0 to 95.255.255.255.
            packet.extend([32 + (bytes[4] & 63), bytes[5], bytes[6], bytes[7]]);
            packet.extend(to.octets());
        }
        IpAddr::V6(to) => {
            packet.extend([0x60, 0, 0, 0, 0, payload.len() as u8, protocol, 64]);
            packet.extend([0x20, 0x01, 0x0d, 0xb9]);
            packet.extend(&bytes[2..8]);
            packet.extend([0, 0, 0, 0, 0, 1]);
            packet.extend(to.octets());
        }
    }
    packet.extend(payload);
    packet
}
