/// How much of the outermost frame is ever read. What lies beyond has a length but no content.
const READ: usize = 512;

/// A part of the outermost frame that knows where in the frame it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    frame: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Window<'a> {
    pub(crate) fn of(frame: &'a [u8]) -> Self {
        Self {
            frame,
            start: 0,
            end: frame.len(),
        }
    }

    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }

    /// Where in the outermost frame it begins.
    pub(crate) fn position(self) -> usize {
        self.start
    }

    /// Its first bytes, if it has as many and they are within what is read of a frame.
    pub(crate) fn read(self, count: usize) -> Option<&'a [u8]> {
        (count <= self.len() && self.start + count <= READ)
            .then(|| &self.frame[self.start..self.start + count])
    }

    /// All its bytes, read or not: for lengths only.
    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.frame[self.start..self.end]
    }

    /// What follows its first bytes.
    pub(crate) fn after(self, count: usize) -> Self {
        Self {
            start: self.end.min(self.start + count),
            ..self
        }
    }

    /// Its first bytes, or all if there are fewer.
    pub(crate) fn first(self, count: usize) -> Self {
        Self {
            end: self.end.min(self.start + count),
            ..self
        }
    }
}
