//! What a descriptor says of memory beside where it is (Arm ARM D8.4, D8.6): access rights, memory type, shareability.

use std::fmt;

use super::stage1::{Regime, Shape, bits, is_upper};

/// AP[1]: EL0 has access.
const EL0: u64 = 1 << 6;
/// AP[2]: no stores, unless DBM makes the first one clear it.
const READ_ONLY: u64 = 1 << 7;
const ACCESS_FLAG: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const GUARDED: u64 = 1 << 50;
const DIRTY_BIT_MODIFIER: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;

/// Bits 59 to 62 of a table descriptor, from bit 59 on.
const PXN_TABLE: u64 = 1 << 0;
const UXN_TABLE: u64 = 1 << 1;
const NO_EL0_TABLE: u64 = 1 << 2;
const READ_ONLY_TABLE: u64 = 1 << 3;

/// The attributes of a page or a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    descriptor: u64,
    /// Bits 63:59 of the table descriptors on the way, together; none where TCR has them ignored.
    tables: u64,
    shareability: u64,
}

/// What an exception level may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Attributes {
    /// Those of the descriptor that maps `va`. `hierarchical` are bits 63:59 of the tables' descriptors on the way.
    /// Permission indirection and overlays (FEAT_S1PIE, FEAT_S1POE) are not looked up; Linux sets these bits alike with
    /// them.
    pub fn of(va: u64, descriptor: u64, hierarchical: u64, regime: &Regime) -> Self {
        let upper = is_upper(va);
        // TCR.HPDn: what the tables say does not count.
        let is_flat = regime.tcr & 1 << (41 + u32::from(upper)) != 0;
        // With LPA2 it is the same for all of a half: TCR.SHn.
        let is_lpa2 = Shape::of(va, regime).is_ok_and(|shape| shape.is_lpa2);
        let shareability = match (is_lpa2, upper) {
            (false, _) => bits(descriptor, 9, 8),
            (true, false) => bits(regime.tcr, 13, 12),
            (true, true) => bits(regime.tcr, 29, 28),
        };
        Self { descriptor, tables: if is_flat { 0 } else { hierarchical }, shareability }
    }

    fn has(&self, bit: u64) -> bool {
        self.descriptor & bit != 0
    }

    fn is_writable(&self) -> bool {
        let is_writable = !self.has(READ_ONLY) || self.has(DIRTY_BIT_MODIFIER);
        is_writable && self.tables & READ_ONLY_TABLE == 0
    }

    /// What EL1 may do, PAN aside.
    pub fn el1(&self) -> Rights {
        let write = self.is_writable();
        let execute = !self.has(PXN) && self.tables & PXN_TABLE == 0;
        // What EL0 can write EL1 does not execute, whatever PXN says (D8.4).
        Rights { read: true, write, execute: execute && !(self.is_el0s() && write) }
    }

    /// What EL0 may do.
    pub fn el0(&self) -> Rights {
        let read = self.is_el0s();
        let execute = !self.has(UXN) && self.tables & UXN_TABLE == 0;
        Rights { read, write: read && self.is_writable(), execute }
    }

    fn is_el0s(&self) -> bool {
        self.has(EL0) && self.tables & NO_EL0_TABLE == 0
    }

    /// AttrIndx, which selects a byte of MAIR_EL1.
    fn index(&self) -> u64 {
        bits(self.descriptor, 4, 2)
    }

    /// The byte of MAIR_EL1.
    pub fn memory(&self, mair: u64) -> Memory {
        Memory((mair >> (self.index() * 8)) as u8)
    }

    /// Every field, in lines of up to 100 characters or so.
    pub fn describe(&self, mair: u64) -> String {
        let bit = |bit| u8::from(self.has(bit));
        let kind = self.memory(mair);
        let memory = format!(
            "memory    AttrIndx {}: MAIR_EL1 {:#04x}, {kind}; SH {}, {}\n",
            self.index(),
            kind.0,
            self.shareability,
            shareability(self.shareability),
        );
        let access = format!(
            "access    EL1 {}, EL0 {}: AP {:#04b}, PXN {}, UXN {}, DBM {}{}\n",
            self.el1(),
            self.el0(),
            bits(self.descriptor, 7, 6),
            bit(PXN),
            bit(UXN),
            bit(DIRTY_BIT_MODIFIER),
            match self.tables & 0xf {
                0 => String::new(),
                tables => format!("; {}", tables_text(tables)),
            },
        );
        let flags = format!(
            "flags     AF {}, nG {}, contiguous {}, GP {}\n",
            bit(ACCESS_FLAG),
            bit(NOT_GLOBAL),
            bit(CONTIGUOUS),
            bit(GUARDED),
        );
        [memory, access, flags].concat()
    }

    /// What is alike where a debugger need not tell two places apart: rights, memory type and shareability.
    pub fn gist(&self, mair: u64) -> Gist {
        let (el1, el0) = (self.el1(), self.el0());
        Gist { el1, el0, memory: self.memory(mair), is_global: !self.has(NOT_GLOBAL) }
    }
}

/// A summary of attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gist {
    el1: Rights,
    el0: Rights,
    memory: Memory,
    is_global: bool,
}

