//! What a client asks: packet data parsed into [`Command`], without looking at session or target.

mod fields;

use std::borrow::Cow;

use crate::hex::HexBytes;
use crate::target::{Action, Stoppoint};
use crate::thread_id::ThreadId;

/// A packet understood (RSP manual, Packets and General Query Packets).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// `qSupported`: what the client understands.
    Supported(ClientFeatures),
    /// `QStartNoAckMode`.
    StartNoAckMode,
    /// `?`: why is the target stopped?
    HaltReason,
    /// `qXfer:...:read:`: part of a document.
    ReadObject { object: Object<'a>, offset: u64, length: u64 },
    /// `qSymbol`: the client offers to look symbols up.
    Symbol,

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

    /// `g`.
    ReadRegisters,
    /// `G`.
    WriteRegisters(HexBytes<'a>),
    /// `p`.
    ReadRegister { number: u64 },
    /// `P`.
    WriteRegister { number: u64, value: HexBytes<'a> },

    /// `m`.
    ReadMemory { addr: u64, length: u64 },
    /// `M` or `X`.
    WriteMemory { addr: u64, data: Data<'a> },

    /// `Z`.
    Insert(Stoppoint),
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
    /// `D`, with the process if there is more than one to name.
    Detach { process: Option<u64> },
    /// `vKill`.
    KillProcess { process: u64 },
    /// `k`, which has no reply.
    Kill,

    /// None of the above. Its reply is the empty one, `vMustReplyEmpty`'s too.
    Unknown,
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
}

/// A document to read (RSP manual, General Query Packets, "qXfer object read").
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Object<'a> {
    /// `features`: the target description, of which the annex names the file.
    Features { annex: &'a [u8] },
    /// `threads`.
    Threads,
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
    /// What they do.
    pub action: Action,
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
        match packet {
            b"?" => Ok(Self::HaltReason),
            b"g" => Ok(Self::ReadRegisters),
            b"k" => Ok(Self::Kill),
            b"D" => Ok(Self::Detach { process: None }),
            [b'D', args @ ..] => well_formed("D;pid", Self::detach(args)),
            [b'G', args @ ..] => {
                well_formed("Gxx...", HexBytes::parse(args).map(Self::WriteRegisters))
            }
            [b'p', args @ ..] => well_formed("pn", Self::read_register(args)),
            [b'P', args @ ..] => well_formed("Pn=r", Self::write_register(args)),
            [b'm', args @ ..] => well_formed("maddr,length", Self::read_memory(args)),
            [b'M', args @ ..] => well_formed("Maddr,length:xx...", Self::write_hex(args)),
            [b'X', args @ ..] => well_formed("Xaddr,length:xx...", Self::write_binary(args)),
            [b'H', b'g', args @ ..] => {
                well_formed("Hgthread-id", ThreadId::parse(args).map(Self::SelectThread))
            }
            [b'H', b'c', args @ ..] => {
                well_formed("Hcthread-id", ThreadId::parse(args).map(Self::SelectResumeThread))
            }
            [b'T', args @ ..] => {
                well_formed("Tthread-id", ThreadId::parse(args).map(Self::IsThreadAlive))
            }
            [b'Z', kind, args @ ..] if let Some(kind) = fields::kind(*kind) => {
                well_formed("Ztype,addr,kind", fields::stoppoint(kind, args).map(Self::Insert))
            }
            [b'z', kind, args @ ..] if let Some(kind) = fields::kind(*kind) => {
                well_formed("ztype,addr,kind", fields::stoppoint(kind, args).map(Self::Remove))
            }
            [b'c', args @ ..] => well_formed("c[addr]", Self::resume(Action::Continue, args)),
            [b's', args @ ..] => well_formed("s[addr]", Self::resume(Action::Step, args)),
            [b'C', args @ ..] => well_formed("Csig[;addr]", Self::signal(Action::Continue, args)),
            [b'S', args @ ..] => well_formed("Ssig[;addr]", Self::signal(Action::Step, args)),
            [b'q' | b'Q' | b'v', ..] => Self::parse_named(packet),
            _ => Ok(Self::Unknown),
        }
    }

    /// Understands a packet whose name is a word, up to the first `:`, `;` or `,` (RSP manual,
    /// General Query Packets).
    fn parse_named(packet: &'a [u8]) -> Result<Self, Malformed> {
        let end = packet.iter().position(|byte| b":;,".contains(byte));
        let (name, args) = packet.split_at(end.unwrap_or(packet.len()));
        match (name, args) {
            (b"qSupported", _) => Ok(Self::Supported(fields::client_features(args))),
            (b"QStartNoAckMode", b"") => Ok(Self::StartNoAckMode),
            (b"qC", b"") => Ok(Self::CurrentThread),
            (b"qfThreadInfo", b"") => Ok(Self::FirstThreadInfo),
            (b"qsThreadInfo", b"") => Ok(Self::NextThreadInfo),
            (b"qThreadExtraInfo", [b',', id @ ..]) => {
                let id = ThreadId::parse(id).map(Self::ThreadExtraInfo);
                well_formed("qThreadExtraInfo,thread-id", id)
            }
            (b"qAttached", _) => Ok(Self::Attached),
            (b"qSymbol", [b':', ..]) => Ok(Self::Symbol),
            (b"qXfer", [b':', args @ ..]) => {
                well_formed("qXfer:object:read:annex:offset,length", Self::read_object(args))
            }
            (b"vCont?", b"") => Ok(Self::VContActions),
            (b"vCont", [b';', actions @ ..]) => {
                let actions = fields::thread_actions(actions).map(Self::VCont);
                well_formed("vCont;action[:thread-id]... of c, Csig, s, Ssig, rstart,end", actions)
            }
            (b"vCtrlC", b"") => Ok(Self::CtrlC),
            (b"vKill", [b';', pid @ ..]) => {
                let process = fields::number(pid);
                well_formed("vKill;pid", process.map(|process| Self::KillProcess { process }))
            }
            _ => Ok(Self::Unknown),
        }
    }

    fn detach(args: &[u8]) -> Option<Self> {
        let process = fields::number(args.strip_prefix(b";")?)?;
        Some(Self::Detach { process: Some(process) })
    }

    fn read_register(args: &[u8]) -> Option<Self> {
        Some(Self::ReadRegister { number: fields::number(args)? })
    }

    fn write_register(args: &'a [u8]) -> Option<Self> {
        let (number, value) = fields::split(args, b'=')?;
        let value = HexBytes::parse(value)?;
        Some(Self::WriteRegister { number: fields::number(number)?, value })
    }

    fn read_memory(args: &[u8]) -> Option<Self> {
        let (addr, length) = fields::pair(args)?;
        Some(Self::ReadMemory { addr, length })
    }

    fn write_hex(args: &'a [u8]) -> Option<Self> {
        let (range, data) = fields::split(args, b':')?;
        Self::write_memory(range, Data::Hex(HexBytes::parse(data)?))
    }

    fn write_binary(args: &'a [u8]) -> Option<Self> {
        let (range, data) = fields::split(args, b':')?;
        Self::write_memory(range, Data::Binary(data))
    }

    fn write_memory(range: &[u8], data: Data<'a>) -> Option<Self> {
        let (addr, length) = fields::pair(range)?;
        (length == data.len() as u64).then_some(Self::WriteMemory { addr, data })
    }

    fn resume(action: Action, args: &[u8]) -> Option<Self> {
        let addr = match args {
            b"" => None,
            addr => Some(fields::number(addr)?),
        };
        Some(Self::Resume { action, addr })
    }

    /// The signal is checked and dropped: there is nobody in a vCPU to take one.
    fn signal(action: Action, args: &[u8]) -> Option<Self> {
        let Some((signal, addr)) = fields::split(args, b';') else {
            fields::signal(args)?;
            return Some(Self::Resume { action, addr: None });
        };
        fields::signal(signal)?;
        Some(Self::Resume { action, addr: Some(fields::number(addr)?) })
    }

    fn read_object(args: &'a [u8]) -> Option<Self> {
        let (object, rest) = fields::split(args, b':')?;
        let (operation, rest) = fields::split(rest, b':')?;
        let (annex, range) = fields::split(rest, b':')?;
        let object = match (object, operation) {
            (b"features", b"read") => Object::Features { annex },
            (b"threads", b"read") if annex.is_empty() => Object::Threads,
            (b"threads", b"read") => return None,
            _ => return Some(Self::Unknown),
        };
        let (offset, length) = fields::pair(range)?;
        Some(Self::ReadObject { object, offset, length })
    }
}

fn well_formed<T>(expected: &'static str, parsed: Option<T>) -> Result<T, Malformed> {
    parsed.ok_or(Malformed { expected })
}

#[cfg(test)]
mod tests;
