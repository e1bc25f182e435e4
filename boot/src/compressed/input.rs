//! Compressed bytes, and whether a decoder wanted more than there are.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use super::Fault;
use crate::bytes::{be_u32, le_u32};

/// What has not been decompressed yet.
///
/// All of it is in memory: not every decoder copes with a read that is short for want of a buffer.
pub(super) struct Input<'a> {
    rest: &'a [u8],
    end: End,
}

/// The end of an [`Input`]. Decoders say in many ways that they were cut short, and some do not at all.
#[derive(Clone, Default)]
pub(super) struct End(Rc<Cell<bool>>);

impl End {
    /// Whether a read wanted more than there was.
    pub(super) fn was_passed(&self) -> bool {
        self.0.get()
    }

    /// What a decoder's error means.
    pub(super) fn fault(&self, error: io::Error) -> Fault {
        if self.was_passed() || error.kind() == io::ErrorKind::UnexpectedEof {
            Fault::Truncated
        } else {
            Fault::Corrupt(error)
        }
    }
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: End::default() }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn end(&self) -> End {
        self.end.clone()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        self.take(1)?.first().copied().ok_or(Fault::Truncated)
    }

    pub(super) fn be_u32(&mut self) -> Result<u32, Fault> {
        be_u32(self.take(4)?, 0).ok_or(Fault::Truncated)
    }

    pub(super) fn le_u32(&mut self) -> Result<u32, Fault> {
        le_u32(self.take(4)?, 0).ok_or(Fault::Truncated)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && !buf.is_empty() {
            self.end.0.set(true);
        }
        self.rest.read(buf)
    }
}

impl BufRead for Input<'_> {
    /// To look here is not to want: decoders do that with output left, too.
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest.consume(amount);
    }
}
