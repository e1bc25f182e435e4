//! Frames over a stream socket, each behind its length in four bytes, big-endian: what passt and QEMU's `-netdev stream`
//! speak.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{HEADER, LONGEST, Wire};
use crate::virtio::unix;

const PREFIX: usize = 4;
/// Bytes read at once: some frames at a time, so that small ones cost less than a system call each.
const CHUNK: usize = 128 << 10;
/// Bytes held while the guest has no room. passt does not wait until its socket has room, it drops what does not fit, and it is seconds before it
/// sends that again. A Linux guest lets a connection have 6 MiB under way (`tcp_rmem`, to 6.15).
const MOST: usize = 8 << 20;
/// Bytes of memory kept when nothing is held any more.
const SPARE: usize = 1 << 20;
/// Bytes delivered before it is read again what came meanwhile.
const READ_AGAIN: usize = 64 << 10;
/// Half of what passt takes: a frame then goes through a Unix socket whole or not at all (Linux, unix_stream_sendmsg). Debian 12's passt
/// loses its place in the stream when it finds a part of one (tap.c, tap_handler_passt).
const MTU: u16 = 32 << 10;

/// A connection to a program that has a network.
pub struct Stream {
    path: PathBuf,
    socket: UnixStream,
    /// Its other end has gone, or talks nonsense.
    is_torn: bool,
    /// Read and not delivered yet.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes delivered since it was last read.
    delivered: usize,
    /// Of a frame that has gone out in part, the rest.
    output: VecDeque<u8>,
}

impl Stream {
    /// Connects to the socket of this path.
    pub fn connect(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            socket: unix::connect(path)?,
            is_torn: false,
            input: Vec::new(),
            start: 0,
            end: 0,
            delivered: 0,
            output: VecDeque::new(),
        })
    }

    /// The next frame of what was read, if all of it is there.
    fn complete(&mut self) -> io::Result<Option<&[u8]>> {
        let held = self.input.get(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = held.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let len = u32::from_be_bytes(*prefix) as usize;
        if len > LONGEST {
            let what = format!(
                "its other end talks nonsense: found a frame of {len} bytes, expected at most {LONGEST}"
            );
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        if rest.len() < len {
            return Ok(None);
        }
        let start = self.start + PREFIX;
        self.start = start + len;
        Ok(self.input.get(start..start + len))
    }

    /// Reads more, behind what is held. False if that is as much as may be.
    fn fill(&mut self) -> io::Result<bool> {
        let held = self.end - self.start;
        if held == 0 && self.input.len() > SPARE {
            (self.input, self.start, self.end) = (Vec::new(), 0, 0);
        }
        if held >= MOST {
            return Ok(false);
        }
        // To the front only if that is less than what has been delivered: each byte moves once at most.
        if held <= self.start {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, held);
        }
        if self.input.len() - self.end < CHUNK {
            self.input.resize(self.end + CHUNK, 0);
        }
        let room = self.input.get_mut(self.end..).unwrap_or_default();
        match self.socket.read(room) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "its other end is gone")),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Reads all that has come. False if it is more than may be held.
    fn read(&mut self) -> io::Result<bool> {
        self.delivered = 0;
        loop {
            match self.fill() {
                Ok(true) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                other => return other,
            }
        }
    }

    /// Sends the rest of a frame. Only then is there room for another.
    fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            let (bytes, _) = self.output.as_slices();
            match self.socket.write(bytes) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next frame, behind room for a header in `packet`.
    fn next(&mut self, packet: &mut [u8]) -> io::Result<usize> {
        if self.delivered >= READ_AGAIN {
            self.read()?;
        }
        loop {
            if let Some(frame) = self.complete()? {
                let len = HEADER + frame.len();
                let Some(packet) = packet.get_mut(..len) else { continue };
                let (header, room) = packet.split_at_mut(HEADER);
                header.fill(0);
                room.copy_from_slice(frame);
                self.delivered += len;
                return Ok(len);
            }
            // Less than a frame is never as much as may be.
            self.fill()?;
        }
    }

    /// Sends a frame, or what goes of it now.
    fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        self.flush()?;
        let prefix = (frame.len() as u32).to_be_bytes();
        let sent = match self.socket.write_vectored(&[IoSlice::new(&prefix), IoSlice::new(frame)]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            sent => sent?,
        };
        self.output.extend(prefix.iter().chain(frame).skip(sent));
        Ok(())
    }

    /// Notes what an error means.
    fn check<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.is_torn |= result.as_ref().is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
        result
    }
}

impl Wire for Stream {
    fn mtu(&self) -> Option<u16> {
        Some(MTU)
    }

    fn begin(&mut self, _: u64) -> io::Result<()> {
        if self.is_torn || self.has_hung_up() {
            *self = Self::connect(&self.path)?;
        }
        Ok(())
    }

    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn has_hung_up(&self) -> bool {
        unix::has_hung_up(&self.socket)
    }

    fn receive(&mut self, packet: &mut [u8]) -> io::Result<usize> {
        let result = self.next(packet);
        self.check(result)
    }

    fn hold(&mut self) -> io::Result<bool> {
        let result = self.read();
        self.check(result)
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let result = self.put(packet.get(HEADER..).unwrap_or_default());
        self.check(result)
    }

    fn is_behind(&mut self) -> io::Result<bool> {
        match self.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            other => self.check(other).map(|()| false),
        }
    }
}
