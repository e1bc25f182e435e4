//! Every packet there is here: its name, how it is parsed, and what docs/protocol.md says of it.

use crate::command::{Command, Described, fields};
use crate::hex::HexBytes;
use crate::target::{Action, Kind};
use crate::thread_id::ThreadId;

/// A packet that is understood.
pub struct Packet {
    /// Its first bytes.
    name: &'static [u8],
    /// What may follow the name.
    ending: Ending,
    /// As the manual writes it.
    pub syntax: &'static str,
    /// What it does here.
    pub does: &'static str,
    /// Where it is described.
    pub manual: Manual,
    /// Understands what follows the name; `None` if that is not as the syntax has it.
    pub parse: for<'a> fn(&'a [u8]) -> Option<Command<'a>>,
}

/// Where a name ends.
enum Ending {
    /// With its last byte, whatever follows.
    Open,
    /// Before `:`, `;`, `,` or the end of the packet (RSP manual, General Query Packets).
    Word,
}

/// A description of packets.
#[derive(Clone, Copy, Debug)]
pub enum Manual {
    /// RSP manual, Packets.
    Packets,
    /// RSP manual, General Query Packets.
    Queries,
    /// LLDB's own document of its extensions.
    Lldb,
    /// QEMU's manual.
    Qemu,
}

impl Manual {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packets => "Packets",
            Self::Queries => "General Query Packets",
            Self::Lldb => "LLDB: GDB Remote Protocol Extensions",
            Self::Qemu => "QEMU: GDB usage",
        }
    }
}

use Ending::{Open, Word};
use Manual::{Lldb, Packets, Qemu, Queries};

/// The packet that starts so, and what follows its name.
pub fn find(packet: &[u8]) -> Option<(&'static Packet, &[u8])> {
    PACKETS.iter().find_map(|known| {
        let rest = packet.strip_prefix(known.name)?;
        let ends = match known.ending {
            Open => true,
            Word => rest.first().is_none_or(|byte| b":;,".contains(byte)),
        };
        ends.then_some((known, rest))
    })
}

/// Nothing may follow the name.
fn alone<'a>(rest: &[u8], command: Command<'a>) -> Option<Command<'a>> {
    rest.is_empty().then_some(command)
}

macro_rules! packets {
    ($($name:literal $ending:ident $syntax:literal, $manual:ident: $does:literal, $parse:expr;)*) => {
        &[$(Packet {
            name: $name,
            ending: $ending,
            syntax: $syntax,
            does: $does,
            manual: $manual,
            parse: $parse,
        }),*]
    };
}

