//! A part of the outermost frame.

/// The length of the part of the outermost frame that is read, in bytes. Bytes behind it count for
/// lengths only.
const READABLE: usize = 512;

/// A part of the outermost frame, with its position in the frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    frame: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    /// The whole frame.
    pub(super) fn of(frame: &'a [u8]) -> Self {
        Self {
            frame,
            start: 0,
            end: frame.len(),
        }
    }

    /// The length in bytes.
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }

    /// The offset of its first byte in the outermost frame.
    pub(super) fn position(self) -> usize {
        self.start
    }

    /// The first `count` bytes, if the part has them and they are readable.
    pub(super) fn read(self, count: usize) -> Option<&'a [u8]> {
        (count <= self.len() && self.start + count <= READABLE)
            .then(|| &self.frame[self.start..self.start + count])
    }

    /// All bytes, readable or not. Use them for lengths only.
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.frame[self.start..self.end]
    }

    /// The part after the first `count` bytes.
    pub(super) fn after(self, count: usize) -> Self {
        Self {
            start: self.end.min(self.start + count),
            ..self
        }
    }

    /// The part of the first `count` bytes, or all if there are fewer.
    pub(super) fn first(self, count: usize) -> Self {
        Self {
            end: self.end.min(self.start + count),
            ..self
        }
    }
}
