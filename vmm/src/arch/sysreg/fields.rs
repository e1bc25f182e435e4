//! Fields of system registers. Bits without a name have none in the architecture.

/// The fields of a register.
#[derive(PartialEq, Eq, Debug)]
pub struct Fields {
    /// What the type is called.
    pub id: &'static str,
    /// From the lowest bit up.
    pub fields: &'static [Field],
}

/// A field of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name in the architecture.
    pub name: &'static str,
    /// Its lowest bit.
    pub first: u8,
    /// Its highest bit.
    pub last: u8,
    /// What its values mean; empty for a number.
    pub values: &'static [(u64, &'static str)],
}

impl Field {
    /// What it has in a register's value.
    pub fn of(self, register: u64) -> u64 {
        register >> self.first & u64::MAX >> (63 - (self.last - self.first))
    }

    /// What that means, if it has a name.
    pub fn word(self, register: u64) -> Option<&'static str> {
        let value = self.of(register);
        self.values.iter().find(|(other, _)| *other == value).map(|(_, word)| *word)
    }
}

impl Field {
    /// Name and value, or the name alone of a bit that is set; `None` for a number that is 0.
    pub fn text(self, register: u64) -> Option<String> {
        let Self { name, first, last, .. } = self;
        match (self.word(register), self.of(register)) {
            (Some(word), _) => Some(format!("{name}={word}")),
            (None, 0) => None,
            (None, _) if first == last => Some(name.to_owned()),
            (None, value) => Some(format!("{name}={value:#x}")),
        }
    }
}

const fn field(name: &'static str, first: u8, last: u8) -> Field {
    named(name, first, last, &[])
}

const fn named(
    name: &'static str,
    first: u8,
    last: u8,
    values: &'static [(u64, &'static str)],
) -> Field {
    Field { name, first, last, values }
}

/// ESR_EL1.EC (Arm ARM D24.2.40), what of it EL1 takes, by Linux's names.
const EC: &[(u64, &str)] = &[
    (0x00, "UNKNOWN"),
    (0x01, "WFX"),
    (0x03, "CP15_32"),
    (0x04, "CP15_64"),
    (0x05, "CP14_MR"),
    (0x06, "CP14_LS"),
    (0x07, "FP_ASIMD"),
    (0x09, "PAC"),
    (0x0a, "LS64"),
    (0x0c, "CP14_64"),
    (0x0d, "BTI"),
    (0x0e, "ILL"),
    (0x11, "SVC32"),
    (0x14, "SYS128"),
    (0x15, "SVC64"),
    (0x18, "SYS64"),
    (0x19, "SVE"),
    (0x1c, "FPAC"),
    (0x1d, "SME"),
    (0x20, "IABT_LOW"),
    (0x21, "IABT_CUR"),
    (0x22, "PC_ALIGN"),
    (0x24, "DABT_LOW"),
    (0x25, "DABT_CUR"),
    (0x26, "SP_ALIGN"),
    (0x27, "MOPS"),
    (0x28, "FP_EXC32"),
    (0x2c, "FP_EXC64"),
    (0x2d, "GCS"),
    (0x2f, "SERROR"),
    (0x30, "BREAKPT_LOW"),
    (0x31, "BREAKPT_CUR"),
    (0x32, "SOFTSTP_LOW"),
    (0x33, "SOFTSTP_CUR"),
    (0x34, "WATCHPT_LOW"),
    (0x35, "WATCHPT_CUR"),
    (0x38, "BKPT32"),
    (0x3c, "BRK64"),
];

/// Exception syndrome (Arm ARM D24.2.40).
pub static ESR: Fields = Fields {
    id: "esr",
    fields: &[
        field("ISS", 0, 24),
        field("IL", 25, 25),
        named("EC", 26, 31, EC),
        field("ISS2", 32, 55),
    ],
};

