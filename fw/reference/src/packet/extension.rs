use etherparse::{IpNumber, Ipv6FragmentHeaderSlice};

use crate::window::Window;

const MOST: usize = 8;
/// Where in the frame the last header may begin.
const LAST: usize = 504;

/// Extension headers, one after the other. When there are no more, `next` is the protocol and
/// `rest` its packet.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    pub(crate) next: IpNumber,
    pub(crate) rest: Window<'a>,
    count: usize,
    fragmented: bool,
}

/// A header, as far as it matters.
#[derive(Debug)]
pub(crate) enum Extension {
    /// It says nothing about the packet.
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

/// Why a chain cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A header that may not be there, or not there.
    Misplaced,
    /// The packet ends before the header does.
    DoesNotFit,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(next: IpNumber, rest: Window<'a>) -> Self {
        Self {
            next,
            rest,
            count: 0,
            fragmented: false,
        }
    }

    /// The next header, if there is another.
    ///
    /// # Errors
    ///
    /// If there is another, and it cannot be read.
    pub(crate) fn step(&mut self) -> Result<Option<Extension>, Fault> {
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
        if self.count == MOST
            || kind == IpNumber::IPV6_HEADER_HOP_BY_HOP && self.count > 0
            || kind == IpNumber::IPV6_FRAGMENTATION_HEADER && self.fragmented
        {
            return Err(Fault::Misplaced);
        }
        // None is shorter than 8 bytes.
        if self.rest.len() < 8 {
            return Err(Fault::DoesNotFit);
        }
        if self.rest.position() > LAST {
            return Err(Fault::Misplaced);
        }
        let header = self.rest.read(8).ok_or(Fault::Misplaced)?;
        let length = match kind {
            IpNumber::IPV6_FRAGMENTATION_HEADER => 8,
            // By hand: the page takes any length that fits, etherparse does not take 0.
            IpNumber::AUTHENTICATION_HEADER => (usize::from(header[1]) + 2) * 4,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        if self.rest.len() < length {
            return Err(Fault::DoesNotFit);
        }
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
