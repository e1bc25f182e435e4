//! What clients are told of each register besides its bytes, in target.xml and in `qRegisterInfo`
//! (LLDB: GDB Remote Protocol Extensions). GDB goes by names and types, LLDB by all of it.

use crate::aarch64::{PacMask, Register};
use crate::description::{Description, Entry, SystemKind};

/// One register described.
pub struct RegisterInfo {
    number: u16,
    entry: Entry,
    name: String,
    /// Its name in the procedure call standard.
    alias: Option<&'static str>,
    /// Its part in calls, in LLDB's words.
    generic: Option<String>,
    /// DWARF's number (DWARF for the Arm 64-bit Architecture, "DWARF register names").
    dwarf: Option<u8>,
    /// Its type in target.xml.
    kind: &'static str,
    /// The number of the register that it is the low bytes of.
    whole: Option<u16>,
}

impl RegisterInfo {
    /// Describes a register.
    pub(crate) fn of(description: &Description, number: u16, entry: Entry) -> Self {
        let plain = |name: &str, kind| Self {
            number,
            entry,
            name: name.to_owned(),
            alias: None,
            generic: None,
            dwarf: None,
            kind,
            whole: None,
        };
        match entry.reg {
            Register::X(n) => Self {
                alias: match n {
                    29 => Some("fp"),
                    30 => Some("lr"),
                    _ => None,
                },
                generic: match n {
                    0..=7 => Some(format!("arg{}", n + 1)),
                    29 => Some("fp".to_owned()),
                    30 => Some("ra".to_owned()),
                    _ => None,
                },
                dwarf: Some(n),
                ..plain(&format!("x{n}"), "int64")
            },
            Register::Sp => {
                Self { generic: Some("sp".to_owned()), dwarf: Some(31), ..plain("sp", "data_ptr") }
            }
            Register::Pc => {
                Self { generic: Some("pc".to_owned()), dwarf: Some(32), ..plain("pc", "code_ptr") }
            }
            Register::Cpsr => Self { generic: Some("flags".to_owned()), ..plain("cpsr", "pstate") },
            Register::V(n) => Self {
                dwarf: Some(n.saturating_add(64)),
                whole: description.number(Register::Z(n)),
                ..plain(&format!("v{n}"), "vector")
            },
            Register::Z(n) => {
                Self { dwarf: Some(n.saturating_add(96)), ..plain(&format!("z{n}"), "svev") }
            }
            Register::P(n) => {
                Self { dwarf: Some(n.saturating_add(48)), ..plain(&format!("p{n}"), "svep") }
            }
            Register::Ffr => Self { dwarf: Some(47), ..plain("ffr", "svep") },
            Register::Vg => Self { dwarf: Some(46), ..plain("vg", "uint64") },
            Register::Fpsr => plain("fpsr", "int32"),
            Register::Fpcr => plain("fpcr", "int32"),
            Register::PacMask(PacMask { is_code, is_upper }) => {
                let name = match (is_code, is_upper) {
                    (false, false) => "pauth_dmask",
                    (true, false) => "pauth_cmask",
                    (false, true) => "pauth_dmask_high",
                    (true, true) => "pauth_cmask_high",
                };
                plain(name, "uint64")
            }
            Register::Tpidr => plain("tpidr", "data_ptr"),
            Register::Tpidr2 => plain("tpidr2", "data_ptr"),
            Register::System(n) => match description.system(n) {
                Some(system) => plain(
                    &system.name,
                    match &system.kind {
                        SystemKind::Number => "uint64",
                        SystemKind::Code => "code_ptr",
                        SystemKind::Data => "data_ptr",
                        SystemKind::Flags { id, .. } => id,
                    },
                ),
                None => plain("", "uint64"),
            },
        }
    }

    pub(crate) fn reg(&self) -> Register {
        self.entry.reg
    }

