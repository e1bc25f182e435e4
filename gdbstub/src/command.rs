//! What a client asks: packet data parsed into [`Command`], without looking at session or target.

mod fields;
pub mod table;

use std::borrow::Cow;

use crate::hex::HexBytes;
use crate::target::{Action, Stoppoint};
use crate::thread_id::ThreadId;

/// A packet understood; [`table::PACKETS`] says which has which syntax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// `qSupported`: what the client understands.
    Supported(ClientFeatures),
    /// `QStartNoAckMode`.
    StartNoAckMode,
    /// `!`: stay when the machine is gone, it may be started again.
    Extend,
    /// `?`: why is the target stopped?
    HaltReason,
    /// `qXfer:...:read:`: part of a document.
    ReadObject { object: Object<'a>, offset: u64, length: u64 },
    /// `qSymbol`: the client offers to look symbols up.
    Symbol,
    /// `qOffsets`: how far is the program from where it was linked?
    Offsets,
    /// `qRcmd`: words for the machine's own command line.
    Monitor(HexBytes<'a>),

    /// `Hg`: the thread that register and memory packets mean.
    SelectThread(ThreadId),
    /// `Hc`: the threads that `c` and `s` mean.
    SelectResumeThread(ThreadId),
    /// `T`: does this thread exist?
    IsThreadAlive(ThreadId),
    /// `qC`: which thread is selected?
    CurrentThread,
    /// `qfThreadInfo`: all threads.
    FirstThreadInfo,
    /// `qsThreadInfo`: the rest of them.
    NextThreadInfo,
    /// `qThreadExtraInfo`: words for a person.
    ThreadExtraInfo(ThreadId),

    /// `g`, of a thread of its own where LLDB names one.
    ReadRegisters { thread: Option<ThreadId> },
    /// `G`.
    WriteRegisters { values: HexBytes<'a>, thread: Option<ThreadId> },
    /// `p`.
    ReadRegister { number: u64, thread: Option<ThreadId> },
    /// `P`.
    WriteRegister { number: u64, value: HexBytes<'a>, thread: Option<ThreadId> },

    /// `m`.
    ReadMemory { addr: u64, length: u64 },
    /// `x`.
    ReadBinary { addr: u64, length: u64 },
    /// `M` or `X`.
    WriteMemory { addr: u64, data: Data<'a> },
    /// `qSearch:memory`.
    Search { addr: u64, length: u64, pattern: &'a [u8] },
    /// `qCRC`.
    Checksum { addr: u64, length: u64 },

    /// `qqemu.Supported`: which of QEMU's packets are there?
    QemuFeatures,
    /// `qqemu.PhyMemMode`: are addresses of memory physical?
    IsPhysical,
    /// `Qqemu.PhyMemMode`: let them be, or not.
    SetPhysical(bool),

    /// `Z`, with the rest of it: conditions and commands.
    Insert { point: Stoppoint, agent: &'a [u8] },
    /// `z`.
    Remove(Stoppoint),

    /// `vCont?`: which actions are there?
    VContActions,
    /// `vCont`: for each thread the leftmost action that names it.
    VCont(Vec<ThreadAction>),
    /// `c`, `C`, `s`, `S`: the threads `Hc` selected, from `addr` if given.
    Resume { action: Action, addr: Option<u64> },
    /// `vCtrlC`.
    CtrlC,

    /// `qAttached`: was the process there before us?
    Attached,
    /// `vAttach`.
    Attach { process: u64 },
    /// `vRun`: start the machine again.
    Run,
    /// `R`: the same, without a reply.
    Restart,
    /// `D`, with the process if there is more than one to name.
    Detach { process: Option<u64> },
    /// `vKill`.
    KillProcess { process: u64 },
    /// `k`, which has no reply.
    Kill,

    /// `qHostInfo` or `qProcessInfo`.
    Describe(Described),
    /// `QThreadSuffixSupported`: LLDB is here, and will name threads in register packets.
    ThreadSuffix,
    /// `QListThreadsInStopReply`.
    ListThreads,
    /// `QEnableErrorStrings`.
    ErrorStrings,
    /// `qRegisterInfo`.
    RegisterInfo { number: u64 },
    /// `jThreadsInfo`: every thread's stop and registers.
    ThreadsInfo,
    /// `qThreadStopInfo`: one thread's stop reply.
    ThreadStopInfo(ThreadId),
    /// `qMemoryRegionInfo`; without an address, whether there is such a packet.
    MemoryRegion { addr: Option<u64> },
    /// `qWatchpointSupportInfo`.
    WatchpointSupport,
    /// `_M`, `_m`: memory for the client's own use.
    Allocate,

    /// None of the above. Its reply is the empty one, `vMustReplyEmpty`'s too.
    Unknown,
}

/// What LLDB wants described.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Described {
    /// `qHostInfo`: the machine.
    Host,
    /// `qProcessInfo`: what runs on it.
    Process,
}

/// What `qSupported` says of the client. It may only be sent what it offered.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the wire")]
pub struct ClientFeatures {
    /// `multiprocess+`: thread-ids name the process.
    pub multiprocess: bool,
    /// `swbreak+`: stop replies may have it.
    pub swbreak: bool,
    /// `hwbreak+`: likewise.
    pub hwbreak: bool,
    /// `error-message+`: any error reply may be `E.text`.
    pub error_message: bool,
    /// `no-resumed+`: a stop reply may be `N`.
    pub no_resumed: bool,
}

/// A document to read (RSP manual, General Query Packets, "qXfer object read").
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Object<'a> {
    /// `features`: the target description, of which the annex names the file.
    Features { annex: &'a [u8] },
    /// `threads`.
    Threads,
    /// `exec-file`: the path of the program, where the client may find its symbols.
    ExecFile,
}

/// Bytes for memory.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Data<'a> {
    /// From `M`.
    Hex(HexBytes<'a>),
    /// From `X`.
    Binary(&'a [u8]),
}

impl<'a> Data<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::Hex(hex) => hex.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// The bytes themselves.
    pub fn decode(self) -> Cow<'a, [u8]> {
        match self {
            Self::Hex(hex) => Cow::Owned(hex.decode()),
            Self::Binary(bytes) => Cow::Borrowed(bytes),
        }
    }
}

/// One action of `vCont` and the threads it is for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ThreadAction {
    /// What they do; `None` for `t`: nothing, they stay where they are.
    pub action: Option<Action>,
    /// Which they are.
    pub threads: ThreadId,
}

/// The client's fault: a packet known by its name whose rest is not as the manual has it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The syntax, in the manual's words.
    pub expected: &'static str,
}

impl<'a> Command<'a> {
    /// Understands the data of a packet.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Malformed> {
        let Some((known, args)) = table::find(packet) else { return Ok(Self::Unknown) };
        (known.parse)(args).ok_or(Malformed { expected: known.syntax })
    }

    /// Whether it is obeyed also while the client waits for a stop reply.
    pub fn is_for_any_time(&self) -> bool {
        matches!(self, Self::CtrlC | Self::Kill | Self::KillProcess { .. })
    }

    /// Whether it is obeyed also where there is no target (any more).
    pub fn is_for_no_target(&self) -> bool {
        match self {
            Self::Supported(_)
            | Self::StartNoAckMode
            | Self::Extend
            | Self::HaltReason
            | Self::ReadObject { .. }
            | Self::Symbol
            | Self::Offsets
            | Self::FirstThreadInfo
            | Self::NextThreadInfo
            | Self::VContActions
            | Self::Attached
            | Self::Attach { .. }
            | Self::Run
            | Self::Restart
            | Self::Describe(_)
            | Self::ThreadSuffix
            | Self::ListThreads
            | Self::ErrorStrings
            | Self::QemuFeatures
            | Self::IsPhysical
            | Self::SetPhysical(_)
            | Self::RegisterInfo { .. }
            | Self::ThreadsInfo
            | Self::WatchpointSupport
            | Self::MemoryRegion { addr: None }
            | Self::Allocate
            | Self::Unknown => true,
            _ => self.is_for_any_time(),
        }
    }
}

#[cfg(test)]
mod tests;
