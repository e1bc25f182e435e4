//! The fields packets are made of.

use crate::command::{ClientFeatures, ThreadAction};
use crate::hex;
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

/// `type` of a `Z` or `z` packet.
pub fn kind(digit: u8) -> Option<Kind> {
    match digit {
        b'0' => Some(Kind::Software),
        b'1' => Some(Kind::Hardware),
        b'2' => Some(Kind::Write),
        b'3' => Some(Kind::Read),
        b'4' => Some(Kind::Access),
        _ => None,
    }
}

/// The rest of `Z type,addr,kind`. With a condition or commands after it (`;X...`, `;cmds:...`)
/// it is refused, for a breakpoint that stops too often is not the one asked for.
pub fn stoppoint(kind: Kind, args: &[u8]) -> Option<Stoppoint> {
    let (addr, len) = pair(args.strip_prefix(b",")?)?;
    Some(Stoppoint { kind, addr, len })
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
        b"c" => Action::Continue,
        b"s" => Action::Step,
        [b'C', sig @ ..] => signal(sig).map(|_| Action::Continue)?,
        [b'S', sig @ ..] => signal(sig).map(|_| Action::Step)?,
        [b'r', range @ ..] => {
            let (start, end) = pair(range)?;
            Action::StepRange { start, end }
        }
        _ => return None,
    };
    Some(ThreadAction { action, threads })
}