/// All of them. Where two names start alike, the longer one comes first.
#[rustfmt::skip]
pub static PACKETS: &[Packet] = packets! {
    b"qSupported" Word "qSupported[:feature;...]", Queries:
        "Learns what the client can do, lists what the stub can.",
        |rest| Some(Command::Supported(fields::client_features(rest)));
    b"QStartNoAckMode" Word "QStartNoAckMode", Queries:
        "No `+` and `-` from here on.",
        |rest| alone(rest, Command::StartNoAckMode);
    b"!" Open "!", Packets:
        "Extended mode: after `vKill`, `D` or the guest's end the connection stays.",
        |rest| alone(rest, Command::Extend);
    b"?" Open "?", Packets:
        "The last stop reply again; `W00` if there is no guest.",
        |rest| alone(rest, Command::HaltReason);
    b"qXfer" Word "qXfer:object:read:annex:offset,length", Queries:
        "Reads `features` (target.xml), `threads` (names, cores) or `exec-file` (path of vmlinux, if known). `memory-map` is not served: GDB would refuse every kernel address.",
        fields::read_object;
    b"qSymbol" Word "qSymbol::", Queries:
        "Thanks, no symbol is needed.",
        |rest| rest.starts_with(b":").then_some(Command::Symbol);
    b"qOffsets" Word "qOffsets", Queries:
        "Where the kernel is: for GDB `TextSeg`, for LLDB, and where the kernel is where it was linked to, `Text`, `Data` and `Bss` (docs/kernel-addresses.md); the empty reply while that is not known.",
        |rest| alone(rest, Command::Offsets);
    b"qRcmd" Word "qRcmd,command", Queries:
        "`monitor`: runs a command of minivmm's; its output streams as `O` packets.",
        |rest| HexBytes::parse(rest.strip_prefix(b",")?).map(Command::Monitor);

    b"Hg" Open "Hgthread-id", Packets:
        "Selects the vCPU of register and memory packets.",
        |rest| ThreadId::parse(rest).map(Command::SelectThread);
    b"Hc" Open "Hcthread-id", Packets:
        "Selects the vCPUs of `c` and `s`.",
        |rest| ThreadId::parse(rest).map(Command::SelectResumeThread);
    b"T" Open "Tthread-id", Packets:
        "Whether there is such a vCPU.",
        |rest| ThreadId::parse(rest).map(Command::IsThreadAlive);
    b"qC" Word "qC", Queries:
        "The selected vCPU.",
        |rest| alone(rest, Command::CurrentThread);
    b"qfThreadInfo" Word "qfThreadInfo", Queries:
        "All vCPUs, vCPU 0 first.",
        |rest| alone(rest, Command::FirstThreadInfo);
    b"qsThreadInfo" Word "qsThreadInfo", Queries:
        "No more of them.",
        |rest| alone(rest, Command::NextThreadInfo);
    b"qThreadExtraInfo" Word "qThreadExtraInfo,thread-id", Queries:
        "A vCPU's name and state in words.",
        |rest| ThreadId::parse(rest.strip_prefix(b",")?).map(Command::ThreadExtraInfo);

    b"g" Open "g[;thread:thread-id;]", Packets:
        "The registers of target.xml up to fpcr, with SVE up to cpsr; those that cannot be had are `x`.",
        fields::read_registers;
    b"G" Open "Gxx...[;thread:thread-id;]", Packets:
        "Writes all of them, or none if one has a value that cannot be.",
        fields::write_registers;
    b"p" Open "pn[;thread:thread-id;]", Packets:
        "One register by its number in target.xml.",
        fields::read_register;
    b"P" Open "Pn=r[;thread:thread-id;]", Packets:
        "Writes it, or says why that cannot be.",
        fields::write_register;

    b"m" Open "maddr,length", Packets:
        "Memory at a virtual address of the selected vCPU, breakpoints hidden; what there is of it.",
        |rest| fields::pair(rest).map(|(addr, length)| Command::ReadMemory { addr, length });
    b"x" Open "xaddr,length", Packets:
        "The same in binary, behind a `b`; without one for an LLDB that asked with `x0,0`.",
        |rest| fields::pair(rest).map(|(addr, length)| Command::ReadBinary { addr, length });
    b"M" Open "Maddr,length:xx...", Packets:
        "Writes all of it or nothing. Instructions written are those that run next.",
        fields::write_hex;
    b"X" Open "Xaddr,length:xx...", Packets:
        "The same from binary data.",
        fields::write_binary;
    b"qSearch" Word "qSearch:memory:address;length;search-pattern", Queries:
        "Finds bytes in at most 256 MiB of memory.",
        fields::search;
    b"qCRC" Word "qCRC:addr,length", Queries:
        "CRC-32 of at most 256 MiB of memory, for `compare-sections`.",
        |rest| fields::pair(rest.strip_prefix(b":")?).map(|(addr, length)| Command::Checksum { addr, length });

    b"qqemu.Supported" Word "qqemu.Supported", Qemu:
        "Which of QEMU's own packets there are: `PhyMemMode`.",
        |rest| alone(rest, Command::QemuFeatures);
    b"qqemu.PhyMemMode" Word "qqemu.PhyMemMode", Qemu:
        "Whether addresses of memory are physical: `1`, or `0` at first.",
        |rest| alone(rest, Command::IsPhysical);
    b"Qqemu.PhyMemMode" Word "Qqemu.PhyMemMode:mode", Qemu:
        "With a `mode` other than 0, addresses in `m x M X qSearch qCRC` are the guest's physical ones, for this connection; breakpoints stay hidden.",
        |rest| fields::number(rest.strip_prefix(b":")?).map(|mode| Command::SetPhysical(mode != 0));

    b"Z0" Open "Z0,addr,kind[;cond_list...][;cmds:persist,cmd_list...]", Packets:
        "Software breakpoint, with conditions and commands evaluated beside the guest.",
        |rest| fields::insert(Kind::Software, rest);
    b"Z1" Open "Z1,addr,kind[;cond_list...][;cmds:persist,cmd_list...]", Packets:
        "Hardware breakpoint, likewise.",
        |rest| fields::insert(Kind::Hardware, rest);
    b"Z2" Open "Z2,addr,kind", Packets:
        "Write watchpoint of `kind` bytes.",
        |rest| fields::insert(Kind::Write, rest);
    b"Z3" Open "Z3,addr,kind", Packets:
        "Read watchpoint.",
        |rest| fields::insert(Kind::Read, rest);
    b"Z4" Open "Z4,addr,kind", Packets:
        "Access watchpoint.",
        |rest| fields::insert(Kind::Access, rest);
    b"z0" Open "z0,addr,kind", Packets:
        "Removes a software breakpoint; as `z1` to `z4`, no error if there is none.",
        |rest| fields::remove(Kind::Software, rest);
    b"z1" Open "z1,addr,kind", Packets:
        "Removes a hardware breakpoint.",
        |rest| fields::remove(Kind::Hardware, rest);
    b"z2" Open "z2,addr,kind", Packets:
        "Removes a write watchpoint.",
        |rest| fields::remove(Kind::Write, rest);
    b"z3" Open "z3,addr,kind", Packets:
        "Removes a read watchpoint.",
        |rest| fields::remove(Kind::Read, rest);
    b"z4" Open "z4,addr,kind", Packets:
        "Removes an access watchpoint.",
        |rest| fields::remove(Kind::Access, rest);

    b"vCont?" Word "vCont?", Packets:
        "`vCont;c;C;s;S;t;r`.",
        |rest| alone(rest, Command::VContActions);
    b"vCont" Word "vCont;action[:thread-id]... of c, Csig, s, Ssig, t, rstart,end", Packets:
        "Resumes: for each vCPU the leftmost action that names it; those that none names, or `t`, stay parked. Signals are dropped: a vCPU takes none. `r` steps on the vCPU's own thread.",
        |rest| fields::thread_actions(rest.strip_prefix(b";")?).map(Command::VCont);
    b"c" Open "c[addr]", Packets:
        "Continues.",
        |rest| fields::resume(Action::Continue, rest);
    b"C" Open "Csig[;addr]", Packets:
        "Continues, the signal dropped.",
        |rest| fields::resume_with_signal(Action::Continue, rest);
    b"s" Open "s[addr]", Packets:
        "Steps by one instruction.",
        |rest| fields::resume(Action::Step, rest);
    b"S" Open "Ssig[;addr]", Packets:
        "Steps, the signal dropped.",
        |rest| fields::resume_with_signal(Action::Step, rest);
    b"vCtrlC" Word "vCtrlC", Packets:
        "Interrupts, as the byte 0x03 does; also while the guest runs.",
        |rest| alone(rest, Command::CtrlC);

    b"qAttached" Word "qAttached[:pid]", Queries:
        "`1`: the guest was there before the client; `0` after `vRun`.",
        |_| Some(Command::Attached);
    b"vAttach" Word "vAttach;pid", Packets:
        "Stops the guest again after a `D` in extended mode.",
        |rest| fields::process(rest).map(|process| Command::Attach { process });
    b"vRun" Word "vRun;filename[;argument]...", Packets:
        "Starts the guest again from its Image, stopped at its first instruction. The words are ignored.",
        |rest| rest.starts_with(b";").then_some(Command::Run);
    b"R" Open "RXX", Packets:
        "The same, in extended mode; it has no reply.",
        |_| Some(Command::Restart);
    b"D" Open "D[;pid]", Packets:
        "Removes all breakpoints and lets the guest run on.",
        fields::detach;
    b"vKill" Word "vKill;pid", Packets:
        "Ends the guest, also while it runs.",
        |rest| fields::process(rest).map(|process| Command::KillProcess { process });
    b"k" Open "k", Packets:
        "The same; it has no reply, save for LLDB: `X09`.",
        |_| Some(Command::Kill);

    b"qHostInfo" Word "qHostInfo", Lldb:
        "Triple, pointer size, byte order and the number of address bits.",
        |rest| alone(rest, Command::Describe(Described::Host));
    b"qProcessInfo" Word "qProcessInfo", Lldb:
        "The same of process 1.",
        |rest| alone(rest, Command::Describe(Described::Process));
    b"QThreadSuffixSupported" Word "QThreadSuffixSupported", Lldb:
        "Register packets may name their vCPU.",
        |rest| alone(rest, Command::ThreadSuffix);
    b"QListThreadsInStopReply" Word "QListThreadsInStopReply", Lldb:
        "Stop replies list all vCPUs and their PCs.",
        |rest| alone(rest, Command::ListThreads);
    b"QEnableErrorStrings" Word "QEnableErrorStrings", Lldb:
        "Errors have a text.",
        |rest| alone(rest, Command::ErrorStrings);
    b"qRegisterInfo" Open "qRegisterInfon", Lldb:
        "One register of target.xml; an error past the last.",
        |rest| fields::number(rest).map(|number| Command::RegisterInfo { number });
    b"jThreadsInfo" Word "jThreadsInfo", Lldb:
        "All vCPUs with their stop and their general registers.",
        |rest| alone(rest, Command::ThreadsInfo);
    b"qThreadStopInfo" Open "qThreadStopInfothread-id", Lldb:
        "The stop reply of one vCPU.",
        |rest| ThreadId::parse(rest).map(Command::ThreadStopInfo);
    b"qMemoryRegionInfo" Word "qMemoryRegionInfo[:addr]", Lldb:
        "Range and permissions of what is mapped at an address, or the range of what is not.",
        fields::memory_region;
    b"qWatchpointSupportInfo" Word "qWatchpointSupportInfo:", Lldb:
        "How many watchpoint registers there are.",
        |_| Some(Command::WatchpointSupport);
    b"_M" Open "_Msize,permissions", Lldb:
        "An error: the memory is the guest's, none of it is the client's to take.",
        |_| Some(Command::Allocate);
    b"_m" Open "_maddr", Lldb:
        "An error, likewise.",
        |_| Some(Command::Allocate);
};

#[cfg(test)]
mod tests;
