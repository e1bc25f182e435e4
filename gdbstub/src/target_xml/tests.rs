use super::*;
use crate::description::{Contents, SystemRegister};

const SCTLR: [Field; 2] = [
    Field { name: "M", first: 0, last: 0, values: &[] },
    Field { name: "EC", first: 26, last: 31, values: &[(0x15, "SVC64"), (0x3c, "BRK")] },
];

fn contents(vector_length: Option<usize>) -> Contents {
    let system = |name: &str, kind| SystemRegister { name: name.to_owned(), kind };
    let sctlr = || SystemKind::Flags { id: "sctlr", fields: SCTLR.to_vec() };
    Contents {
        vector_length,
        has_pauth: true,
        has_tpidr2: true,
        system: vec![
            system("SCTLR_EL1", sctlr()),
            system("SCTLR2_EL1", sctlr()),
            system("VBAR_EL1", SystemKind::Code),
        ],
    }
}

fn xml(vector_length: Option<usize>, is_lldb: bool) -> String {
    Description::new(contents(vector_length)).xml(is_lldb).to_owned()
}

/// The values of an attribute, in document order.
fn attributes<'a>(xml: &'a str, element: &'a str, name: &'a str) -> Vec<&'a str> {
    let elements = xml.split('<').filter(move |text| text.starts_with(element));
    elements
        .filter_map(|text| text.split(&format!(" {name}=\"")).nth(1)?.split('"').next())
        .collect()
}

#[test]
fn registers_stand_in_the_order_of_their_numbers() {
    let xml = xml(None, false);
    let names = attributes(&xml, "reg ", "name");

    assert_eq!(names[0], "x0");
    assert_eq!(names[30..36], ["x30", "sp", "pc", "cpsr", "v0", "v1"]);
    assert_eq!(names[65..68], ["v31", "fpsr", "fpcr"]);
    assert_eq!(
        names[68..72],
        ["pauth_dmask", "pauth_cmask", "pauth_dmask_high", "pauth_cmask_high"]
    );
    assert_eq!(names[72..], ["tpidr", "tpidr2", "SCTLR_EL1", "SCTLR2_EL1", "VBAR_EL1"]);
}

#[test]
fn there_is_fpu_or_sve_and_never_both() {
    let (fpu, sve) = (xml(None, false), xml(Some(32), false));

    let core = "org.gnu.gdb.aarch64.core";
    let rest =
        ["org.gnu.gdb.aarch64.pauth_v2", "org.gnu.gdb.aarch64.tls", "org.qemu.gdb.arm.sys.regs"];
    let all = |floating| [core, floating].into_iter().chain(rest).collect::<Vec<_>>();
    assert_eq!(attributes(&fpu, "feature ", "name"), all("org.gnu.gdb.aarch64.fpu"));
    assert_eq!(attributes(&sve, "feature ", "name"), all("org.gnu.gdb.aarch64.sve"));
    let names = attributes(&sve, "reg ", "name");
    assert_eq!(names[34..36], ["z0", "z1"]);
    assert_eq!(names[65..68], ["z31", "p0", "p1"]);
    assert_eq!(names[81..87], ["p15", "ffr", "fpsr", "fpcr", "vg", "pauth_dmask"]);
    assert!(sve.contains("<vector id=\"svevqu\" type=\"uint128\" count=\"2\"/>"));
    assert!(sve.contains("<vector id=\"svep\" type=\"uint8\" count=\"4\"/>"));
}

#[test]
fn lldb_is_told_of_v_registers_behind_the_others() {
    let (gdb, lldb) = (xml(Some(64), false), xml(Some(64), true));

    assert!(!gdb.contains("\"v0\""));
    let (names, lldbs) = (attributes(&gdb, "reg ", "name"), attributes(&lldb, "reg ", "name"));
    assert_eq!(lldbs[..names.len()], names);
    assert_eq!(lldbs.len(), names.len() + 32);
    assert_eq!(lldbs[names.len()], "v0");
    assert_eq!(xml(None, true), xml(None, false));
}

#[test]
fn fields_and_their_values_have_names() {
    let xml = xml(None, false);

    assert_eq!(xml.matches("<flags id=\"sctlr\" size=\"8\">").count(), 1);
    assert!(xml.contains("<evalue name=\"BRK\" value=\"60\"/>"));
    assert!(xml.contains("<field name=\"EC\" start=\"26\" end=\"31\" type=\"sctlr_EC\"/>"));
    assert!(
        xml.contains(
            "<flags id=\"pstate\" size=\"4\">\n<field name=\"SP\" start=\"0\" end=\"0\"/>"
        )
    );
}

#[test]
fn every_type_of_our_own_is_defined_once_and_before_its_use() {
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
    for xml in [xml(None, false), xml(Some(256), false), xml(Some(256), true)] {
        for (at, _) in xml.match_indices(" type=\"") {
            let name = xml[at + 7..].split('"').next().unwrap();
            let defined = xml[..at].matches(&format!("id=\"{name}\"")).count() == 1;
            assert!(BUILT_IN.contains(&name) || defined, "{name}");
        }
    }
}
