//! Bytes that are no expression, and the words that say so.

use crate::agent::Expression;
use crate::agent::tests::machine::printf;

fn refused(code: &[u8]) -> String {
    Expression::new(code).unwrap_err().to_string()
}

#[test]
fn there_must_be_some() {
    assert_eq!(refused(&[]), "no bytecode in the expression");
}

#[test]
fn there_must_not_be_more_than_4096() {
    let code = |pushes| [&[0x22, 1].repeat(pushes)[..], &[0x27, 0x27]].concat();

    assert!(Expression::new(&code(2047)).is_ok());
    assert_eq!(refused(&code(2048)), "4098 bytes of bytecode, expected at most 4096");
}

#[test]
fn opcodes_must_exist() {
    for opcode in [0x00, 0x31].into_iter().chain(0x35..=0xff) {
        let expected = format!("unknown bytecode {opcode:#04x} at 0x2");
        assert_eq!(refused(&[0x22, 1, opcode, 0x27]), expected);
    }
}

#[test]
fn opcodes_must_not_be_of_floating_point() {
    for opcode in [0x01, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f] {
        let expected = format!("floating-point bytecode {opcode:#04x} at 0x2, expected integers");
        assert_eq!(refused(&[0x22, 1, opcode, 0x27]), expected);
    }
}

#[test]
fn operands_must_be_complete() {
    let operands = [
        (0x0d, 1),
        (0x16, 1),
        (0x20, 2),
        (0x21, 2),
        (0x22, 1),
        (0x23, 2),
        (0x24, 4),
        (0x25, 8),
        (0x26, 2),
        (0x2a, 1),
        (0x2c, 2),
        (0x2d, 2),
        (0x2e, 2),
        (0x30, 2),
        (0x32, 1),
        (0x34, 3),
    ];
    for (opcode, size) in operands {
        for have in 0..size {
            let code = [&[opcode][..], &vec![0; have]].concat();
            let expected =
                format!("bytecode {opcode:#04x} at 0x0 is cut off, expected its operands");
            assert_eq!(refused(&code), expected);
        }
    }
    assert_eq!(
        refused(&[0x34, 0, 0, 5, b'a', b'b', 0, 0x27]),
        "bytecode 0x34 at 0x0 is cut off, expected its operands"
    );
}

#[test]
fn jumps_must_lead_to_an_instruction() {
    for opcode in [0x20, 0x21] {
        let code = |target| [0x22, 0x27, opcode, 0, target, 0x27];
        for target in [0, 2, 5] {
            assert!(Expression::new(&code(target)).is_ok());
        }
        // Into operands, though one of them looks like an end, and behind the last instruction.
        for target in [1, 3, 4, 6, 7] {
            assert_eq!(
                refused(&code(target)),
                format!("jump at 0x2 to {target:#x}, expected the start of an instruction")
            );
        }
    }
}

#[test]
fn the_last_instruction_must_be_one_that_nothing_follows() {
    for code in [&[0x22, 1][..], &[0x27, 0x29], &[0x22, 1, 0x20, 0, 0], &[0x22, 0x27]] {
        assert_eq!(refused(code), "bytecode without an end (0x27) as its last instruction");
    }
    assert!(Expression::new(&[0x21, 0, 3, 0x21, 0, 0]).is_ok());
}

#[test]
fn formats_must_end_in_their_only_nul() {
    for code in [
        &[0x34, 0, 0, 0, 0x27][..],
        &[0x34, 0, 0, 2, b'a', b'b', 0x27],
        &[0x34, 0, 0, 3, 0, b'a', 0, 0x27],
    ] {
        assert_eq!(refused(code), "printf at 0x0: expected one NUL, at the end of the format");
    }
}

#[test]
fn formats_must_convert_what_is_there() {
    assert_eq!(
        refused(&printf(&[], 1, "%d %d")),
        "printf at 0x4: expected 2 arguments for the format, found 1"
    );
    assert_eq!(
        refused(&printf(&[], 1, "100%%")),
        "printf at 0x4: expected 0 arguments for the format, found 1"
    );
}

#[test]
fn formats_must_not_have_conversions_that_cannot_be_done() {
    for (format, spec) in [
        ("a %f", "%f"),
        ("%5.2lf!", "%5.2lf"),
        ("%La", "%L"),
        ("%n", "%n"),
        ("%*d", "%*"),
        ("%.*s", "%.*"),
        ("%ls", "%ls"),
        ("%lc", "%lc"),
        ("%lp", "%lp"),
        ("%1$d", "%1$"),
        ("%'d", "%\\'"),
        ("%4097d", "%4097"),
        ("%.99999999999999999999d", "%.9999"),
        ("%", "%"),
        ("%-0", "%-0"),
        ("%5%", "%5%"),
    ] {
        let text = refused(&printf(&[], 1, format));
        let start = format!("printf at 0x4: conversion {spec}");
        assert!(text.starts_with(&start), "{text}");
        assert!(
            text.ends_with(
                " in the format, expected one of %d %i %o %u %x %X %c %p %s \
                 with a width and precision of at most 4096"
            ),
            "{text}"
        );
    }
}

#[test]
fn formats_must_not_have_escapes_of_no_character() {
    for (format, escape) in
        [(r"\q", r"\q"), (r"\x41", r"\x"), ("\\", r"\"), (r"\0", r"\0..."), (r"\400", r"\4...")]
    {
        assert_eq!(
            refused(&printf(&[], 0, format)),
            format!(
                "printf at 0x4: escape {escape} in the format, expected one of \
                 \\a \\b \\e \\f \\n \\r \\t \\v \\\\ \\\" \\' \\1 to \\377"
            )
        );
    }
}
