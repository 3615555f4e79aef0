//! AF_XDP sockets: frames to and from one queue of an interface, without the kernel network stack.
//! Buffers never leave a `Socket`, so the lifetimes that the library leaves to its user are safe
//! here.
#![expect(
    unsafe_code,
    reason = "the library's buffers are raw pointers into its memory area"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab as _};
use xdp::socket::{BindFlags, SocketError, XdpSocket, XdpSocketBuilder};
use xdp::umem::{FrameSize, UmemCfgBuilder};
use xdp::{RingConfigBuilder, Umem, WakableRings};

/// Longest frame that fits a buffer, without its FCS: the kernel reserves 256 of 4096 bytes.
/// Buffers of 2048 bytes do not suffice: igb would fill only the first 1024, and split a
/// full-length frame.
pub const LONGEST_FRAME: usize = 3840;
/// Entries of each ring.
const RING: u32 = 2048;
/// Maximum number of frames per call. In copy mode the kernel takes at most 32 at a time
/// (`TX_BATCH_SIZE`, net/xdp/xsk.c).
pub const BATCH: usize = 32;

/// Whether the kernel copies frames, or the NIC accesses the buffers itself (zero copy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyPolicy {
    /// Zero copy if the NIC supports it.
    #[default]
    IfNeeded,
    /// The kernel copies every frame.
    Always,
    /// Zero copy; opening fails if the NIC does not support it.
    Never,
}

/// Frames that a socket dropped (`struct xdp_statistics`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketDrops {
    /// The receive ring was full: the reader is too slow.
    pub ring_full: u64,
    /// No buffer was free: the reader is too slow.
    pub no_buffer: u64,
    /// Other reasons.
    pub other: u64,
}

/// A socket on one queue. Received frames reach it through an XSKMAP by [`AsRawFd`].
pub struct Socket {
    // Dropped before the memory area, because the kernel accesses the area through the socket.
    socket: XdpSocket,
    rings: WakableRings,
    packets: HeapSlab,
    umem: Umem,
    zero_copy: bool,
    /// Number of buffers that the kernel holds for transmission.
    sending: usize,
}

// SAFETY: the raw pointers refer to the mappings of the memory area and rings, which the socket
// owns and any thread may use, and to packets of the slab, which is empty between calls.
unsafe impl Send for Socket {}

impl Socket {
    /// Opens a socket on a queue of the interface with this index, in this thread's network
    /// namespace.
    ///
    /// # Errors
    /// If there is no such queue, another socket uses it (EBUSY), or zero copy is required and
    /// unsupported (EOPNOTSUPP).
    pub fn open(interface: u32, queue: u32, copies: CopyPolicy) -> io::Result<Self> {
        let (first, second) = match copies {
            CopyPolicy::IfNeeded => (false, Some(true)),
            CopyPolicy::Always => (true, None),
            CopyPolicy::Never => (false, None),
        };
        match Self::bind(interface, queue, first) {
            Err(error) => match second {
                Some(copy) if cannot_without_copies(&error) => Self::bind(interface, queue, copy),
                _ => Err(error),
            },
            opened => opened,
        }
    }

    fn bind(interface: u32, queue: u32, copy: bool) -> io::Result<Self> {
        let area = UmemCfgBuilder {
            frame_size: FrameSize::FourK,
            frame_count: 2 * RING,
            ..Default::default()
        };
        let area = area.build().map_err(io::Error::other)?;
        let rings = RingConfigBuilder {
            rx_count: RING,
            tx_count: RING,
            fill_count: RING,
            completion_count: RING,
        };
        let rings = rings.build().map_err(io::Error::other)?;
        let mut umem = Umem::map(area)?;
        let mut builder = XdpSocketBuilder::new().map_err(cause)?;
        let (mut rings, mut flags): (WakableRings, BindFlags) =
            builder.build_wakable_rings(&umem, rings).map_err(cause)?;
        if copy {
            flags.force_copy();
        } else {
            flags.force_zerocopy();
        }
        let half = umem.allocatable() / 2;
        // SAFETY: the socket, which reads the enqueued buffers, is dropped before the memory area.
        unsafe { rings.fill_ring.enqueue(&mut umem, half, false) }?;
        let socket = builder
            .bind(NicIndex::new(interface), queue, flags)
            .map_err(cause)?;
        Ok(Self {
            socket,
            rings,
            packets: HeapSlab::with_capacity(BATCH),
            umem,
            zero_copy: !copy,
            sending: 0,
        })
    }

