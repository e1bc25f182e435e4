//! Software breakpoints: they belong to virtual addresses and live in guest physical memory.

use std::collections::BTreeMap;

use crate::arch::insn;

/// Bytes of an A64 instruction.
const LEN: usize = 4;

/// Guest physical memory, as far as breakpoints need it. Addresses are IPAs.
pub trait Text {
    /// Reads all of `data`; false if any byte lies outside RAM.
    #[must_use]
    fn read(&self, ipa: u64, data: &mut [u8]) -> bool;
    /// Writes all of `data` and makes instruction fetches see it; false, with nothing written, if
    /// any byte lies outside RAM.
    #[must_use]
    fn write(&self, ipa: u64, data: &[u8]) -> bool;
}

/// All software breakpoints.
#[derive(Default, Debug)]
pub struct Breakpoints {
    /// Virtual address to the IPA it led to when it was set.
    by_va: BTreeMap<u64, u64>,
    /// IPA to what stands there now.
    planted: BTreeMap<u64, Planted>,
}

/// One planted BRK.
#[derive(Debug)]
struct Planted {
    /// What the guest believes to be there.
    original: [u8; LEN],
    /// Virtual addresses that share it.
    users: usize,
}

impl Breakpoints {
    /// Whether there is one at this virtual address.
    pub fn contains(&self, va: u64) -> bool {
        self.by_va.contains_key(&va)
    }

    /// Whether a BRK of ours stands at this IPA.
    pub fn is_planted(&self, ipa: u64) -> bool {
        self.planted.contains_key(&ipa)
    }

    /// Plants a breakpoint at `va`, which leads to `ipa`. False, with nothing changed, if there is
    /// no memory. Setting one twice changes nothing.
    #[must_use]
    pub fn insert(&mut self, va: u64, ipa: u64, text: &impl Text) -> bool {
        if self.contains(va) {
            return true;
        }
        if let Some(planted) = self.planted.get_mut(&ipa) {
            planted.users += 1;
        } else {
            let mut original = [0; LEN];
            if !text.read(ipa, &mut original) || !text.write(ipa, &insn::BRK.to_le_bytes()) {
                return false;
            }
            self.planted.insert(ipa, Planted { original, users: 1 });
        }
        self.by_va.insert(va, ipa);
        true
    }

    /// Removes the breakpoint at `va`, if there is one.
    pub fn remove(&mut self, va: u64, text: &impl Text) {
        let Some(ipa) = self.by_va.remove(&va) else { return };
        let Some(planted) = self.planted.get_mut(&ipa) else { return };
        planted.users -= 1;
        if planted.users == 0 {
            restore(ipa, planted.original, text);
            self.planted.remove(&ipa);
        }
    }

    /// Removes all of them.
    pub fn clear(&mut self, text: &impl Text) {
        for (ipa, planted) in std::mem::take(&mut self.planted) {
            restore(ipa, planted.original, text);
        }
        self.by_va.clear();
    }

    /// Puts the original instruction back at `ipa` for the length of one step. False if no
    /// breakpoint is there. No vCPU but the stepping one may run until [`Self::replant`].
    #[must_use]
    pub fn lift(&self, ipa: u64, text: &impl Text) -> bool {
        self.planted.get(&ipa).is_some_and(|planted| {
            restore(ipa, planted.original, text);
            true
        })
    }

    /// Ends [`Self::lift`]. The step may have changed the instruction; that becomes the original.
    pub fn replant(&mut self, ipa: u64, text: &impl Text) {
        if let Some(planted) = self.planted.get_mut(&ipa) {
            // RAM does not go away: what could be lifted can be read and planted again.
            let _ =
                text.read(ipa, &mut planted.original) && text.write(ipa, &insn::BRK.to_le_bytes());
        }
    }

    /// Reads guest memory at `ipa` as the guest knows it. False if any byte lies outside RAM.
    #[must_use]
    pub fn read(&self, ipa: u64, data: &mut [u8], text: &impl Text) -> bool {
        if !text.read(ipa, data) {
            return false;
        }
        for (at, planted) in self.planted_in(ipa, data.len()) {
            for (byte, original) in (at..).zip(planted.original) {
                if let Some(seen) = offset(byte, ipa).and_then(|n| data.get_mut(n)) {
                    *seen = original;
                }
            }
        }
        true
    }

    /// Writes guest memory at `ipa`; planted breakpoints stay, over the new bytes. False, with
    /// nothing written, if any byte lies outside RAM.
    #[must_use]
    pub fn write(&mut self, ipa: u64, data: &[u8], text: &impl Text) -> bool {
        let mut bytes = data.to_vec();
        let found: Vec<u64> = self.planted_in(ipa, data.len()).map(|(at, _)| at).collect();
        for at in &found {
            for (byte, brk) in (*at..).zip(insn::BRK.to_le_bytes()) {
                if let Some(kept) = offset(byte, ipa).and_then(|n| bytes.get_mut(n)) {
                    *kept = brk;
                }
            }
        }
        if !text.write(ipa, &bytes) {
            return false;
        }
        for at in found {
            let Some(planted) = self.planted.get_mut(&at) else { continue };
            for (byte, original) in (at..).zip(&mut planted.original) {
                if let Some(new) = offset(byte, ipa).and_then(|n| data.get(n)) {
                    *original = *new;
                }
            }
        }
        true
    }

    /// The planted instructions that share a byte with `ipa..ipa + len`.
    fn planted_in(&self, ipa: u64, len: usize) -> impl Iterator<Item = (u64, &Planted)> {
        let first = ipa.saturating_sub(LEN as u64 - 1);
        let end = ipa.saturating_add(len as u64);
        self.planted.range(first..end).map(|(at, planted)| (*at, planted))
    }
}

/// Position of `byte` in a buffer that starts at `ipa`.
fn offset(byte: u64, ipa: u64) -> Option<usize> {
    byte.checked_sub(ipa).map(|n| n as usize)
}

/// Takes a BRK of ours away. Anything else there was written by the guest since, and stays.
fn restore(ipa: u64, original: [u8; LEN], text: &impl Text) {
    let mut now = [0; LEN];
    if text.read(ipa, &mut now) && now == insn::BRK.to_le_bytes() {
        // Readable RAM is writable.
        let _ = text.write(ipa, &original);
    }
}

#[cfg(test)]
#[path = "breakpoints_tests.rs"]
mod tests;
