//! `qXfer`, `qOffsets`, `qRcmd` (RSP manual, General Query Packets).

use crate::command::Object;
use crate::packet::PACKET_SIZE;
use crate::reply::{Error, ErrorStyle, Reply};
use crate::session::{Session, State};
use crate::target::{Relocation, Target};
use crate::thread_list;

/// Bytes of a document in one reply: it fits a packet even if each of them is escaped.
const MOST: u64 = PACKET_SIZE as u64 / 2 - 1;

/// Bytes of text in one `O` packet: two digits each.
const MOST_TEXT: usize = PACKET_SIZE / 2 - 1;

impl Session {
    /// The document is made anew for each of its parts; it stays the same while the target is
    /// stopped.
    pub(super) fn read_object(
        &self,
        target: &dyn Target,
        object: Object<'_>,
        offset: u64,
        length: u64,
    ) -> Result<Reply, Error> {
        match object {
            Object::Features { annex: b"target.xml" } => {
                part(target.description().xml(self.lldb.is_here), offset, length)
            }
            Object::Features { .. } => Err(Error::NoSuchAnnex),
            Object::Threads => {
                let threads = thread_list::all(target).filter(|_| self.state == State::Stopped);
                let document = thread_list::xml(target, threads, self.client.multiprocess);
                part(&document, offset, length)
            }
            Object::ExecFile => match target.exec_file() {
                Some(path) => part(path, offset, length),
                None => Ok(Reply::Empty),
            },
        }
    }

    /// The command's output goes out as it comes; the reply follows it.
    pub(super) fn monitor(
        &mut self,
        target: &mut dyn Target,
        command: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Reply, Error> {
        let command = String::from_utf8_lossy(command);
        let tid = self.selected;
        let done = target.monitor(tid, command.trim(), &mut |text| self.print(text, out));
        if let Err(error) = &done
            && self.error_style() == ErrorStyle::Number
        {
            // GDB before 16 has no word for the error but "Protocol error".
            self.print(&format!("{error}\n"), out);
        }
        done?;
        Ok(Reply::Ok)
    }

    /// Appends words for the client to show, in as many packets as they take.
    pub(super) fn print(&mut self, text: &str, out: &mut Vec<u8>) {
        for piece in text.as_bytes().chunks(MOST_TEXT) {
            self.send(Reply::Console(piece.to_vec()), out);
        }
    }
}

/// Where the program is. It moves in one piece: `Text`, `Data` and `Bss` are the same distance, which both clients
/// take for that. GDB does not where there are more than two segments; it then wants the first one's address, which
/// LLDB would take for the distance.
pub fn offsets(target: &mut dyn Target, is_lldb: bool) -> Reply {
    match target.relocation() {
        Relocation { text: Some(text), slide } if !is_lldb && slide != Some(0) => {
            Reply::Text(format!("TextSeg={text:x}"))
        }
        Relocation { slide: Some(slide), .. } => {
            Reply::Text(format!("Text={slide:x};Data={slide:x};Bss={slide:x}"))
        }
        Relocation { slide: None, .. } => Reply::Empty,
    }
}

fn part(document: &str, offset: u64, length: u64) -> Result<Reply, Error> {
    let rest = usize::try_from(offset).ok().and_then(|offset| document.as_bytes().get(offset..));
    let rest = rest.ok_or(Error::OffsetPastEnd)?;
    let length = length.min(MOST) as usize;
    let data = rest.get(..length).unwrap_or(rest);
    Ok(Reply::Chunk { more: data.len() < rest.len(), data: data.to_vec() })
}
