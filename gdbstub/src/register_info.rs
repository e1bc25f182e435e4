//! What clients are told of each register besides its bytes, in target.xml and in `qRegisterInfo`
//! (LLDB: GDB Remote Protocol Extensions). GDB goes by names and types, LLDB by all of it.

use crate::aarch64::Register;

/// One register described.
pub struct RegisterInfo {
    reg: Register,
    name: String,
    /// Its name in the procedure call standard.
    alias: Option<&'static str>,
    /// Its part in calls, in LLDB's words.
    generic: Option<String>,
    /// DWARF's number (DWARF for the Arm 64-bit Architecture, "DWARF register names").
    dwarf: Option<u8>,
    /// Its type in target.xml.
    kind: &'static str,
}

impl RegisterInfo {
    /// Describes a register.
    pub fn of(reg: Register) -> Self {
        let plain =
            |name: String, kind| Self { reg, name, alias: None, generic: None, dwarf: None, kind };
        match reg {
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
                ..plain(format!("x{n}"), "int64")
            },
            Register::Sp => Self {
                generic: Some("sp".to_owned()),
                dwarf: Some(31),
                ..plain("sp".to_owned(), "data_ptr")
            },
            Register::Pc => Self {
                generic: Some("pc".to_owned()),
                dwarf: Some(32),
                ..plain("pc".to_owned(), "code_ptr")
            },
            Register::Cpsr => {
                Self { generic: Some("flags".to_owned()), ..plain("cpsr".to_owned(), "pstate") }
            }
            Register::V(n) => {
                Self { dwarf: Some(n.saturating_add(64)), ..plain(format!("v{n}"), "vector") }
            }
            Register::Fpsr => plain("fpsr".to_owned(), "int32"),
            Register::Fpcr => plain("fpcr".to_owned(), "int32"),
        }
    }

    fn is_vector(&self) -> bool {
        matches!(self.reg, Register::V(_))
    }

    /// The group by GDB's name (GDB manual, Target Description Format).
    fn group(&self) -> &'static str {
        match self.reg {
            Register::V(_) => "vector",
            Register::Fpsr | Register::Fpcr => "float",
            _ => "general",
        }
    }

    /// Where its bytes are in a `g` reply, in bytes.
    fn offset(&self) -> usize {
        Register::all().take_while(|reg| *reg != self.reg).map(Register::size).sum()
    }

    fn encoding(&self) -> (&'static str, &'static str) {
        if self.is_vector() { ("vector", "vector-uint8") } else { ("uint", "hex") }
    }

    /// Its element in target.xml.
    pub fn element(&self) -> String {
        let (encoding, format) = self.encoding();
        let mut attributes = vec![
            format!("name=\"{}\"", self.name),
            format!("bitsize=\"{}\"", 8 * self.reg.size()),
            format!("type=\"{}\"", self.kind),
            format!("regnum=\"{}\"", self.reg.number()),
            format!("group=\"{}\"", self.group()),
            format!("offset=\"{}\"", self.offset()),
            format!("encoding=\"{encoding}\" format=\"{format}\""),
        ];
        attributes.extend(self.alias.map(|alias| format!("altname=\"{alias}\"")));
        attributes.extend(self.generic.as_ref().map(|generic| format!("generic=\"{generic}\"")));
        let dwarf = |number| format!("dwarf_regnum=\"{number}\" ehframe_regnum=\"{number}\"");
        attributes.extend(self.dwarf.map(dwarf));
        format!("<reg {}/>\n", attributes.join(" "))
    }

    /// Its fields in a `qRegisterInfo` reply.
    pub fn fields(&self) -> String {
        let (encoding, format) = self.encoding();
        let set = match self.group() {
            "general" => "General Purpose Registers",
            _ => "Floating Point Registers",
        };
        let mut fields = vec![format!("name:{};", self.name)];
        fields.extend(self.alias.map(|alias| format!("alt-name:{alias};")));
        fields.push(format!("bitsize:{};offset:{};", 8 * self.reg.size(), self.offset()));
        fields.push(format!("encoding:{encoding};format:{format};set:{set};"));
        fields.extend(self.dwarf.map(|dwarf| format!("ehframe:{dwarf};dwarf:{dwarf};")));
        fields.extend(self.generic.as_ref().map(|generic| format!("generic:{generic};")));
        fields.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_xml_has_all_that_lldb_would_guess() {
        assert_eq!(
            RegisterInfo::of(Register::X(0)).element(),
            "<reg name=\"x0\" bitsize=\"64\" type=\"int64\" regnum=\"0\" group=\"general\" \
             offset=\"0\" encoding=\"uint\" format=\"hex\" generic=\"arg1\" dwarf_regnum=\"0\" \
             ehframe_regnum=\"0\"/>\n"
        );
        assert_eq!(
            RegisterInfo::of(Register::V(31)).element(),
            "<reg name=\"v31\" bitsize=\"128\" type=\"vector\" regnum=\"65\" group=\"vector\" \
             offset=\"764\" encoding=\"vector\" format=\"vector-uint8\" dwarf_regnum=\"95\" \
             ehframe_regnum=\"95\"/>\n"
        );
    }

    #[test]
    fn register_info_packets_say_the_same() {
        assert_eq!(
            RegisterInfo::of(Register::X(30)).fields(),
            "name:x30;alt-name:lr;bitsize:64;offset:240;encoding:uint;format:hex;\
             set:General Purpose Registers;ehframe:30;dwarf:30;generic:ra;"
        );
        assert_eq!(
            RegisterInfo::of(Register::Fpcr).fields(),
            "name:fpcr;bitsize:32;offset:784;encoding:uint;format:hex;\
             set:Floating Point Registers;"
        );
    }
}
