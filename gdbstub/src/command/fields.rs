//! The fields packets are made of.

use crate::command::{ClientFeatures, Command, Data, Object, ThreadAction};
use crate::hex::{self, HexBytes};
use crate::target::{Action, Kind, Stoppoint};
use crate::thread_id::{Part, ThreadId};

pub use crate::hex::number;

/// What stands before and after the first separator.
pub fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == separator)?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.get(1..)?))
}

/// `addr,length` or `offset,length`.
pub fn pair(text: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = split(text, b',')?;
    Some((number(first)?, number(second)?))
}

/// `sig`: two digits.
pub fn signal(text: &[u8]) -> Option<u8> {
    match text {
        [high, low] => Some(hex::digit(*high)? << 4 | hex::digit(*low)?),
        _ => None,
    }
}

/// `,addr,kind` and what follows it, `;...` or nothing.
fn stoppoint(kind: Kind, args: &[u8]) -> Option<(Stoppoint, &[u8])> {
    let args = args.strip_prefix(b",")?;
    let end = args.iter().position(|byte| *byte == b';').unwrap_or(args.len());
    let (point, rest) = args.split_at_checked(end)?;
    let (addr, len) = pair(point)?;
    Some((Stoppoint { kind, addr, len }, rest))
}

/// The rest of `Z0` to `Z4`. Only breakpoints have conditions.
pub fn insert(kind: Kind, args: &[u8]) -> Option<Command<'_>> {
    let (point, agent) = stoppoint(kind, args)?;
    let may_have_agent = matches!(kind, Kind::Software | Kind::Hardware);
    (agent.is_empty() || may_have_agent).then_some(Command::Insert { point, agent })
}

/// The rest of `z0` to `z4`.
pub fn remove<'a>(kind: Kind, args: &[u8]) -> Option<Command<'a>> {
    let (point, rest) = stoppoint(kind, args)?;
    rest.is_empty().then_some(Command::Remove(point))
}

/// LLDB's `;thread:id;` behind the arguments of a register packet, and what stands before it.
fn suffix(args: &[u8]) -> Option<(&[u8], Option<ThreadId>)> {
    let Some((args, suffix)) = split(args, b';') else { return Some((args, None)) };
    let id = suffix.strip_prefix(b"thread:")?;
    let id = id.strip_suffix(b";").unwrap_or(id);
    Some((args, Some(ThreadId::parse(id)?)))
}

/// The rest of `g`.
pub fn read_registers(args: &[u8]) -> Option<Command<'_>> {
    let (args, thread) = suffix(args)?;
    args.is_empty().then_some(Command::ReadRegisters { thread })
}

/// The rest of `G`.
pub fn write_registers(args: &[u8]) -> Option<Command<'_>> {
    let (values, thread) = suffix(args)?;
    Some(Command::WriteRegisters { values: HexBytes::parse(values)?, thread })
}

/// The rest of `p`.
pub fn read_register(args: &[u8]) -> Option<Command<'_>> {
    let (register, thread) = suffix(args)?;
    Some(Command::ReadRegister { number: number(register)?, thread })
}

/// The rest of `P`.
pub fn write_register(args: &[u8]) -> Option<Command<'_>> {
    let (args, thread) = suffix(args)?;
    let (register, value) = split(args, b'=')?;
    let value = HexBytes::parse(value)?;
    Some(Command::WriteRegister { number: number(register)?, value, thread })
}

/// The rest of `M`.
pub fn write_hex(args: &[u8]) -> Option<Command<'_>> {
    let (range, data) = split(args, b':')?;
    write_memory(range, Data::Hex(HexBytes::parse(data)?))
}

/// The rest of `X`.
pub fn write_binary(args: &[u8]) -> Option<Command<'_>> {
    let (range, data) = split(args, b':')?;
    write_memory(range, Data::Binary(data))
}

fn write_memory<'a>(range: &[u8], data: Data<'a>) -> Option<Command<'a>> {
    let (addr, length) = pair(range)?;
    (length == data.len() as u64).then_some(Command::WriteMemory { addr, data })
}