/// System control (Arm ARM D24.2.177).
pub static SCTLR: Fields = Fields {
    id: "sctlr",
    fields: &[
        field("M", 0, 0),
        field("A", 1, 1),
        field("C", 2, 2),
        field("SA", 3, 3),
        field("SA0", 4, 4),
        field("CP15BEN", 5, 5),
        field("nAA", 6, 6),
        field("ITD", 7, 7),
        field("SED", 8, 8),
        field("UMA", 9, 9),
        field("EnRCTX", 10, 10),
        field("EOS", 11, 11),
        field("I", 12, 12),
        field("EnDB", 13, 13),
        field("DZE", 14, 14),
        field("UCT", 15, 15),
        field("nTWI", 16, 16),
        field("nTWE", 18, 18),
        field("WXN", 19, 19),
        field("TSCXT", 20, 20),
        field("IESB", 21, 21),
        field("EIS", 22, 22),
        field("SPAN", 23, 23),
        field("E0E", 24, 24),
        field("EE", 25, 25),
        field("UCI", 26, 26),
        field("EnDA", 27, 27),
        field("nTLSMD", 28, 28),
        field("LSMAOE", 29, 29),
        field("EnIB", 30, 30),
        field("EnIA", 31, 31),
        field("CMOW", 32, 32),
        field("MSCEn", 33, 33),
        field("BT0", 35, 35),
        field("BT1", 36, 36),
        field("ITFSB", 37, 37),
        field("TCF0", 38, 39),
        field("TCF", 40, 41),
        field("ATA0", 42, 42),
        field("ATA", 43, 43),
        field("DSSBS", 44, 44),
        field("TWEDEn", 45, 45),
        field("TWEDEL", 46, 49),
        field("TMT0", 50, 50),
        field("TMT", 51, 51),
        field("TME0", 52, 52),
        field("TME", 53, 53),
        field("EnASR", 54, 54),
        field("EnAS0", 55, 55),
        field("EnALS", 56, 56),
        field("EPAN", 57, 57),
        field("TCSO0", 58, 58),
        field("TCSO", 59, 59),
        field("EnTP2", 60, 60),
        field("NMI", 61, 61),
        field("SPINTMASK", 62, 62),
        field("TIDCP", 63, 63),
    ],
};

const CACHEABILITY: &[(u64, &str)] = &[(0, "NC"), (1, "WBWA"), (2, "WT"), (3, "WBnWA")];
const SHAREABILITY: &[(u64, &str)] = &[(0, "NSH"), (2, "OSH"), (3, "ISH")];
const GRANULE0: &[(u64, &str)] = &[(0, "4K"), (1, "64K"), (2, "16K")];
const GRANULE1: &[(u64, &str)] = &[(1, "16K"), (2, "4K"), (3, "64K")];
const SIZE: &[(u64, &str)] = &[
    (0, "32bit"),
    (1, "36bit"),
    (2, "40bit"),
    (3, "42bit"),
    (4, "44bit"),
    (5, "48bit"),
    (6, "52bit"),
    (7, "56bit"),
];

/// Translation control (Arm ARM D24.2.215).
pub static TCR: Fields = Fields {
    id: "tcr",
    fields: &[
        field("T0SZ", 0, 5),
        field("EPD0", 7, 7),
        named("IRGN0", 8, 9, CACHEABILITY),
        named("ORGN0", 10, 11, CACHEABILITY),
        named("SH0", 12, 13, SHAREABILITY),
        named("TG0", 14, 15, GRANULE0),
        field("T1SZ", 16, 21),
        field("A1", 22, 22),
        field("EPD1", 23, 23),
        named("IRGN1", 24, 25, CACHEABILITY),
        named("ORGN1", 26, 27, CACHEABILITY),
        named("SH1", 28, 29, SHAREABILITY),
        named("TG1", 30, 31, GRANULE1),
        named("IPS", 32, 34, SIZE),
        field("AS", 36, 36),
        field("TBI0", 37, 37),
        field("TBI1", 38, 38),
        field("HA", 39, 39),
        field("HD", 40, 40),
        field("HPD0", 41, 41),
        field("HPD1", 42, 42),
        field("HWU0", 43, 46),
        field("HWU1", 47, 50),
        field("TBID0", 51, 51),
        field("TBID1", 52, 52),
        field("NFD0", 53, 53),
        field("NFD1", 54, 54),
        field("E0PD0", 55, 55),
        field("E0PD1", 56, 56),
        field("TCMA0", 57, 57),
        field("TCMA1", 58, 58),
        field("DS", 59, 59),
        field("MTX0", 60, 60),
        field("MTX1", 61, 61),
    ],
};

