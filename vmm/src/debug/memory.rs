//! Guest memory by virtual address, with the planted breakpoints out of sight.

use super::breakpoints::{Breakpoints, Text};
use crate::arch::stage1::{self, Mapping, Unmapped};
use crate::kvm::error::Error;
use crate::kvm::memory::Memory;
use crate::kvm::vcpu::Vcpu;

impl Text for Memory {
    fn read(&self, ipa: u64, data: &mut [u8]) -> bool {
        Memory::read(self, ipa, data)
    }
    fn write(&self, ipa: u64, data: &[u8]) -> bool {
        Memory::write(self, ipa, data)
    }
}

/// Where `va` leads in this vCPU's translation regime.
pub fn translate(
    vcpu: &Vcpu,
    memory: &Memory,
    va: u64,
) -> Result<Result<Mapping, Unmapped>, Error> {
    Ok(stage1::translate(va, &vcpu.regime()?, |ipa| memory.read_u64(ipa)))
}

/// Reads the instruction at `pc` as the guest knows it; `None` where there is none.
pub fn instruction(
    vcpu: &Vcpu,
    memory: &Memory,
    breakpoints: &Breakpoints,
    pc: u64,
) -> Result<Option<(u64, u32)>, Error> {
    let Ok(mapping) = translate(vcpu, memory, pc)? else { return Ok(None) };
    let mut word = [0; 4];
    let is_read = breakpoints.read(mapping.ipa, &mut word, memory);
    Ok(is_read.then(|| (mapping.ipa, u32::from_le_bytes(word))))
}

/// Fills a prefix of `data` from `va` and returns its length: up to the first byte that is not
/// mapped, or not to RAM. A device is never read, since reading changes it.
pub fn read(
    vcpu: &Vcpu,
    memory: &Memory,
    breakpoints: &Breakpoints,
    va: u64,
    data: &mut [u8],
) -> Result<usize, Error> {
    let regime = vcpu.regime()?;
    let mut done = 0;
    while let Some(rest) = data.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = va.wrapping_add(done as u64);
        let Ok(mapping) = stage1::translate(at, &regime, |ipa| memory.read_u64(ipa)) else { break };
        let len = rest.len().min(usize::try_from(mapping.rest).unwrap_or(usize::MAX));
        let Some(chunk) = rest.get_mut(..len) else { break };
        if !breakpoints.read(mapping.ipa, chunk, memory) {
            break;
        }
        done += len;
    }
    Ok(done)
}

/// Writes all of `data` at `va`. The error, with nothing written, is the first address that is not
/// mapped, or not to RAM.
pub fn write(
    vcpu: &Vcpu,
    memory: &Memory,
    breakpoints: &mut Breakpoints,
    va: u64,
    data: &[u8],
) -> Result<Result<(), u64>, Error> {
    let regime = vcpu.regime()?;
    let mut chunks = Vec::new();
    let mut rest = data;
    let mut at = va;
    while !rest.is_empty() {
        let Ok(mapping) = stage1::translate(at, &regime, |ipa| memory.read_u64(ipa)) else {
            return Ok(Err(at));
        };
        let len = rest.len().min(usize::try_from(mapping.rest).unwrap_or(usize::MAX));
        let (chunk, after) = rest.split_at(len);
        if !memory.contains(mapping.ipa, len) {
            return Ok(Err(at));
        }
        chunks.push((at, mapping.ipa, chunk));
        at = at.wrapping_add(len as u64);
        rest = after;
    }
    for (at, ipa, chunk) in chunks {
        if !breakpoints.write(ipa, chunk, memory) {
            return Ok(Err(at));
        }
    }
    Ok(Ok(()))
}
