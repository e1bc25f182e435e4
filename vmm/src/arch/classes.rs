//! Exception classes by name (Arm ARM D24.2.40, ESR_EL1.EC), and what their syndromes say.

use super::esr::Esr;
use super::stage1::bits;

/// Of the current EL with its own stack pointer.
const CURRENT: u64 = 0x200;
/// Of a lower EL in AArch64.
const LOWER: u64 = 0x400;
/// Of a lower EL in AArch32.
const LOWER_32: u64 = 0x600;

/// Those that a guest without EL2 can take to EL1.
const NAMES: &[(u8, &str)] = &[
    (0x00, "unknown"),
    (0x01, "wfx"),
    (0x03, "cp15-mcr"),
    (0x04, "cp15-mcrr"),
    (0x05, "cp14-mcr"),
    (0x06, "cp14-ldc"),
    (0x07, "fp-access"),
    (0x0a, "ld64b"),
    (0x0c, "cp14-mrrc"),
    (0x0d, "bti"),
    (0x0e, "illegal-state"),
    (0x11, "svc32"),
    (0x15, "svc"),
    (0x18, "sysreg"),
    (0x19, "sve-access"),
    (0x1c, "pac"),
    (0x1d, "sme-access"),
    (0x20, "instruction-abort-el0"),
    (0x21, "instruction-abort-el1"),
    (0x22, "pc-alignment"),
    (0x24, "data-abort-el0"),
    (0x25, "data-abort-el1"),
    (0x26, "sp-alignment"),
    (0x27, "mops"),
    (0x28, "fp-exception32"),
    (0x2c, "fp-exception"),
    (0x2d, "gcs"),
    (0x30, "breakpoint-el0"),
    (0x31, "breakpoint-el1"),
    (0x32, "step-el0"),
    (0x33, "step-el1"),
    (0x34, "watchpoint-el0"),
    (0x35, "watchpoint-el1"),
    (0x38, "bkpt32"),
    (0x3c, "brk"),
];

/// What a class is called here.
pub fn name(class: u8) -> &'static str {
    NAMES.iter().find(|(number, _)| *number == class).map_or("reserved", |(_, name)| name)
}

/// The class with this name.
pub fn by_name(name: &str) -> Option<u8> {
    NAMES.iter().find(|(_, known)| *known == name).map(|(class, _)| *class)
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(_, name)| *name)
}

/// Offsets of the vectors that exceptions of a class come by.
pub fn vectors(class: u8) -> &'static [u64] {
    match class {
        0x20 | 0x24 | 0x30 | 0x32 | 0x34 => &[LOWER, LOWER_32],
        0x21 | 0x25 | 0x31 | 0x33 | 0x35 => &[CURRENT],
        0x03..=0x06 | 0x0c | 0x11 | 0x28 | 0x38 => &[LOWER_32],
        0x15 | 0x3c => &[CURRENT, LOWER],
        _ => &[CURRENT, LOWER, LOWER_32],
    }
}

/// A syndrome in words: the class, and of aborts what went wrong.
pub fn describe(esr: Esr) -> String {
    let iss = esr.0 & 0x1ff_ffff;
    let more = match esr.ec() {
        0x20 | 0x21 => format!(", {}", fault(iss & 0x3f)),
        0x24 | 0x25 => {
            let access = if iss & 1 << 6 != 0 { "store" } else { "load" };
            format!(", {access}, {}", fault(iss & 0x3f))
        }
        0x15 | 0x11 | 0x3c | 0x38 => format!(", immediate {:#x}", iss & 0xffff),
        _ => format!(", ISS {iss:#x}"),
    };
    format!("{}{more}", name(esr.ec()))
}

/// DFSC or IFSC.
fn fault(status: u64) -> String {
    let level = bits(status, 1, 0);
    let kind = match status {
        0x00..=0x03 => "address size fault",
        0x04..=0x07 => "translation fault",
        0x08..=0x0b => "access flag fault",
        0x0c..=0x0f => "permission fault",
        0x10 => return "external abort".to_owned(),
        0x11 => return "tag check fault".to_owned(),
        0x21 => return "alignment fault".to_owned(),
        0x2b => return "translation fault, level -1".to_owned(),
        other => return format!("fault status {other:#x}"),
    };
    format!("{kind}, level {level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_found_by_its_name() {
        for (class, text) in NAMES {
            assert_eq!((by_name(text), name(*class)), (Some(*class), *text));
            assert!(!vectors(*class).is_empty());
        }
        assert_eq!(by_name("reserved"), None);
        assert_eq!(name(0x3f), "reserved");
    }

    #[test]
    fn syndromes_are_said_in_words() {
        for (esr, text) in [
            (0x9600_0045, "data-abort-el1, store, translation fault, level 1"),
            (0x9200_0007, "data-abort-el0, load, translation fault, level 3"),
            (0x8200_000f, "instruction-abort-el0, permission fault, level 3"),
            (0x9600_006b, "data-abort-el1, store, translation fault, level -1"),
            (0x9600_0021, "data-abort-el1, load, alignment fault"),
            (0x5600_0000, "svc, immediate 0x0"),
            (0xf200_0800, "brk, immediate 0x800"),
            (0x0200_0000, "unknown, ISS 0x0"),
        ] {
            assert_eq!(describe(Esr(esr)), text);
        }
    }
}
