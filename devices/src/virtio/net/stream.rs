//! Frames over a stream socket, each behind its length in four bytes, big-endian: what passt and QEMU's `-netdev stream`
//! speak.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{LONGEST, Wire};

const PREFIX: usize = 4;
/// Bytes read at once: some frames at a time, so that small ones cost less than a system call each.
const CHUNK: usize = 128 << 10;

/// A connection to a program that has a network.
pub struct Stream {
    socket: UnixStream,
    /// Read and not delivered yet.
    input: Box<[u8]>,
    start: usize,
    end: usize,
    /// Of a frame that has gone out in part, the rest.
    output: VecDeque<u8>,
}

impl Stream {
    /// Connects.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Self::new(UnixStream::connect(path)?)
    }

    /// Takes a connection.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let input = vec![0; CHUNK.max(PREFIX + LONGEST)].into_boxed_slice();
        Ok(Self { socket, input, start: 0, end: 0, output: VecDeque::new() })
    }

    /// The next frame of what was read, if all of it is there.
    fn complete(&mut self) -> io::Result<Option<&[u8]>> {
        let held = self.input.get(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = held.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let len = u32::from_be_bytes(*prefix) as usize;
        if len > LONGEST {
            let what = format!("found a frame of {len} bytes, expected at most {LONGEST}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if rest.len() < len {
            return Ok(None);
        }
        let start = self.start + PREFIX;
        self.start = start + len;
        Ok(self.input.get(start..start + len))
    }

    /// Reads more, behind what is held.
    fn fill(&mut self) -> io::Result<()> {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.input.get_mut(self.end..).unwrap_or_default();
        match self.socket.read(room)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "its other end is gone")),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }

    /// Sends the rest of a frame. Only then is there room for another.
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let (bytes, _) = self.output.as_slices();
            match self.socket.write(bytes) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Wire for Stream {
    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn receive(&mut self, frame: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(bytes) = self.complete()? {
                let (Some(frame), len) = (frame.get_mut(..bytes.len()), bytes.len()) else {
                    continue;
                };
                frame.copy_from_slice(bytes);
                return Ok(len);
            }
            match self.fill() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.output.extend((frame.len() as u32).to_be_bytes());
        self.output.extend(frame);
        self.is_behind().map(|_| ())
    }

    fn is_behind(&mut self) -> io::Result<bool> {
        match self.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            other => other.map(|()| false),
        }
    }
}