/// Saved PSTATE, from AArch64 (Arm ARM C5.2.19).
pub static SPSR: Fields = Fields {
    id: "spsr",
    fields: &[
        field("SP", 0, 0),
        field("EL", 2, 3),
        field("nRW", 4, 4),
        field("F", 6, 6),
        field("I", 7, 7),
        field("A", 8, 8),
        field("D", 9, 9),
        field("BTYPE", 10, 11),
        field("SSBS", 12, 12),
        field("ALLINT", 13, 13),
        field("IL", 20, 20),
        field("SS", 21, 21),
        field("PAN", 22, 22),
        field("UAO", 23, 23),
        field("DIT", 24, 24),
        field("TCO", 25, 25),
        field("V", 28, 28),
        field("C", 29, 29),
        field("Z", 30, 30),
        field("N", 31, 31),
    ],
};

/// The class of an exception syndrome in words.
pub fn exception(esr: u64) -> &'static str {
    match esr >> 26 & 0x3f {
        0x00 => "unknown reason",
        0x01 => "WFI or WFE",
        0x03 => "MCR or MRC to CP15",
        0x04 => "MCRR or MRRC to CP15",
        0x05 => "MCR or MRC to CP14",
        0x06 => "LDC or STC",
        0x07 => "access to SVE, SIMD or floating point",
        0x09 => "pointer authentication instruction",
        0x0a => "LD64B or ST64B",
        0x0c => "MRRC to CP14",
        0x0d => "branch target",
        0x0e => "illegal execution state",
        0x11 => "SVC from AArch32",
        0x14 => "MSRR, MRRS or 128-bit SYS",
        0x15 => "SVC from AArch64",
        0x18 => "MSR, MRS or SYS",
        0x19 => "access to SVE",
        0x1c => "pointer authentication failure",
        0x1d => "access to SME",
        0x20 => "instruction abort from EL0",
        0x21 => "instruction abort from EL1",
        0x22 => "PC alignment",
        0x24 => "data abort from EL0",
        0x25 => "data abort from EL1",
        0x26 => "SP alignment",
        0x27 => "memory copy or memory set",
        0x28 => "floating-point exception from AArch32",
        0x2c => "floating-point exception from AArch64",
        0x2d => "guarded control stack",
        0x2f => "SError",
        0x30 => "hardware breakpoint from EL0",
        0x31 => "hardware breakpoint from EL1",
        0x32 => "software step from EL0",
        0x33 => "software step from EL1",
        0x34 => "watchpoint from EL0",
        0x35 => "watchpoint from EL1",
        0x38 => "BKPT from AArch32",
        0x3c => "BRK from AArch64",
        _ => "reserved class",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap_and_stand_in_order() {
        for Fields { id, fields } in [&ESR, &SCTLR, &TCR, &SPSR] {
            assert!(fields.iter().all(|field| field.first <= field.last && field.last < 64));
            assert!(fields.is_sorted_by(|one, next| one.last < next.first), "{id}");
        }
    }

    #[test]
    fn a_value_has_its_word() {
        let ec = ESR.fields[2];

        assert_eq!(ec.of(0xf200_0800), 0x3c);
        assert_eq!(ec.word(0xf200_0800), Some("BRK64"));
        assert_eq!(ec.word(0xffff_ffff_fff0_0000), None);
        let whole = Field { name: "all", first: 0, last: 63, values: &[] };
        assert_eq!(whole.of(u64::MAX), u64::MAX);
    }
}