impl fmt::Display for Gist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let global = if self.is_global { "" } else { ", nG" };
        write!(f, "EL1 {} EL0 {} {}{global}", self.el1, self.el0, self.memory)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |is_allowed, letter| if is_allowed { letter } else { '-' };
        write!(
            f,
            "{}{}{}",
            letter(self.read, 'r'),
            letter(self.write, 'w'),
            letter(self.execute, 'x')
        )
    }
}

/// What the tables on the way take away.
fn tables_text(tables: u64) -> String {
    let names = [
        (PXN_TABLE, "PXNTable"),
        (UXN_TABLE, "UXNTable"),
        (NO_EL0_TABLE, "APTable[0]"),
        (READ_ONLY_TABLE, "APTable[1]"),
    ];
    let set = names.iter().filter(|(bit, _)| tables & bit != 0).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(", ")
}

fn shareability(field: u64) -> &'static str {
    match field {
        0 => "non-shareable",
        2 => "outer shareable",
        3 => "inner shareable",
        _ => "reserved",
    }
}

/// A byte of MAIR_EL1 (Arm ARM D24.2.109).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory(pub u8);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outer, inner) = (self.0 >> 4, self.0 & 0xf);
        match (self.0, outer, inner) {
            (0x00, ..) => f.write_str("device-nGnRnE"),
            (0x04, ..) => f.write_str("device-nGnRE"),
            (0x08, ..) => f.write_str("device-nGRE"),
            (0x0c, ..) => f.write_str("device-GRE"),
            (0xf0, ..) => f.write_str("normal, write-back, tagged"),
            (_, 0, _) | (_, _, 0) => f.write_str("reserved"),
            _ if outer == inner => write!(f, "normal, {}", cacheability(inner)),
            _ => write!(f, "normal, outer {}, inner {}", cacheability(outer), cacheability(inner)),
        }
    }
}

/// Four bits of a MAIR byte that are not 0; allocation hints aside.
fn cacheability(field: u8) -> &'static str {
    match field >> 2 {
        0 => "write-through transient",
        1 if field & 3 == 0 => "non-cacheable",
        1 => "write-back transient",
        2 => "write-through",
        _ => "write-back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPPER: u64 = 0xffff_8000_0000_0000;
    fn regime() -> Regime {
        // 4 KiB granule, 48 bits, in both halves.
        Regime { sctlr: 1, tcr: 16 | 16 << 16 | 2 << 30, mmfr0: 5, ..Regime::default() }
    }

    #[test]
    fn memory_types_are_those_of_the_manual() {
        for (byte, text) in [
            (0x00, "device-nGnRnE"),
            (0x04, "device-nGnRE"),
            (0x44, "normal, non-cacheable"),
            (0xff, "normal, write-back"),
            (0xf0, "normal, write-back, tagged"),
            (0xbb, "normal, write-through"),
            (0x4f, "normal, outer non-cacheable, inner write-back"),
            (0x33, "normal, write-through transient"),
            (0x40, "reserved"),
            (0x0f, "reserved"),
        ] {
            assert_eq!(Memory(byte).to_string(), text, "{byte:#x}");
        }
    }

    #[test]
    fn a_page_of_kernel_text_is_read_and_executed_by_el1_alone() {
        // UXN, AF, inner shareable, AP[2], AttrIndx 4, and the guarded page bit.
        let descriptor = UXN | GUARDED | ACCESS_FLAG | 3 << 8 | READ_ONLY | 4 << 2 | 3;
        let text = Attributes::of(UPPER, descriptor, 0, &regime()).describe(0xff << 32);

        assert_eq!(
            text,
            "memory    AttrIndx 4: MAIR_EL1 0xff, normal, write-back; SH 3, inner shareable\n\
             access    EL1 r-x, EL0 ---: AP 0b10, PXN 0, UXN 1, DBM 0\n\
             flags     AF 1, nG 0, contiguous 0, GP 1\n"
        );
    }

    #[test]
    fn tables_on_the_way_take_rights_away_unless_tcr_has_them_ignored() {
        let all = PXN_TABLE | UXN_TABLE | NO_EL0_TABLE | READ_ONLY_TABLE;
        let of = |regime: &Regime| Attributes::of(0x1000, EL0 | 3, all, regime);

        let limited = of(&regime());
        assert_eq!(
            (limited.el1().to_string(), limited.el0().to_string()),
            ("r--".into(), "---".into())
        );
        let text = limited.describe(0);
        assert!(text.contains("DBM 0; PXNTable, UXNTable, APTable[0], APTable[1]\n"), "{text}");

        let free = of(&Regime { tcr: regime().tcr | 1 << 41, ..regime() });
        assert_eq!((free.el1().to_string(), free.el0().to_string()), ("rw-".into(), "rwx".into()));
    }

    #[test]
    fn what_the_first_store_makes_writable_is_writable() {
        let rights = |descriptor| Attributes::of(UPPER, descriptor, 0, &regime()).el1();

        assert!(!rights(READ_ONLY | 3).write);
        assert!(rights(READ_ONLY | DIRTY_BIT_MODIFIER | 3).write);
    }

    #[test]
    fn with_lpa2_shareability_is_tcrs() {
        let lpa2 = Regime { tcr: regime().tcr | 1 << 59 | 2 << 28, mmfr0: 6 | 1 << 28, ..regime() };

        let text = Attributes::of(UPPER, 3 << 8 | 3, 0, &lpa2).describe(0);
        assert!(text.contains("SH 2, outer shareable\n"), "{text}");
    }
}
