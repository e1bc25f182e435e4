//! `dprintf work,...` with `set dprintf-style agent`.

use super::*;
use crate::agent::tests::machine::minus;

fn prints(text: &str, mut machine: FakeMachine) -> String {
    assert_eq!(agent(text).on_hit(&mut machine), Verdict::Pass);
    machine.printed
}

/// dprintf work,"y=%d s=%s %lx %c %5u %%\n", y, str, flags, c, n
#[test]
fn a_dprintf_of_every_kind_of_value() {
    let text = ";cmds:1,X3e,2600032a202600022a0824004200381a24004200401a2600011640220022003405001a793d256420733d257320256c78202563202535752025255c6e0027";
    let machine = machine()
        .with_register(X1_Y, minus(7))
        .with_register(X2_C, 0xff41)
        .with_register(X3_N, 42)
        .with_long(FLAGS, 0xffff_0000_dead_beef)
        .with_long(STR, 0x7000)
        .with_memory(0x7000, &[&b"init\0"[..], &[0; 59]].concat());

    assert_eq!(prints(text, machine), "y=-7 s=init ffff0000deadbeef A    42 %\n");
}

/// dprintf work,"hello\t\"quoted\" \\ \a\n"
#[test]
fn a_dprintf_of_text_has_its_escapes_as_typed() {
    let text = ";cmds:1,X23,220022003400001a68656c6c6f5c745c2271756f7465645c22205c5c205c615c6e0027";

    assert_eq!(prints(text, machine()), "hello\t\"quoted\" \\ \x07\n");
}

/// set disconnected-dprintf off
/// dprintf work,"%ld %lld %zu %p %i %#o %X\n", y, y, y, m, x, n, n
#[test]
fn a_dprintf_of_long_values() {
    let text = ";cmds:0,X4b,2600032a202600032a2024004200001916202600002a40260001164026000116402600011640220022003407001c256c6420256c6c6420257a752025702025692025236f2025585c6e0027";
    let machine = machine()
        .with_register(X0_M, 0xffff_8000_0000_5000)
        .with_register(X1_Y, minus(2))
        .with_register(X3_N, 0xbeef)
        .with_int(X, -3);

    assert_eq!(
        prints(text, machine),
        "-2 -2 18446744073709551614 0xffff800000005000 -3 0137357 BEEF\n"
    );
}

/// dprintf work,"%.3s %5.2x % d\n", str, n, x
#[test]
fn a_dprintf_with_widths_and_precisions() {
    let text = ";cmds:0,X2d,24004200001916202600032a2024004200401a2200220034030011252e33732025352e3278202520645c6e0027";
    let machine = machine()
        .with_register(X3_N, 7)
        .with_int(X, 8)
        .with_long(STR, 0x7000)
        .with_memory(0x7000, b"kwo");

    assert_eq!(prints(text, machine), "kwo    07  8\n");
}

/// dprintf work,"%s\n", &name[0]
#[test]
fn a_dprintf_of_an_array() {
    let text = ";cmds:1,X18,24004200482200022a40220022003401000525735c6e0027";
    // With what stands behind it in memory.
    let name = [&b"kworker/0:1"[..], &[0; 45]].concat();

    assert_eq!(prints(text, machine().with_memory(NAME, &name)), "kworker/0:1\n");
}

/// dprintf work,"s.a %d, m->count %lu\n", s.a, m->count
#[test]
fn a_dprintf_of_members() {
    let text = ";cmds:0,X31,2600002a402218021a240041fff01816102200220034020017732e612025642c206d2d3e636f756e7420256c755c6e0027";
    let machine = machine()
        .with_register(X0_M, 0x5000)
        .with_long(0x5018, 9)
        .with_memory(S_A, &(-300_i16).to_le_bytes());

    assert_eq!(prints(text, machine), "s.a -300, m->count 9\n");
}

/// dprintf work,"A%d\n", x; dprintf work,"B%d\n", n
#[test]
fn two_dprintfs_at_one_address() {
    let text = ";cmds:1,X17,240042000019162022002200340100064125645c6e0027X14,2600032a2022002200340100064225645c6e0027";

    assert_eq!(prints(text, machine().with_int(X, 1).with_register(X3_N, 2)), "A1\nB2\n");
}

/// dprintf work,"x is %d\n", x; condition $bpnum x > 1
#[test]
fn a_dprintf_with_a_condition() {
    let text = ";Xd,240042000019162022012b1427;cmds:1,X1b,2400420000191620220022003401000a782069732025645c6e0027";

    assert_eq!(prints(text, machine().with_int(X, 1)), "");
    assert_eq!(prints(text, machine().with_int(X, 2)), "x is 2\n");
}

/// dprintf work,"%f\n", 1.5: GDB pushes 1
#[test]
fn a_dprintf_of_floating_point_is_refused() {
    let bad = Agent::parse(b";cmds:1,X10,2201220022003401000525665c6e0027").unwrap().unwrap_err();

    assert!(bad.to_string().starts_with("printf at 0x6: conversion %f in the format"), "{bad}");
}
