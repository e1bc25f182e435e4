//! `m`, `x`, `M`, `X`, `Z` (RSP manual, Packets), `qSearch`, `qCRC` (General Query Packets).

use crate::agent::Agent;
use crate::command::{Data, Malformed};
use crate::packet::PACKET_SIZE;
use crate::reply::{Error, Reply};
use crate::session::{Session, stoppoint};
use crate::target::{Space, Stoppoint, Target, TargetError};

/// Bytes whose hex digits fill a packet.
const MOST_HEX: usize = PACKET_SIZE / 2;

/// Bytes in a binary reply. `PacketSize` bounds what clients send; they take what they asked for.
const MOST_BINARY: usize = PACKET_SIZE;

/// Bytes read from the target at once.
const CHUNK: usize = PACKET_SIZE;

/// Bytes to look through for one packet. The guest's tables can make any amount of memory appear,
/// nothing else is served meanwhile, and GDB takes a reply for lost after some seconds.
const MOST_LOOKED_THROUGH: u64 = 256 << 20;

/// As the manual has it: polynomial 0x04c11db7 from all ones, no bit reversed, none inverted
/// (General Query Packets, "qCRC").
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_MPEG_2);

impl Session {
    /// What addresses in the packets of this file mean, breakpoints' aside.
    fn space(&self) -> Space {
        if self.is_physical { Space::Physical } else { Space::Virtual(self.selected) }
    }

    pub(super) fn read_memory(
        &self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        self.read(target, addr, length, MOST_HEX).map(Reply::Hex)
    }

    /// GDB's form has a `b` in front. LLDB first asks for nothing, to see whether there is such a
    /// packet; if so it wants the bytes alone. One that knows GDB's form does not ask.
    pub(super) fn read_binary(
        &mut self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        if length == 0 && self.lldb.is_here {
            self.lldb.bare_binary = true;
            return Ok(Reply::Ok);
        }
        let mut data = match length {
            0 => Vec::new(),
            _ => self.read(target, addr, length, MOST_BINARY)?,
        };
        if !self.lldb.bare_binary {
            data.insert(0, b'b');
        }
        Ok(Reply::Bytes(data))
    }

    /// Fewer bytes than asked for are allowed, and are what comes at the end of a mapping, at the
    /// end of the address space and past `most`.
    fn read(
        &self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        if length == 0 {
            return Err(Error::BadRange { addr, length });
        }
        let to_end = (u64::MAX - addr).saturating_add(1);
        let mut data = vec![0; length.min(to_end).min(most as u64) as usize];
        let read = target.read_memory(self.space(), addr, &mut data)?;
        if read == 0 {
            return Err(TargetError::Unmapped { addr }.into());
        }
        data.truncate(read);
        Ok(data)
    }

    /// Writing nothing succeeds anywhere: so clients find out whether there is an `X`.
    pub(super) fn write_memory(
        &self,
        target: &mut dyn Target,
        addr: u64,
        data: Data<'_>,
    ) -> Result<Reply, Error> {
        let length = data.len() as u64;
        if length == 0 {
            return Ok(Reply::Ok);
        }
        check_range(addr, length)?;
        target.write_memory(self.space(), addr, &data.decode())?;
        Ok(Reply::Ok)
    }

    pub(super) fn insert(
        &self,
        target: &mut dyn Target,
        point: Stoppoint,
        agent: &[u8],
    ) -> Result<Reply, Error> {
        let expected = "Ztype,addr,kind[;Xlen,expr...][;cmds:persist,Xlen,expr...]";
        let agent = Agent::parse(agent).ok_or(Malformed { expected })?;
        stoppoint(target.insert(self.selected, point, agent.map_err(Error::Expression)?))
    }

    /// The first place where the whole pattern stands inside the range.
    pub(super) fn search(
        &self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
        pattern: &[u8],
    ) -> Result<Reply, Error> {
        let finder = memchr::memmem::Finder::new(pattern);
        // A match may lie across chunks: all but one byte of a pattern is kept of what was read.
        let kept = pattern.len() - 1;
        let mut window = Vec::new();
        let mut found = None;
        self.look_through(target, addr, length, |at, chunk| {
            window.extend(chunk);
            let start = at - (window.len() - chunk.len()) as u64;
            found = finder.find(&window).map(|offset| start + offset as u64);
            window.drain(..window.len().saturating_sub(kept));
            found.is_none()
        })?;
        Ok(Reply::Text(found.map_or("0".to_owned(), |at| format!("1,{at:x}"))))
    }

    pub(super) fn checksum(
        &self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        let mut digest = CRC.digest();
        self.look_through(target, addr, length, |_, chunk| {
            digest.update(chunk);
            true
        })?;
        Ok(Reply::Text(format!("C{:x}", digest.finalize())))
    }

    /// Reads a range chunk by chunk, with the address of each, until `look` returns false. All of
    /// it has to be there up to then.
    fn look_through(
        &self,
        target: &mut dyn Target,
        addr: u64,
        length: u64,
        mut look: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), Error> {
        check_range(addr, length)?;
        if length > MOST_LOOKED_THROUGH {
            return Err(Error::TooMuch { length, most: MOST_LOOKED_THROUGH });
        }
        let mut buffer = vec![0; length.min(CHUNK as u64) as usize];
        let mut done = 0;
        while done < length {
            let wanted = (length - done).min(buffer.len() as u64) as usize;
            let Some(chunk) = buffer.get_mut(..wanted) else { break };
            let read = target.read_memory(self.space(), addr + done, chunk)?;
            let Some(chunk) = chunk.get(..read).filter(|chunk| !chunk.is_empty()) else {
                return Err(TargetError::Unmapped { addr: addr + done }.into());
            };
            if !look(addr + done, chunk) {
                break;
            }
            done += chunk.len() as u64;
        }
        Ok(())
    }
}

/// Not empty, and inside the address space.
fn check_range(addr: u64, length: u64) -> Result<(), Error> {
    let last = length.checked_sub(1).and_then(|rest| addr.checked_add(rest));
    last.map(|_| ()).ok_or(Error::BadRange { addr, length })
}
