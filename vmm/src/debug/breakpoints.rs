//! Software breakpoints: they belong to virtual addresses and live in guest physical memory, as long
//! as their address leads there. Until it does, and when it no longer does, a debug register stands in.

use std::collections::BTreeMap;

use crate::arch::insn;

/// Bytes of an A64 instruction.
const LEN: usize = 4;

/// BRK #0 as memory has it.
const BRK: [u8; LEN] = insn::BRK.to_le_bytes();

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

/// What an address means depends on this: the table, TTBR0's or TTBR1's, or `None` with stage 1 off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressSpace(pub Option<u64>);

/// Where an address leads now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolution {
    /// To this IPA, by this address space.
    At(u64, AddressSpace),
    /// Nowhere.
    Unmapped,
    /// No vCPU is in the address space that it belongs to, so nobody knows.
    OtherSpace,
}

/// What makes a breakpoint work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// A BRK at this IPA.
    Memory(u64),
    /// A debug register.
    Register,
    /// Nothing: it lost its place, and there was no register, or would have been wrong.
    Nowhere,
}

#[derive(Clone, Copy, Debug)]
struct Breakpoint {
    space: AddressSpace,
    place: Place,
}

/// All software breakpoints.
#[derive(Default, Debug)]
pub struct Breakpoints {
    by_va: BTreeMap<u64, Breakpoint>,
    /// Those in [`Place::Register`]: asked for at each step, and few.
    in_registers: Vec<u64>,
    /// IPA to what stands there.
    planted: BTreeMap<u64, Planted>,
}

/// One planted BRK.
#[derive(Debug)]
struct Planted {
    /// What the guest believes to be there, unless it has written over the BRK since.
    original: [u8; LEN],
    /// Virtual addresses that share it.
    users: usize,
}

impl Breakpoints {
    /// Whether there is one at this virtual address.
    pub fn contains(&self, va: u64) -> bool {
        self.by_va.contains_key(&va)
    }

    /// Whether one that lives in memory belongs to this virtual address of this space.
    pub fn belongs(&self, va: u64, space: AddressSpace) -> bool {
        let breakpoint = self.by_va.get(&va);
        breakpoint.is_some_and(|it| matches!(it.place, Place::Memory(_)) && it.space == space)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_va.is_empty()
    }

    /// Whether a BRK of ours stands at this IPA.
    pub fn is_planted(&self, ipa: u64) -> bool {
        self.planted.contains_key(&ipa)
    }

    /// Whether any BRK of ours stands anywhere.
    pub fn has_planted(&self) -> bool {
        !self.planted.is_empty()
    }

    /// Virtual addresses that a debug register must hold.
    pub fn in_registers(&self) -> &[u64] {
        &self.in_registers
    }

    /// Sets a breakpoint at `va`, which leads to `ipa` if anywhere; else in one of the `free` debug
    /// registers. False, with nothing changed, if neither is to be had. Setting one twice changes
    /// nothing.
    #[must_use]
    pub fn insert(
        &mut self,
        va: u64,
        space: AddressSpace,
        ipa: Option<u64>,
        free: usize,
        text: &impl Text,
    ) -> bool {
        if self.contains(va) {
            return true;
        }
        let planted = ipa.filter(|ipa| self.plant(*ipa, None, text)).map(Place::Memory);
        let register = (free > 0).then_some(Place::Register);
        let Some(place) = planted.or(register) else { return false };
        self.by_va.insert(va, Breakpoint { space, place });
        if place == Place::Register {
            self.in_registers.push(va);
        }
        true
    }

    /// Removes the breakpoint at `va`, if there is one.
    pub fn remove(&mut self, va: u64, text: &impl Text) {
        if let Some(Breakpoint { place: Place::Memory(ipa), .. }) = self.by_va.remove(&va) {
            self.release(ipa, text);
        }
        self.in_registers.retain(|other| *other != va);
    }

    /// Removes all of them.
    pub fn clear(&mut self, text: &impl Text) {
        for (ipa, planted) in std::mem::take(&mut self.planted) {
            restore(ipa, planted.original, text);
        }
        self.by_va.clear();
        self.in_registers.clear();
    }