    /// The group by GDB's name (GDB manual, Target Description Format), or one of ours where GDB's
    /// `info registers` is not to show it.
    fn group(&self) -> &'static str {
        match self.entry.reg {
            Register::V(_) | Register::Z(_) | Register::P(_) | Register::Ffr | Register::Vg => {
                "vector"
            }
            Register::Fpsr | Register::Fpcr => "float",
            Register::PacMask(_) => "pauth",
            Register::Tpidr | Register::Tpidr2 | Register::System(_) => "system",
            _ => "general",
        }
    }

    fn encoding(&self) -> (&'static str, &'static str) {
        match self.entry.reg {
            Register::V(_) | Register::Z(_) | Register::P(_) | Register::Ffr => {
                ("vector", "vector-uint8")
            }
            _ => ("uint", "hex"),
        }
    }

    /// Its element in target.xml. Of those that no call touches, which are hundreds, it has no more
    /// than is needed.
    pub fn element(&self) -> String {
        let bits = 8 * self.entry.size;
        let name = format!("name=\"{}\" bitsize=\"{bits}\" type=\"{}\"", self.name, self.kind);
        let group = self.group();
        let offset = format!("offset=\"{}\"", self.entry.offset);
        if matches!(group, "pauth" | "system") {
            // GDB would write them back after a call made by hand.
            return format!("<reg {name} group=\"{group}\" {offset} save-restore=\"no\"/>\n");
        }
        let (encoding, format) = self.encoding();
        let mut attributes = vec![
            name,
            format!("regnum=\"{}\"", self.number),
            format!("group=\"{group}\""),
            offset,
            format!("encoding=\"{encoding}\" format=\"{format}\""),
        ];
        attributes.extend(self.alias.map(|alias| format!("altname=\"{alias}\"")));
        attributes.extend(self.generic.as_ref().map(|generic| format!("generic=\"{generic}\"")));
        let dwarf = |number| format!("dwarf_regnum=\"{number}\" ehframe_regnum=\"{number}\"");
        attributes.extend(self.dwarf.map(dwarf));
        let whole = |number| format!("value_regnums=\"{number}\" invalidate_regnums=\"{number}\"");
        attributes.extend(self.whole.map(whole));
        format!("<reg {}/>\n", attributes.join(" "))
    }

    /// Its fields in a `qRegisterInfo` reply.
    pub fn fields(&self) -> String {
        let (encoding, format) = self.encoding();
        let set = match self.group() {
            "general" => "General Purpose Registers",
            "pauth" => "Pointer Authentication Masks",
            "system" => "System Registers",
            _ => "Floating Point Registers",
        };
        let mut fields = vec![format!("name:{};", self.name)];
        fields.extend(self.alias.map(|alias| format!("alt-name:{alias};")));
        fields.push(format!("bitsize:{};offset:{};", 8 * self.entry.size, self.entry.offset));
        fields.push(format!("encoding:{encoding};format:{format};set:{set};"));
        fields.extend(self.dwarf.map(|dwarf| format!("ehframe:{dwarf};dwarf:{dwarf};")));
        fields.extend(self.generic.as_ref().map(|generic| format!("generic:{generic};")));
        let whole = |number| format!("container-regs:{number:x};invalidate-regs:{number:x};");
        fields.extend(self.whole.map(whole));
        fields.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Contents;

    fn info(contents: Contents, name: &str) -> RegisterInfo {
        Description::new(contents).infos(true).find(|info| info.name == name).unwrap()
    }

    #[test]
    fn target_xml_has_all_that_lldb_would_guess() {
        assert_eq!(
            info(Contents::default(), "x0").element(),
            "<reg name=\"x0\" bitsize=\"64\" type=\"int64\" regnum=\"0\" group=\"general\" \
             offset=\"0\" encoding=\"uint\" format=\"hex\" generic=\"arg1\" dwarf_regnum=\"0\" \
             ehframe_regnum=\"0\"/>\n"
        );
        assert_eq!(
            info(Contents::default(), "v31").element(),
            "<reg name=\"v31\" bitsize=\"128\" type=\"vector\" regnum=\"65\" group=\"vector\" \
             offset=\"764\" encoding=\"vector\" format=\"vector-uint8\" dwarf_regnum=\"95\" \
             ehframe_regnum=\"95\"/>\n"
        );
    }

    #[test]
    fn what_no_call_touches_is_not_restored_after_one() {
        assert_eq!(
            info(Contents::default(), "tpidr").element(),
            "<reg name=\"tpidr\" bitsize=\"64\" type=\"data_ptr\" group=\"system\" \
             offset=\"788\" save-restore=\"no\"/>\n"
        );
    }

    #[test]
    fn lldb_learns_that_a_v_is_part_of_a_z() {
        let sve = || Contents { vector_length: Some(256), ..Contents::default() };

        assert!(info(sve(), "v1").element().contains(" value_regnums=\"35\" "));
        let number = 34 + 32 + 16 + 4 + 1 + 1;
        assert_eq!(
            Description::new(sve()).info(number).unwrap().fields(),
            "name:v1;bitsize:128;offset:524;encoding:vector;format:vector-uint8;\
             set:Floating Point Registers;ehframe:65;dwarf:65;container-regs:23;\
             invalidate-regs:23;"
        );
    }

    #[test]
    fn register_info_packets_say_the_same() {
        assert_eq!(
            info(Contents::default(), "x30").fields(),
            "name:x30;alt-name:lr;bitsize:64;offset:240;encoding:uint;format:hex;\
             set:General Purpose Registers;ehframe:30;dwarf:30;generic:ra;"
        );
        assert_eq!(
            info(Contents::default(), "fpcr").fields(),
            "name:fpcr;bitsize:32;offset:784;encoding:uint;format:hex;\
             set:Floating Point Registers;"
        );
    }
}