/// The rest of `qSearch`. The pattern is binary, and may have separators in it.
pub fn search(args: &[u8]) -> Option<Command<'_>> {
    let (addr, rest) = split(args.strip_prefix(b":memory:")?, b';')?;
    let (length, pattern) = split(rest, b';')?;
    let (addr, length) = (number(addr)?, number(length)?);
    (!pattern.is_empty()).then_some(Command::Search { addr, length, pattern })
}

/// The rest of `c` or `s`.
pub fn resume<'a>(action: Action, args: &[u8]) -> Option<Command<'a>> {
    let addr = match args {
        b"" => None,
        addr => Some(number(addr)?),
    };
    Some(Command::Resume { action, addr })
}

/// The rest of `C` or `S`. The signal is checked and dropped: there is nobody in a vCPU to take one.
pub fn resume_with_signal<'a>(action: Action, args: &[u8]) -> Option<Command<'a>> {
    let Some((sig, addr)) = split(args, b';') else {
        signal(args)?;
        return Some(Command::Resume { action, addr: None });
    };
    signal(sig)?;
    Some(Command::Resume { action, addr: Some(number(addr)?) })
}

/// `;pid`.
pub fn process(args: &[u8]) -> Option<u64> {
    number(args.strip_prefix(b";")?)
}

/// The rest of `D`.
pub fn detach<'a>(args: &[u8]) -> Option<Command<'a>> {
    let process = if args.is_empty() { None } else { Some(process(args)?) };
    Some(Command::Detach { process })
}

/// The rest of `qMemoryRegionInfo`.
pub fn memory_region<'a>(args: &[u8]) -> Option<Command<'a>> {
    let addr = match args {
        b"" | b":" => None,
        addr => Some(number(addr.strip_prefix(b":")?)?),
    };
    Some(Command::MemoryRegion { addr })
}

/// The rest of `qXfer`. Other objects and operations are packets of their own, unknown here.
pub fn read_object(args: &[u8]) -> Option<Command<'_>> {
    let (object, rest) = split(args.strip_prefix(b":")?, b':')?;
    let (operation, rest) = split(rest, b':')?;
    let (annex, range) = split(rest, b':')?;
    let object = match (object, operation) {
        (b"features", b"read") => Object::Features { annex },
        (b"threads", b"read") if annex.is_empty() => Object::Threads,
        (b"threads", b"read") => return None,
        // The annex is a process, and there is one.
        (b"exec-file", b"read") => Object::ExecFile,
        _ => return Some(Command::Unknown),
    };
    let (offset, length) = pair(range)?;
    Some(Command::ReadObject { object, offset, length })
}

/// `:name+;name+;name=value...`. Features unknown here are nobody's fault: the client may be
/// newer (RSP manual, General Query Packets, "qSupported").
pub fn client_features(args: &[u8]) -> ClientFeatures {
    let mut features = ClientFeatures::default();
    for feature in args.strip_prefix(b":").unwrap_or_default().split(|byte| *byte == b';') {
        match feature {
            b"multiprocess+" => features.multiprocess = true,
            b"swbreak+" => features.swbreak = true,
            b"hwbreak+" => features.hwbreak = true,
            b"error-message+" => features.error_message = true,
            b"no-resumed+" => features.no_resumed = true,
            _ => {}
        }
    }
    features
}

/// `action[:thread-id][;action[:thread-id]]...`.
pub fn thread_actions(text: &[u8]) -> Option<Vec<ThreadAction>> {
    text.split(|byte| *byte == b';').map(thread_action).collect()
}

/// Without a thread-id, an action is for all threads that no other names.
fn thread_action(text: &[u8]) -> Option<ThreadAction> {
    let (action, threads) = match split(text, b':') {
        Some((action, id)) => (action, ThreadId::parse(id)?),
        None => (text, ThreadId { process: Part::All, thread: Part::All }),
    };
    let action = match action {
        b"c" => Some(Action::Continue),
        b"s" => Some(Action::Step),
        b"t" => None,
        [b'C', sig @ ..] => signal(sig).map(|_| Some(Action::Continue))?,
        [b'S', sig @ ..] => signal(sig).map(|_| Some(Action::Step))?,
        [b'r', range @ ..] => {
            let (start, end) = pair(range)?;
            Some(Action::StepRange { start, end })
        }
        _ => return None,
    };
    Some(ThreadAction { action, threads })
}
