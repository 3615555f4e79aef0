//! Sends frames of the generator by AF_XDP.

use std::thread::{self, sleep};
use std::time::Duration;

use bailey_datapath::kernel::af_xdp::{BATCH, CopyPolicy};
use bailey_datapath::kernel::netlink;
use bailey_lab::Namespace;
use bailey_reference::Generator;

use crate::amount;

/// Sends [`amount`] frames of the generator out of an interface, with `from` as their hardware
/// source.
pub(crate) fn send_random_frames(
    namespace: &Namespace,
    interface: &'static str,
    mut generator: Generator,
    from: [u8; 6],
) {
    let frames = amount();
    namespace.run(move || {
        let index = netlink::interface_by_name(interface)
            .unwrap()
            .unwrap()
            .index;
        let mut socket =
            bailey_datapath::kernel::af_xdp::Socket::open(index, 0, CopyPolicy::Always).unwrap();
        let mut left = frames;
        while left > 0 {
            let sent = socket.send(BATCH.min(left), |room| {
                let mut frame = generator.frame();
                frame[6..12].copy_from_slice(&from);
                set_ipv4_checksum(&mut frame);
                room[..frame.len()].copy_from_slice(&frame);
                frame.len()
            });
            left -= sent.unwrap();
            // The listener must keep up.
            sleep(Duration::from_micros(100));
        }
        while !socket.flush().unwrap() {
            thread::yield_now();
        }
    });
}

/// Sets the IPv4 header checksum, which the generator leaves out: no network stack accepts a packet
/// without. Frames whose IPv4 header is not where expected stay unchanged.
fn set_ipv4_checksum(frame: &mut [u8]) {
    let mut at = 12;
    while frame.len() > at + 4 && matches!(frame[at..at + 2], [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    let header = at + 2;
    if frame.len() < header + 20 || frame[at..header] != [0x08, 0x00] {
        return;
    }
    let end = header + usize::from(frame[header] & 0x0f) * 4;
    if end < header + 20 || end > frame.len() {
        return;
    }
    frame[header + 10..header + 12].fill(0);
    let (words, _) = frame[header..end].as_chunks::<2>();
    let sum: u32 = words
        .iter()
        .map(|w| u32::from(u16::from_be_bytes(*w)))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[header + 10..header + 12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}
