//! System registers: their names by their encodings, and the fields of some.

mod fields;
mod names;

use std::fmt;

pub use fields::{ESR, Fields, SCTLR, SPSR, TCR};

/// What MRS and MSR name a system register by (Arm ARM D22.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Encoding {
    /// 2 for debug registers, else 3.
    pub op0: u8,
    /// Roughly the lowest exception level: 0 for EL1, 3 for EL0, 4 for EL2.
    pub op1: u8,
    /// CRn.
    pub crn: u8,
    /// CRm.
    pub crm: u8,
    /// op2.
    pub op2: u8,
}

/// What a debugger makes of a system register's bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A number.
    Number,
    /// Address of an instruction.
    Code,
    /// Another address.
    Data,
    /// Fields.
    Fields(&'static Fields),
}

/// In the order of people's interest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// What the CPU goes by.
    Control,
    /// Performance monitors.
    Monitor,
    /// Debug registers.
    Debug,
    /// What the CPU is.
    Id,
}

impl Encoding {
    /// What it is for.
    pub fn class(self) -> Class {
        match self {
            Self { op0: 2, .. } => Class::Debug,
            // CSSELR_EL1 selects, all others there tell.
            Self { op1: 2, crn: 0, .. } => Class::Control,
            Self { crn: 0, .. } => Class::Id,
            Self { crn: 9, .. } | Self { crn: 14, crm: 8..=15, .. } => Class::Monitor,
            _ => Class::Control,
        }
    }
}

impl fmt::Display for Encoding {
    /// The architecture's name, or the assembler's for those that have none here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op0, op1, crn, crm, op2 } = *self;
        if let Ok(at) = names::NAMES.binary_search_by_key(self, |(encoding, _)| *encoding)
            && let Some((_, name)) = names::NAMES.get(at)
        {
            return f.write_str(name);
        }
        let event = (crm & 0b11) << 3 | op2;
        match (op0, op1, crn, crm, op2) {
            (2, 0, 0, n, 4) => write!(f, "DBGBVR{n}_EL1"),
            (2, 0, 0, n, 5) => write!(f, "DBGBCR{n}_EL1"),
            (2, 0, 0, n, 6) => write!(f, "DBGWVR{n}_EL1"),
            (2, 0, 0, n, 7) => write!(f, "DBGWCR{n}_EL1"),
            (3, 3, 14, 8..=11, _) => write!(f, "PMEVCNTR{event}_EL0"),
            (3, 3, 14, 12..=15, _) => write!(f, "PMEVTYPER{event}_EL0"),
            _ => write!(f, "S{op0}_{op1}_C{crn}_C{crm}_{op2}"),
        }
    }
}

/// What is in the register of this name.
pub fn kind(name: &str) -> Kind {
    match name {
        "SCTLR_EL1" => Kind::Fields(&SCTLR),
        "TCR_EL1" => Kind::Fields(&TCR),
        "ESR_EL1" => Kind::Fields(&ESR),
        "SPSR_EL1" => Kind::Fields(&SPSR),
        "ELR_EL1" | "VBAR_EL1" => Kind::Code,
        "SP_EL0" | "SP_EL1" | "FAR_EL1" | "TPIDR_EL0" | "TPIDRRO_EL0" | "TPIDR2_EL0"
        | "TPIDR_EL1" => Kind::Data,
        _ => Kind::Number,
    }
}

/// What a register's value means, in words; empty for a plain number.
pub fn words(name: &str, value: u64) -> String {
    let Kind::Fields(Fields { fields, .. }) = kind(name) else { return String::new() };
    let mut words: Vec<String> = fields.iter().filter_map(|field| field.text(value)).collect();
    if name == "ESR_EL1" {
        words.push(format!("({})", fields::exception(value)));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(op0: u8, op1: u8, crn: u8, crm: u8, op2: u8) -> String {
        Encoding { op0, op1, crn, crm, op2 }.to_string()
    }

    #[test]
    fn names_are_the_architectures() {
        assert_eq!(name(3, 0, 1, 0, 0), "SCTLR_EL1");
        assert_eq!(name(3, 0, 2, 0, 2), "TCR_EL1");
        assert_eq!(name(3, 0, 2, 1, 3), "APIBKeyHi_EL1");
        assert_eq!(name(3, 0, 0, 2, 6), "ID_MMFR4_EL1");
        assert_eq!(name(3, 3, 13, 0, 2), "TPIDR_EL0");
        assert_eq!(name(2, 0, 0, 2, 2), "MDSCR_EL1");
    }

    #[test]
    fn values_have_words() {
        assert_eq!(words("ESR_EL1", 0x9600_0045), "ISS=0x45 IL EC=DABT_CUR (data abort from EL1)");
        assert_eq!(words("ESR_EL1", 0), "EC=UNKNOWN (unknown reason)");
        assert_eq!(words("ESR_EL1", 0x3f << 26), "EC=0x3f (reserved class)");
        assert_eq!(words("SCTLR_EL1", 0x1005), "M C I");
        assert_eq!(words("SPSR_EL1", 0x8000_03c5), "SP EL=0x1 F I A D N");
        assert_eq!(
            words("TCR_EL1", 16 | 1 << 30),
            "T0SZ=0x10 IRGN0=NC ORGN0=NC SH0=NSH TG0=4K \
            IRGN1=NC ORGN1=NC SH1=NSH TG1=16K IPS=32bit"
        );
        assert_eq!(words("VBAR_EL1", 0x1000), "");
    }

    #[test]
    fn those_of_a_row_have_numbers() {
        assert_eq!(name(2, 0, 0, 0, 4), "DBGBVR0_EL1");
        assert_eq!(name(2, 0, 0, 15, 7), "DBGWCR15_EL1");
        assert_eq!(name(3, 3, 14, 8, 0), "PMEVCNTR0_EL0");
        assert_eq!(name(3, 3, 14, 11, 6), "PMEVCNTR30_EL0");
        assert_eq!(name(3, 3, 14, 15, 6), "PMEVTYPER30_EL0");
        assert_eq!(name(3, 3, 14, 15, 7), "PMCCFILTR_EL0");
    }

    #[test]
    fn the_rest_has_the_assemblers_names() {
        assert_eq!(name(3, 0, 0, 4, 6), "S3_0_C0_C4_6");
        assert_eq!(name(3, 7, 15, 15, 7), "S3_7_C15_C15_7");
    }

    #[test]
    fn each_name_stands_once_and_in_order() {
        assert!(names::NAMES.is_sorted_by(|one, next| one.0 < next.0));
        let mut all: Vec<_> = names::NAMES.iter().map(|(_, name)| *name).collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_the_cpu_goes_by_comes_first() {
        let class = |op0, op1, crn, crm, op2| Encoding { op0, op1, crn, crm, op2 }.class();

        assert_eq!(class(3, 0, 1, 0, 0), Class::Control);
        assert_eq!(class(3, 3, 14, 3, 1), Class::Control);
        assert_eq!(class(3, 2, 0, 0, 0), Class::Control);
        assert_eq!(class(3, 3, 14, 8, 0), Class::Monitor);
        assert_eq!(class(2, 0, 0, 0, 4), Class::Debug);
        assert_eq!(class(3, 0, 0, 7, 0), Class::Id);
        assert!(Class::Control < Class::Id);
    }
}
