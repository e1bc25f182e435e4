//! What LLDB asks beyond the RSP (its document "GDB Remote Protocol Extensions"). All of it saves
//! packets or tells LLDB what it would otherwise guess.

use crate::aarch64::Register;
use crate::command::Described;
use crate::hex;
use crate::json;
use crate::reply::{Error, Reply};
use crate::session::{Session, State, threads};
use crate::stop::{self, Stop, StopReason};
use crate::target::{AddressBits, MemoryRegion, Permissions, Target, Tid};
use crate::thread_id::{PROCESS, ThreadId};
use crate::thread_list;

/// What LLDB has set.
#[expect(clippy::struct_excessive_bools, reason = "each is a packet of its own")]
#[derive(Debug, Default)]
pub struct Lldb {
    /// `QThreadSuffixSupported`, which no other client sends.
    pub is_here: bool,
    /// `QListThreadsInStopReply`.
    pub list_threads: bool,
    /// `QEnableErrorStrings`.
    pub error_strings: bool,
    /// `x0,0`: replies to `x` have nothing in front.
    pub bare_binary: bool,
}

/// No operating system that LLDB knows: it would look for processes and a dynamic linker.
const TRIPLE: &str = "aarch64-unknown-none";

/// How a machine or its one process is made. The address bits let LLDB strip pointer
/// authentication codes, for which it must know how many there are in either half.
pub fn describe(target: &dyn Target, what: Described) -> Reply {
    let triple = hex::text(TRIPLE.as_bytes());
    let common = format!("triple:{triple};ptrsize:8;endian:little;");
    Reply::Text(match what {
        Described::Process => format!("pid:{PROCESS:x};{common}"),
        Described::Host => {
            format!("{common}{}watchpoint_exceptions_received:before;", address_bits(target))
        }
    })
}

/// How many bits of an address count; LLDB clears or sets those above before it reads there.
fn address_bits(target: &dyn Target) -> String {
    let AddressBits { lower, upper } = target.address_bits();
    format!("low_mem_addressing_bits:{lower};high_mem_addressing_bits:{upper};")
}

/// Past the last register LLDB expects an error.
pub fn register_info(target: &dyn Target, number: u64) -> Result<Reply, Error> {
    let info = target.description().info(number).ok_or(Error::NoSuchRegister { number })?;
    Ok(Reply::Text(info.fields()))
}

impl Session {
    /// The fields of a stop reply that only LLDB reads.
    pub(super) fn lldb_fields(&self, target: &mut dyn Target, stop: Stop) -> String {
        let mut fields = Vec::new();
        if self.lldb.is_here {
            fields.push(format!("reason:{};", stop.reason.name()));
        }
        if self.lldb.list_threads {
            let tids: Vec<Tid> = thread_list::all(target).collect();
            let ids: Vec<String> = tids.iter().map(|tid| format!("{:x}", tid.number())).collect();
            let pc = |tid: &Tid| {
                let pc = target.read_register(*tid, Register::Pc);
                format!("{:x}", pc.map_or(0, |pc| pc.as_u64()))
            };
            let pcs: Vec<String> = tids.iter().map(pc).collect();
            fields.push(format!("threads:{};thread-pcs:{};", ids.join(","), pcs.join(",")));
        }
        if self.lldb.is_here {
            // At the guest's first instruction, when it asks for them, nobody knows.
            fields.push(address_bits(target));
        }
        fields.concat()
    }

    /// Why a thread is stopped: only one of them has a reason.
    fn stop_of(&self, tid: Tid) -> Stop {
        if tid == self.last_stop.tid {
            return self.last_stop;
        }
        Stop { tid, reason: StopReason::Signal(stop::NONE) }
    }

    pub(super) fn thread_stop_info(
        &self,
        target: &mut dyn Target,
        id: ThreadId,
    ) -> Result<Reply, Error> {
        let tid = threads::find(target, id)?;
        Ok(self.stop_reply(target, self.stop_of(tid)))
    }

    /// An array of all threads, each with its reason and its general registers.
    pub(super) fn threads_info(&self, target: &mut dyn Target) -> Reply {
        let threads: Vec<Tid> =
            thread_list::all(target).filter(|_| self.state == State::Stopped).collect();
        let objects: Vec<String> =
            threads.into_iter().map(|tid| self.thread_object(target, tid)).collect();
        Reply::Text(format!("[{}]", objects.join(",")))
    }

    fn thread_object(&self, target: &mut dyn Target, tid: Tid) -> String {
        let stop = self.stop_of(tid);
        // Where LLDB looks for the address, which must be decimal.
        let watched = match stop.reason {
            StopReason::Watch { addr, .. } => format!("\"description\":\"{addr}\","),
            _ => String::new(),
        };
        let description = target.description();
        let registers: Vec<String> = description
            .expedited(true)
            .iter()
            .filter_map(|(number, entry)| {
                let value = target.read_register(tid, entry.reg).ok()?;
                Some(format!("\"{number}\":\"{}\"", hex::text(&value.to_bytes(entry.size))))
            })
            .collect();
        format!(
            "{{\"tid\":{},\"name\":{},\"reason\":\"{}\",\"signal\":{},{watched}\"registers\":{{{}}}}}",
            tid.number(),
            json::string(&target.thread_label(tid)),
            stop.reason.name(),
            stop.reason.signal(),
            registers.join(",")
        )
    }

    /// Without an address LLDB only asks whether the packet is known.
    pub(super) fn memory_region(
        &self,
        target: &mut dyn Target,
        addr: Option<u64>,
    ) -> Result<Reply, Error> {
        let Some(addr) = addr else { return Ok(Reply::Ok) };
        let MemoryRegion { first, last, access } = target.memory_region(self.selected, addr)?;
        // One that ends with the address space loses its last byte: LLDB adds start and size.
        let end = last.saturating_add(1);
        let size = end - first;
        let permissions = access.map_or(String::new(), |access| {
            let Permissions { read, write, execute } = access;
            let letters = [(read, 'r'), (write, 'w'), (execute, 'x')];
            let letters: String =
                letters.iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect();
            format!("permissions:{letters};")
        });
        Ok(Reply::Text(format!("start:{first:x};size:{size:x};{permissions}")))
    }
}
