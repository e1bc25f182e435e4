//! `xp`: physical memory.

use gdbstub::TargetError;

use super::arguments;
use super::dump::{Dump, LINE};
use super::run::Call;

pub fn run(call: &mut Call<'_, '_>) -> Result<(), TargetError> {
    let (format, words) = match call.words.split_first() {
        Some((first, rest)) if first.starts_with('/') => (first.trim_start_matches('/'), rest),
        _ => ("", call.words),
    };
    let dump = Dump::parse(format)?;
    let mut at = arguments::number("xp", arguments::one("xp", words, "a physical address")?)?;
    let mut left = dump.count;
    while left > 0 && !call.is_full() {
        let items = left.min((LINE / dump.size) as u64);
        let mut bytes = vec![0; items as usize * dump.size];
        let mut len = bytes.len();
        // Up to the end of RAM.
        while len > 0 && !read(call, at, bytes.get_mut(..len).unwrap_or_default()) {
            len -= dump.size;
        }
        if len > 0 {
            let line = dump.line(at, bytes.get(..len).unwrap_or_default());
            call.print(&line);
        }
        if len < bytes.len() {
            let end = at.saturating_add(len as u64);
            call.print(&format!(
                "{end:016x}: not RAM; devices are not read, for that changes them\n"
            ));
            return Ok(());
        }
        left -= items;
        // It was RAM up to there.
        at = at.saturating_add(len as u64);
    }
    Ok(())
}

/// Reads what the guest believes to be there; false if any of it is not RAM.
fn read(call: &Call<'_, '_>, at: u64, bytes: &mut [u8]) -> bool {
    let engine = &call.guest.engine;
    engine.points().software.read(at, bytes, &engine.memory)
}
