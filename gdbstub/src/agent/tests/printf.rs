//! What formats print.

use crate::agent::Fault;
use crate::agent::tests::machine::{FakeMachine, minus, printf, run};

fn push(value: u64) -> Vec<u8> {
    [&[0x25], &value.to_be_bytes()[..]].concat()
}

fn try_print(format: &str, args: &[u64], mut machine: FakeMachine) -> Result<String, Fault> {
    let pushes: Vec<u8> = args.iter().rev().flat_map(|value| push(*value)).collect();
    run(&printf(&pushes, u8::try_from(args.len()).unwrap(), format), &mut machine)?;
    Ok(machine.printed)
}

fn print(format: &str, args: &[u64]) -> String {
    try_print(format, args, FakeMachine::default()).unwrap()
}

/// Prints `text`, behind which memory ends, as it does only at the end of a page.
fn print_string(format: &str, text: &[u8]) -> String {
    let addr = 0x10000 - text.len() as u64;
    try_print(format, &[addr], FakeMachine::default().with_memory(addr, text)).unwrap()
}

#[test]
fn text_has_its_escapes_undone() {
    assert_eq!(print(r#"\a\b\e\f\n\r\t\v\\\"\'"#, &[]), "\x07\x08\x1b\x0c\n\r\t\x0b\\\"'");
    assert_eq!(print(r"\101\12\1013\1x", &[]), "A\nA3\x01x");
    assert_eq!(print("100%% größer", &[]), "100% größer");
    assert_eq!(print("", &[]), "");
}

#[test]
fn the_first_argument_is_the_one_on_top() {
    assert_eq!(print("%d %d %d", &[1, 2, 3]), "1 2 3");
}

#[test]
fn integers_are_as_wide_as_c_has_them() {
    let value = 0xffff_ffff_8081_82f3;

    assert_eq!(print("%d %i", &[value, value]), "-2138995981 -2138995981");
    assert_eq!(print("%u %x %X %o", &[value; 4]), "2155971315 808182f3 808182F3 20040301363");
    assert_eq!(print("%hhd %hhu %hhx", &[value; 3]), "-13 243 f3");
    assert_eq!(print("%hd %hu %hx", &[value; 3]), "-32013 33523 82f3");
    for length in ["l", "ll", "j", "z", "t"] {
        let format = format!("%{length}d %{length}x");
        assert_eq!(print(&format, &[value; 2]), "-2138995981 ffffffff808182f3");
    }
    assert_eq!(print("%ld", &[1 << 63]), "-9223372036854775808");
}

#[test]
fn widths_and_flags() {
    assert_eq!(print("[%5d] [%-5d] [%05d]", &[42; 3]), "[   42] [42   ] [00042]");
    assert_eq!(print("[%+d] [% d] [%+ d]", &[42; 3]), "[+42] [ 42] [+42]");
    assert_eq!(print("[%05d] [%+05d] [%-05d]", &[minus(42), 42, 42]), "[-0042] [+0042] [42   ]");
    assert_eq!(print("[%#x] [%#X] [%#o] [%#08x]", &[255; 4]), "[0xff] [0XFF] [0377] [0x0000ff]");
    assert_eq!(print("[%#x] [%#o]", &[0, 0]), "[0] [0]");
    assert_eq!(print("[%1d]", &[12345]), "[12345]");
    assert_eq!(print("%4096d", &[1]).len(), 4096);
}

#[test]
fn precisions_of_integers_are_digits() {
    assert_eq!(print("[%.4d] [%8.4d] [%08.4d]", &[42; 3]), "[0042] [    0042] [    0042]");
    assert_eq!(print("[%.3d] [%#.4x]", &[minus(7), 7]), "[-007] [0x0007]");
    assert_eq!(print("[%.0d] [%.d] [%.0d]", &[0, 0, 1]), "[] [] [1]");
}

#[test]
fn characters() {
    assert_eq!(print("[%c] [%3c] [%-3c]", &[0x141, 0x42, 0x43]), "[A] [  B] [C  ]");
    // A character in several bytes, and half of one.
    assert_eq!(print("%c%c %c", &[0xc3, 0xb6, 0xc3]), "ö \u{fffd}");
}

#[test]
fn pointers() {
    assert_eq!(print("%p", &[0xffff_8000_1234_5678]), "0xffff800012345678");
    assert_eq!(print("[%p] [%8p] [%-8p]", &[0, 0, 0x12]), "[(nil)] [   (nil)] [0x12    ]");
}

#[test]
fn strings_end_at_their_nul() {
    assert_eq!(print_string("[%s]", b"init\0junk"), "[init]");
    assert_eq!(print_string("[%s]", b"\0"), "[]");
    assert_eq!(print_string("[%8s]", b"init\0"), "[    init]");
    assert_eq!(print_string("[%-8s]", b"init\0"), "[init    ]");
}

#[test]
fn strings_are_read_no_further_than_their_precision() {
    assert_eq!(print_string("[%.4s]", b"task"), "[task]");
    assert_eq!(print_string("[%.9s]", b"task\0"), "[task]");
    assert_eq!(print_string("[%.0s]", b""), "[]");
}

#[test]
fn strings_end_where_memory_does() {
    let page_end = [b"x".repeat(0x40), b"end\0".to_vec()].concat();
    let machine = FakeMachine::default().with_memory(0x1ffc - 0x40, &page_end);

    assert_eq!(try_print("%s", &[0x1ffc], machine), Ok("end".to_owned()));
}

#[test]
fn strings_of_other_bytes_than_utf8_are_printed_as_well_as_can_be() {
    assert_eq!(print_string("%s", b"caf\xc3\xa9 \xff\0"), "café \u{fffd}");
}

#[test]
fn strings_are_cut_at_4096_bytes() {
    let text = print_string("%s", &b"a".repeat(5000));

    assert_eq!(text, "a".repeat(4096) + "...");
    assert_eq!(print_string("%s", &[&b"a".repeat(4095)[..], b"\0"].concat()), "a".repeat(4095));
}

#[test]
fn a_string_at_0_is_null() {
    assert_eq!(print("[%s] [%8s]", &[0, 0]), "[(null)] [  (null)]");
}

#[test]
fn a_string_that_cannot_be_read_fails_and_nothing_is_printed() {
    let mut machine = FakeMachine::default().with_memory(0x1000, &b"a".repeat(64));
    let code = printf(&push(0x1000), 1, "before %s");

    assert_eq!(run(&code, &mut machine), Err(Fault::NoMemory { addr: 0x1040 }));
    assert_eq!(machine.printed, "");
    // The last byte of the address space is there, the next one is not.
    let machine = FakeMachine::default().with_memory(u64::MAX, b"z");
    assert_eq!(try_print("%s", &[u64::MAX], machine), Err(Fault::NoMemory { addr: 0 }));
}
