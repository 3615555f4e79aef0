//! The chain of IPv6 extension headers.

use etherparse::{IpNumber, Ipv6FragmentHeaderSlice};

use super::window::Window;

/// The largest number of extension headers.
const MOST_HEADERS: usize = 8;
/// The largest offset in the frame at which a header may begin, in bytes.
const LAST_START: usize = 504;

/// The extension headers in order. After the last one, `next` is the protocol and `rest` its
/// packet.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) next: IpNumber,
    pub(super) rest: Window<'a>,
    count: usize,
    fragmented: bool,
}

/// An extension header, reduced to the fields that decide something.
#[derive(Debug)]
pub(super) enum Extension {
    /// A header without such fields.
    Skipped,
    Routing {
        kind: u8,
        segments_left: u8,
    },
    Fragment {
        /// In bytes.
        offset: u16,
        more: bool,
    },
}

/// The reason for which a chain cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A header in a wrong position, or one too many.
    Misplaced,
    /// A header that ends behind the packet.
    DoesNotFit,
}

impl<'a> Chain<'a> {
    pub(super) fn new(next: IpNumber, rest: Window<'a>) -> Self {
        Self {
            next,
            rest,
            count: 0,
            fragmented: false,
        }
    }

    /// Reads the next extension header; `None` after the last one.
    ///
    /// # Errors
    ///
    /// If the next header cannot be read.
    pub(super) fn step(&mut self) -> Result<Option<Extension>, Fault> {
        let kind = self.next;
        if !matches!(
            kind,
            IpNumber::IPV6_HEADER_HOP_BY_HOP
                | IpNumber::IPV6_ROUTE_HEADER
                | IpNumber::IPV6_FRAGMENTATION_HEADER
                | IpNumber::AUTHENTICATION_HEADER
                | IpNumber::IPV6_DESTINATION_OPTIONS
        ) {
            return Ok(None);
        }

        // The order of the headers, and their number.
        if self.count == MOST_HEADERS
            || kind == IpNumber::IPV6_HEADER_HOP_BY_HOP && self.count > 0
            || kind == IpNumber::IPV6_FRAGMENTATION_HEADER && self.fragmented
        {
            return Err(Fault::Misplaced);
        }
        // No extension header is shorter than 8 bytes.
        if self.rest.len() < 8 {
            return Err(Fault::DoesNotFit);
        }
        if self.rest.position() > LAST_START {
            return Err(Fault::Misplaced);
        }
        let header = self.rest.read(8).ok_or(Fault::Misplaced)?;

        // The length of the header.
        let length = match kind {
            IpNumber::IPV6_FRAGMENTATION_HEADER => 8,
            // docs/packets.md accepts any length that fits; etherparse refuses 0.
            IpNumber::AUTHENTICATION_HEADER => (usize::from(header[1]) + 2) * 4,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        if self.rest.len() < length {
            return Err(Fault::DoesNotFit);
        }

        // Step over the header.
        self.count += 1;
        self.next = IpNumber(header[0]);
        self.rest = self.rest.after(length);
        Ok(Some(match kind {
            IpNumber::IPV6_ROUTE_HEADER => Extension::Routing {
                kind: header[2],
                segments_left: header[3],
            },
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                self.fragmented = true;
                let header =
                    Ipv6FragmentHeaderSlice::from_slice(header).map_err(|_| Fault::DoesNotFit)?;
                Extension::Fragment {
                    offset: header.fragment_offset().byte_offset(),
                    more: header.more_fragments(),
                }
            }
            _ => Extension::Skipped,
        }))
    }
}