    /// Follows what the guest has done to its mappings and its text since the last time: moves
    /// breakpoints to where their addresses lead now, into memory where they now lead to any, out of
    /// it into one of the `free` debug registers where they no longer do, or away if they are not worth
    /// it. Bytes that the guest has written over a BRK become the original.
    pub fn follow(
        &mut self,
        mut free: usize,
        is_worth_register: impl Fn(u64) -> bool,
        mut resolve: impl FnMut(u64, AddressSpace) -> Resolution,
        text: &impl Text,
    ) {
        let overwritten: Vec<u64> =
            self.planted.keys().copied().filter(|ipa| !has_brk(*ipa, text)).collect();
        let mut by_va = std::mem::take(&mut self.by_va);
        let mut homeless = Vec::new();
        for (va, breakpoint) in &mut by_va {
            let old = match breakpoint.place {
                Place::Memory(ipa) => Some(ipa),
                Place::Register | Place::Nowhere => None,
            };
            let is_lost = old.is_some_and(|ipa| overwritten.binary_search(&ipa).is_ok());
            let resolution = resolve(*va, breakpoint.space);
            let new = match resolution {
                Resolution::At(ipa, space) => {
                    breakpoint.space = space;
                    Some(ipa)
                }
                // It stays where it was, unless that page has been put to another use. A register
                // would stop at what the address means elsewhere.
                Resolution::OtherSpace if !is_lost => continue,
                Resolution::OtherSpace | Resolution::Unmapped => None,
            };
            let is_elsewhere = resolution == Resolution::OtherSpace;
            if new == old && old.is_some() {
                continue;
            }
            // Should the guest have copied the page, BRK and all, then this is what was copied.
            let original = old.and_then(|ipa| Some(self.planted.get(&ipa)?.original));
            let is_planted = new.is_some_and(|ipa| self.plant(ipa, original, text));
            if let Some(ipa) = old {
                self.release(ipa, text);
            }
            if breakpoint.place == Place::Register && is_planted {
                free += 1;
            }
            breakpoint.place = match new {
                Some(ipa) if is_planted => Place::Memory(ipa),
                _ if breakpoint.place == Place::Register => Place::Register,
                _ => Place::Nowhere,
            };
            if breakpoint.place == Place::Nowhere && !is_elsewhere {
                homeless.push(*va);
            }
        }
        by_va.retain(|va, point| point.place != Place::Nowhere || is_worth_register(*va));
        homeless.retain(|va| is_worth_register(*va));
        for va in homeless.into_iter().take(free) {
            if let Some(breakpoint) = by_va.get_mut(&va) {
                breakpoint.place = Place::Register;
            }
        }
        let in_registers = by_va.iter().filter(|(_, point)| point.place == Place::Register);
        self.in_registers = in_registers.map(|(va, _)| *va).collect();
        self.by_va = by_va;
        for ipa in overwritten {
            if !has_brk(ipa, text) {
                self.replant(ipa, text);
            }
        }
    }

    /// Makes sure that a BRK stands at `ipa`. False if there is no memory. `copied` is what was
    /// there in the page that this one may be a copy of.
    fn plant(&mut self, ipa: u64, copied: Option<[u8; LEN]>, text: &impl Text) -> bool {
        if let Some(planted) = self.planted.get_mut(&ipa) {
            planted.users += 1;
            return true;
        }
        let mut original = [0; LEN];
        if !text.read(ipa, &mut original) || !text.write(ipa, &BRK) {
            return false;
        }
        if let Some(copied) = copied.filter(|_| original == BRK) {
            original = copied;
        }
        self.planted.insert(ipa, Planted { original, users: 1 });
        true
    }

    /// Undoes one [`Self::plant`].
    fn release(&mut self, ipa: u64, text: &impl Text) {
        let Some(planted) = self.planted.get_mut(&ipa) else { return };
        planted.users -= 1;
        if planted.users == 0 {
            restore(ipa, planted.original, text);
            self.planted.remove(&ipa);
        }
    }

    /// Takes what the guest wrote over a BRK of ours as the original.
    fn renew(&mut self, ipa: u64, text: &impl Text) {
        if let Some(planted) = self.planted.get_mut(&ipa)
            && !has_brk(ipa, text)
        {
            // RAM does not go away: what was planted can be read.
            let _ = text.read(ipa, &mut planted.original);
        }
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
            let _ = text.read(ipa, &mut planted.original) && text.write(ipa, &BRK);
        }
    }

    /// Reads guest memory at `ipa` as the guest knows it. False if any byte lies outside RAM.
    #[must_use]
    pub fn read(&self, ipa: u64, data: &mut [u8], text: &impl Text) -> bool {
        if !text.read(ipa, data) {
            return false;
        }
        for (at, planted) in self.planted_in(ipa, data.len()) {
            if !has_brk(at, text) {
                continue;
            }
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
            self.renew(*at, text);
            for (byte, brk) in (*at..).zip(BRK) {
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

/// Whether BRK #0 stands at `ipa`.
fn has_brk(ipa: u64, text: &impl Text) -> bool {
    let mut now = [0; LEN];
    text.read(ipa, &mut now) && now == BRK
}

/// Takes a BRK of ours away. Anything else there was written by the guest since, and stays.
fn restore(ipa: u64, original: [u8; LEN], text: &impl Text) {
    if has_brk(ipa, text) {
        // Readable RAM is writable.
        let _ = text.write(ipa, &original);
    }
}

#[cfg(test)]
#[path = "breakpoints_tests.rs"]
mod tests;
