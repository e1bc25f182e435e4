//! The target description (GDB manual, Target Descriptions, and AArch64 Features): the registers
//! of [`Registers`](crate::Registers) in their order, which alone gives them their numbers.
//!
//! The types are ours; GDB goes by the names of features and registers. Names within types are
//! those a GDB without a description has, so that `$v0.d.u[1]` and `$cpsr` work as people know
//! them.

use std::sync::LazyLock;

use crate::aarch64::Register;
use crate::register_info::RegisterInfo;

/// `target.xml`, the only annex.
pub static TARGET_XML: LazyLock<String> = LazyLock::new(|| {
    let (core, fpu): (Vec<_>, Vec<_>) = Register::all()
        .partition(|reg| !matches!(reg, Register::V(_) | Register::Fpsr | Register::Fpcr));
    let elements = |regs: Vec<Register>| {
        regs.into_iter().map(|reg| RegisterInfo::of(reg).element()).collect::<String>()
    };
    format!(
        r#"<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target version="1.0">
<architecture>aarch64</architecture>
<feature name="org.gnu.gdb.aarch64.core">
{PSTATE}{}</feature>
<feature name="org.gnu.gdb.aarch64.fpu">
{VECTOR}{}</feature>
</target>
"#,
        elements(core),
        elements(fpu),
    )
});

/// SPSR_EL1 (Arm ARM, C5.2, from AArch64 state). Bits without a name are not shown.
const PSTATE: &str = r#"<flags id="pstate" size="4">
<field name="SP" start="0" end="0"/>
<field name="EL" start="2" end="3"/>
<field name="nRW" start="4" end="4"/>
<field name="F" start="6" end="6"/>
<field name="I" start="7" end="7"/>
<field name="A" start="8" end="8"/>
<field name="D" start="9" end="9"/>
<field name="BTYPE" start="10" end="11"/>
<field name="SSBS" start="12" end="12"/>
<field name="ALLINT" start="13" end="13"/>
<field name="IL" start="20" end="20"/>
<field name="SS" start="21" end="21"/>
<field name="PAN" start="22" end="22"/>
<field name="UAO" start="23" end="23"/>
<field name="DIT" start="24" end="24"/>
<field name="TCO" start="25" end="25"/>
<field name="V" start="28" end="28"/>
<field name="C" start="29" end="29"/>
<field name="Z" start="30" end="30"/>
<field name="N" start="31" end="31"/>
</flags>
"#;

/// A vector register as every kind of lane.
const VECTOR: &str = r#"<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v2u" type="uint64" count="2"/>
<vector id="v2i" type="int64" count="2"/>
<union id="vnd">
<field name="f" type="v2d"/><field name="u" type="v2u"/><field name="s" type="v2i"/>
</union>
<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v4u" type="uint32" count="4"/>
<vector id="v4i" type="int32" count="4"/>
<union id="vns">
<field name="f" type="v4f"/><field name="u" type="v4u"/><field name="s" type="v4i"/>
</union>
<vector id="v8bf" type="bfloat16" count="8"/>
<vector id="v8f" type="ieee_half" count="8"/>
<vector id="v8u" type="uint16" count="8"/>
<vector id="v8i" type="int16" count="8"/>
<union id="vnh">
<field name="bf" type="v8bf"/><field name="f" type="v8f"/>
<field name="u" type="v8u"/><field name="s" type="v8i"/>
</union>
<vector id="v16u" type="uint8" count="16"/>
<vector id="v16i" type="int8" count="16"/>
<union id="vnb">
<field name="u" type="v16u"/><field name="s" type="v16i"/>
</union>
<vector id="v1u" type="uint128" count="1"/>
<vector id="v1i" type="int128" count="1"/>
<union id="vnq">
<field name="u" type="v1u"/><field name="s" type="v1i"/>
</union>
<union id="vector">
<field name="d" type="vnd"/><field name="s" type="vns"/><field name="h" type="vnh"/>
<field name="b" type="vnb"/><field name="q" type="vnq"/>
</union>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of an attribute, in document order.
    fn attributes<'a>(element: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
        TARGET_XML
            .split('<')
            .filter(move |text| text.starts_with(element))
            .filter_map(move |text| text.split(&format!(" {name}=\"")).nth(1)?.split('"').next())
    }

    #[test]
    fn registers_stand_in_the_order_of_their_numbers() {
        let names: Vec<_> = attributes("reg ", "name").collect();

        assert_eq!(names.len(), 68);
        assert_eq!(names[0], "x0");
        assert_eq!(names[30..36], ["x30", "sp", "pc", "cpsr", "v0", "v1"]);
        assert_eq!(names[65..], ["v31", "fpsr", "fpcr"]);
    }

    #[test]
    fn registers_fill_a_g_packet() {
        let bits: usize =
            attributes("reg ", "bitsize").map(|bits| bits.parse::<usize>().unwrap()).sum();

        assert_eq!(bits, crate::Registers::SIZE * 8);
    }

    #[test]
    fn cpsr_is_in_the_core_feature_and_v0_is_not() {
        let fpu = TARGET_XML.find("org.gnu.gdb.aarch64.fpu").unwrap();

        assert!(TARGET_XML.find("\"cpsr\"").unwrap() < fpu);
        assert!(TARGET_XML.find("\"v0\"").unwrap() > fpu);
    }

    #[test]
    fn every_type_of_our_own_is_defined_before_its_use() {
        const BUILT_IN: [&str; 16] = [
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "uint128",
            "int8",
            "int16",
            "int32",
            "int64",
            "int128",
            "ieee_half",
            "ieee_single",
            "ieee_double",
            "bfloat16",
            "data_ptr",
            "code_ptr",
        ];
        for (at, _) in TARGET_XML.match_indices(" type=\"") {
            let name = TARGET_XML[at + 7..].split('"').next().unwrap();
            let defined = TARGET_XML[..at].contains(&format!("id=\"{name}\""));
            assert!(BUILT_IN.contains(&name) || defined, "{name}");
        }
    }
}
