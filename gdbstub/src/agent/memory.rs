//! Reads for the bytecodes that look at memory.

use crate::agent::{Fault, Machine};

/// Reads of a string stay inside aligned blocks of this many bytes. Pages are made of them, so
/// that the end of a string is found though the page after it is not there.
const BLOCK: usize = 64;

/// The unsigned little-endian number in the `size` bytes at `addr`, at most 8, in any alignment.
pub fn load(machine: &mut dyn Machine, addr: u64, size: usize) -> Result<u64, Fault> {
    let mut value = [0; 8];
    fill(machine, addr, value.get_mut(..size).unwrap_or_default())?;
    Ok(u64::from_le_bytes(value))
}

/// The bytes from `addr` up to a NUL, and whether there was one among the first `most`.
pub fn string(machine: &mut dyn Machine, addr: u64, most: usize) -> Result<(Vec<u8>, bool), Fault> {
    let mut text = Vec::new();
    let mut at = addr;
    while text.len() < most {
        let mut block = [0; BLOCK];
        let left = BLOCK - at as usize % BLOCK;
        let part = block.get_mut(..left.min(most - text.len())).unwrap_or_default();
        fill(machine, at, part)?;
        let end = part.iter().position(|byte| *byte == 0);
        text.extend(part.iter().take(end.unwrap_or(part.len())));
        if end.is_some() {
            return Ok((text, true));
        }
        at = at.wrapping_add(part.len() as u64);
    }
    Ok((text, false))
}

/// Fills `data`, which is not empty.
fn fill(machine: &mut dyn Machine, addr: u64, data: &mut [u8]) -> Result<(), Fault> {
    let last = (data.len() as u64).checked_sub(1).and_then(|last| addr.checked_add(last));
    let read = last.is_some() && machine.read(addr, data);
    read.then_some(()).ok_or(Fault::NoMemory { addr })
}