    /// Whether the NIC accesses the buffers itself.
    pub fn is_zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Sends at most [`BATCH`] frames. `write` fills a buffer of [`LONGEST_FRAME`] bytes and
    /// returns the length of the frame. Returns the number of frames that were queued; 0 while the
    /// ring is full.
    ///
    /// # Errors
    /// If the interface is down or was deleted.
    pub fn send(
        &mut self,
        frames: usize,
        mut write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.reclaim();
        // Half of the buffers are for reception.
        let room = (RING as usize).saturating_sub(self.sending);
        for _ in 0..frames.min(BATCH).min(room) {
            // SAFETY: the packet is queued or freed below, within this call.
            let Some(mut packet) = (unsafe { self.umem.alloc() }) else {
                break;
            };
            let whole = packet.adjust_tail(LONGEST_FRAME as i32);
            debug_assert!(whole.is_ok(), "a buffer is longer");
            let length = write(&mut packet).min(LONGEST_FRAME);
            let unused = packet.adjust_tail(length as i32 - LONGEST_FRAME as i32);
            debug_assert!(unused.is_ok(), "it shrinks to what was written");
            let refused = self.packets.push_front(packet);
            debug_assert!(refused.is_none(), "the slab takes a batch");
        }
        let Some(ring) = &mut self.rings.tx_ring else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // SAFETY: the socket is dropped before the memory area that the packets are in.
        let sent = unsafe { ring.send(&mut self.packets, false) };
        let sent = sent.unwrap_or(0);
        self.sending += sent;
        while let Some(packet) = self.packets.pop_back() {
            self.umem.free_packet(packet);
        }
        self.wake_transmitter()?;
        Ok(sent)
    }

    /// Makes the kernel continue transmission. Returns whether all queued frames were sent.
    ///
    /// # Errors
    /// As for [`Socket::send`].
    pub fn flush(&mut self) -> io::Result<bool> {
        self.reclaim();
        if self.sending > 0 {
            self.wake_transmitter()?;
            self.reclaim();
        }
        Ok(self.sending == 0)
    }

    fn reclaim(&mut self) {
        if self.sending > 0 {
            let back = self
                .rings
                .completion_ring
                .dequeue(&mut self.umem, RING as usize);
            self.sending = self.sending.saturating_sub(back);
        }
    }

    fn wake_transmitter(&self) -> io::Result<()> {
        match rustix::net::send(self.descriptor(), &[], SendFlags::DONTWAIT) {
            Ok(_)
            // The ring is full, or the NIC lost the frame and counted the loss.
            | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls `see` for each received frame, at most [`BATCH`], and returns their number.
    ///
    /// # Errors
    /// If the interface is down or was deleted.
    pub fn receive(&mut self, mut see: impl FnMut(&[u8])) -> io::Result<usize> {
        let Some(ring) = &mut self.rings.rx_ring else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // SAFETY: each packet is freed below, within this call.
        let arrived = unsafe { ring.recv(&self.umem, &mut self.packets) };
        while let Some(packet) = self.packets.pop_back() {
            see(&packet);
            self.umem.free_packet(packet);
        }
        if arrived > 0 {
            // SAFETY: the socket is dropped before the memory area.
            unsafe {
                self.rings
                    .fill_ring
                    .enqueue(&mut self.umem, arrived, false)?
            };
            if self.zero_copy {
                self.wake_receiver()?;
            }
        }
        Ok(arrived)
    }

    /// Wakes a driver that stopped because it had no buffers.
    fn wake_receiver(&self) -> io::Result<()> {
        let nothing: &mut [u8] = &mut [];
        match rustix::net::recv(self.descriptor(), nothing, RecvFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Frames dropped since the socket was opened.
    ///
    /// # Errors
    /// If the kernel does not answer.
    pub fn lost(&self) -> io::Result<SocketDrops> {
        let statistics = self.socket.statistics().map_err(cause)?;
        Ok(SocketDrops {
            ring_full: statistics.rx_ring_full,
            no_buffer: statistics.rx_fill_ring_empty_descs,
            other: statistics.rx_dropped,
        })
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: it lives as long as `self.socket`, which is borrowed for as long.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn cannot_without_copies(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    // Drivers without a spare queue return EINVAL.
    [libc::EOPNOTSUPP, libc::EINVAL].map(Some).contains(&errno)
}

/// The I/O error in an error of the library.
fn cause(error: SocketError) -> io::Error {
    match error {
        SocketError::SocketCreation(inner)
        | SocketError::Bind(inner)
        | SocketError::SetSockOpt { inner, .. }
        | SocketError::GetSockOpt { inner, .. }
        | SocketError::RingMap { inner, .. } => inner,
    }
}
