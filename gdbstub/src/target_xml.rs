//! The target description (GDB manual, Target Descriptions, and AArch64 Features): the registers
//! of a [`Description`] in their order, which gives them their numbers.
//!
//! The types are ours; GDB goes by the names of features and registers. Names within types are
//! those a GDB without a description has, so that `$v0.d.u[1]` and `$cpsr` work as people know
//! them.

use std::fmt::Write as _;

use crate::aarch64::Register;
use crate::description::{Description, Field, SystemKind};

/// The features, in the order of their registers' numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feature {
    Core,
    Fpu,
    Sve,
    Pauth,
    Tls,
    System,
}

impl Feature {
    /// The feature that a register is in.
    fn of(reg: Register, has_sve: bool) -> Self {
        match reg {
            Register::X(_) | Register::Sp | Register::Pc | Register::Cpsr => Self::Core,
            Register::PacMask(_) => Self::Pauth,
            Register::Tpidr | Register::Tpidr2 => Self::Tls,
            Register::System(_) => Self::System,
            _ if has_sve => Self::Sve,
            _ => Self::Fpu,
        }
    }

    /// Those of GDB by its names. It has none for system registers; tools look for them under
    /// QEMU's.
    fn name(self) -> &'static str {
        match self {
            Self::Core => "org.gnu.gdb.aarch64.core",
            Self::Fpu => "org.gnu.gdb.aarch64.fpu",
            Self::Sve => "org.gnu.gdb.aarch64.sve",
            Self::Pauth => "org.gnu.gdb.aarch64.pauth_v2",
            Self::Tls => "org.gnu.gdb.aarch64.tls",
            Self::System => "org.qemu.gdb.arm.sys.regs",
        }
    }

    /// The types that its registers have.
    fn types(self, description: &Description) -> String {
        match self {
            Self::Core => flags("pstate", 4, PSTATE),
            Self::Fpu => vector("vector", "v", 16),
            Self::Sve => {
                let bytes = description.vector_length().unwrap_or(16);
                let predicate =
                    format!("<vector id=\"svep\" type=\"uint8\" count=\"{}\"/>\n", bytes / 8);
                // The low bytes, for LLDB.
                vector("vector", "v", 16) + &vector("svev", "svev", bytes) + &predicate
            }
            Self::Pauth | Self::Tls => String::new(),
            Self::System => {
                let mut types: Vec<(&str, &[Field])> = Vec::new();
                for register in description.system_registers() {
                    if let SystemKind::Flags { id, fields } = &register.kind
                        && types.iter().all(|(other, _)| other != id)
                    {
                        types.push((id, fields));
                    }
                }
                types.into_iter().map(|(id, fields)| flags(id, 8, fields)).collect()
            }
        }
    }
}

/// `target.xml`, the only annex.
pub fn document(description: &Description, is_lldb: bool) -> String {
    let has_sve = description.vector_length().is_some();
    let mut text = r#"<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>aarch64</architecture>
"#
    .to_owned();
    let mut before: Vec<Feature> = Vec::new();
    for info in description.infos(is_lldb) {
        let feature = Feature::of(info.reg(), has_sve);
        if before.last() != Some(&feature) {
            if !before.is_empty() {
                text += "</feature>\n";
            }
            let _ = writeln!(text, "<feature name=\"{}\">", feature.name());
            // What comes last, for LLDB, is of a feature that was there before.
            if !before.contains(&feature) {
                text += &feature.types(description);
            }
            before.push(feature);
        }
        text += &info.element();
    }
    text + "</feature>\n</target>\n"
}

/// SPSR_EL1 (Arm ARM, C5.2, from AArch64 state). Bits without a name are not shown.
const PSTATE: &[Field] = &[
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
];

const fn field(name: &'static str, first: u8, last: u8) -> Field {
    Field { name, first, last, values: &[] }
}

/// A register of so many bytes as fields, with the types of those whose values have names.
fn flags(id: &str, bytes: usize, fields: &[Field]) -> String {
    let mut types = String::new();
    let mut elements = String::new();
    for Field { name, first, last, values } in fields {
        let mut kind = String::new();
        if !values.is_empty() {
            let id = format!("{id}_{name}");
            let _ = writeln!(types, "<enum id=\"{id}\" size=\"{bytes}\">");
            for (value, name) in *values {
                let _ = writeln!(types, "<evalue name=\"{name}\" value=\"{value}\"/>");
            }
            types += "</enum>\n";
            kind = format!(" type=\"{id}\"");
        }
        let _ =
            writeln!(elements, "<field name=\"{name}\" start=\"{first}\" end=\"{last}\"{kind}/>");
    }
    format!("{types}<flags id=\"{id}\" size=\"{bytes}\">\n{elements}</flags>\n")
}

/// A vector register of so many bytes as every kind of lane. `prefix` begins the names of the types
/// that it takes.
fn vector(id: &str, prefix: &str, bytes: usize) -> String {
    /// What a lane is called that is of a type.
    type Kinds = &'static [(&'static str, &'static str)];
    /// Lanes by name and bytes.
    const LANES: [(&str, usize, Kinds); 5] = [
        ("d", 8, &[("f", "ieee_double"), ("u", "uint64"), ("s", "int64")]),
        ("s", 4, &[("f", "ieee_single"), ("u", "uint32"), ("s", "int32")]),
        ("h", 2, &[("bf", "bfloat16"), ("f", "ieee_half"), ("u", "uint16"), ("s", "int16")]),
        ("b", 1, &[("u", "uint8"), ("s", "int8")]),
        ("q", 16, &[("u", "uint128"), ("s", "int128")]),
    ];
    let mut text = String::new();
    for (lane, size, kinds) in LANES {
        let count = bytes / size;
        for (kind, of) in kinds {
            let _ = writeln!(
                text,
                "<vector id=\"{prefix}{lane}{kind}\" type=\"{of}\" count=\"{count}\"/>"
            );
        }
        let _ = writeln!(text, "<union id=\"{prefix}n{lane}\">");
        for (kind, _) in kinds {
            let _ = writeln!(text, "<field name=\"{kind}\" type=\"{prefix}{lane}{kind}\"/>");
        }
        text += "</union>\n";
    }
    let _ = writeln!(text, "<union id=\"{id}\">");
    for (lane, ..) in LANES {
        let _ = writeln!(text, "<field name=\"{lane}\" type=\"{prefix}n{lane}\"/>");
    }
    text + "</union>\n"
}

#[cfg(test)]
mod tests;
