//! AF_XDP: frames to and from one queue of an interface, past the kernel's stack. Safe where the library
//! leaves lifetimes to its user: buffers never leave a `Socket`.
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

/// The longest frame that fits a buffer, without its check sequence: the kernel keeps 256 bytes of 4096. Of
/// 2048, igb would fill the first 1024 only, and a frame of full length would come in two pieces.
pub const LONGEST_FRAME: usize = 3840;
/// Entries of each ring.
const RING: u32 = 2048;
/// Frames that one call hands over at most. In copy mode the kernel takes no more than 32 at a time
/// (`TX_BATCH_SIZE`, net/xdp/xsk.c).
pub const BATCH: usize = 32;

/// Whether the NIC reads and writes the buffers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CopyMode {
    /// It does if it can.
    #[default]
    IfNeeded,
    /// The kernel copies every frame.
    Always,
    /// Opening fails where it cannot.
    Never,
}

/// What the kernel counts of a socket (`struct xdp_statistics`), in frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketDrops {
    /// They came while no received frame more could be handed over: the reader is slow.
    pub ring_full: u64,
    /// They came while there was no buffer for them: the same.
    pub no_buffer: u64,
    /// For other reasons.
    pub other: u64,
}

/// A socket on one queue. Received frames reach it through an XSKMAP by [`AsRawFd`].
pub struct Socket {
    // Before the memory area: the kernel must have let go of it.
    socket: XdpSocket,
    rings: WakableRings,
    packets: HeapSlab,
    umem: Umem,
    zero_copy: bool,
    /// Buffers that the kernel holds to send.
    sending: usize,
}

// SAFETY: what makes it !Send are raw pointers: to the mappings of its memory area and rings, which it owns
// and which no thread has a special right to, and in packets of the slab, which is empty between calls.
unsafe impl Send for Socket {}

impl Socket {
    /// Opens a socket on a queue of the interface with this index, in this thread's network namespace.
    ///
    /// # Errors
    /// If there is no such queue, another socket has it (EBUSY), or the interface cannot do without copies
    /// and must (EOPNOTSUPP).
    pub fn open(interface: u32, queue: u32, copies: CopyMode) -> io::Result<Self> {
        let (first, second) = match copies {
            CopyMode::IfNeeded => (false, Some(true)),
            CopyMode::Always => (true, None),
            CopyMode::Never => (false, None),
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
        // SAFETY: the socket, which reads what is enqueued here, is dropped before the memory area.
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

    /// Does the NIC read and write the buffers itself?
    pub fn is_zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Hands over at most [`BATCH`] frames, each written by a call of `write` into the room that it is
    /// given ([`LONGEST_FRAME`] bytes), which returns its length. Returns how many there was room for:
    /// none, while the NIC is behind.
    ///
    /// # Errors
    /// If the interface is down or gone.
    pub fn send(
        &mut self,
        frames: usize,
        mut write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.reclaim();
        // Half of the buffers are for what arrives.
        let room = (RING as usize).saturating_sub(self.sending);
        for _ in 0..frames.min(BATCH).min(room) {
            // SAFETY: the packet goes into the ring below, or back in this very call.
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
        self.push()?;
        Ok(sent)
    }

    /// Makes the kernel go on with what it was given to send. Returns whether all of it is gone.
    ///
    /// # Errors
    /// As for [`Socket::send`].
    pub fn flush(&mut self) -> io::Result<bool> {
        self.reclaim();
        if self.sending > 0 {
            self.push()?;
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

    fn push(&self) -> io::Result<()> {
        match rustix::net::send(self.descriptor(), &[], SendFlags::DONTWAIT) {
            Ok(_)
            // The NIC is behind, or lost the frame: it counts that itself.
            | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Shows every frame that has arrived, at most [`BATCH`], and returns how many.
    ///
    /// # Errors
    /// If the interface is down or gone.
    pub fn receive(&mut self, mut see: impl FnMut(&[u8])) -> io::Result<usize> {
        let Some(ring) = &mut self.rings.rx_ring else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        // SAFETY: each packet goes back to the memory area below, in this very call.
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
                self.pull()?;
            }
        }
        Ok(arrived)
    }

    /// A driver that ran out of buffers goes on when it is told that there are some again.
    fn pull(&self) -> io::Result<()> {
        let nothing: &mut [u8] = &mut [];
        match rustix::net::recv(self.descriptor(), nothing, RecvFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What was lost since the socket was opened.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn lost(&self) -> io::Result<SocketDrops> {
        let told = self.socket.statistics().map_err(cause)?;
        Ok(SocketDrops {
            ring_full: told.rx_ring_full,
            no_buffer: told.rx_fill_ring_empty_descs,
            other: told.rx_dropped,
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
    let number = error.raw_os_error();
    // Drivers that have no queue for it to spare say EINVAL.
    [libc::EOPNOTSUPP, libc::EINVAL].map(Some).contains(&number)
}

/// The kernel's answer without the library's words around it.
fn cause(error: SocketError) -> io::Error {
    match error {
        SocketError::SocketCreation(inner)
        | SocketError::Bind(inner)
        | SocketError::SetSockOpt { inner, .. }
        | SocketError::GetSockOpt { inner, .. }
        | SocketError::RingMap { inner, .. } => inner,
    }
}
