//! `break work if ...`.

use super::*;

fn stops(text: &str, mut machine: FakeMachine) -> bool {
    match agent(text).on_hit(&mut machine) {
        Verdict::Stop => true,
        Verdict::Pass => false,
        Verdict::Failed(failure) => panic!("{failure}"),
    }
}

/// m->count == 0x1234
#[test]
fn a_member_behind_a_pointer_in_a_register() {
    let text = ";X10,2600002a402218021a2312342a401327";
    let count = |value| machine().with_register(X0_M, 0x5000).with_long(0x5018, value);

    assert!(stops(text, count(0x1234)));
    assert!(!stops(text, count(0x1235)));
    let null = agent(text).on_hit(&mut machine().with_register(X0_M, 0));
    let Verdict::Failed(failure) = null else { panic!("{null:?}") };
    assert_eq!(failure.to_string(), "condition failed: no memory at 0x18");
}

/// m->count == 0x1234, the program compiled without optimization
#[test]
fn a_member_behind_a_pointer_on_the_stack() {
    let text = ";X17,26001f22200222f81608021a2218021a2312342a401327";
    let count = |value| {
        machine().with_register(SP, 0x8000).with_long(0x8018, 0x5000).with_long(0x5018, value)
    };

    assert!(stops(text, count(0x1234)));
    assert!(!stops(text, count(0x1235)));
}

/// $x0 == 5
#[test]
fn a_register() {
    let text = ";X9,260000164022051327";

    assert!(stops(text, machine().with_register(X0_M, 5)));
    assert!(!stops(text, machine().with_register(X0_M, 6)));
}

/// $sp > 0x1000 && $cpsr == 0x3c5
#[test]
fn registers_by_the_numbers_of_the_target_description() {
    let text =
        ";X27,26001f2a402310002b1520001021002426002116202303c51320001f2100242201210026220027";
    let registers = |sp, cpsr| machine().with_register(SP, sp).with_register(CPSR, cpsr);

    assert!(stops(text, registers(0x1001, 0x3c5)));
    assert!(!stops(text, registers(0x1000, 0x3c5)));
    assert!(!stops(text, registers(0x1001, 0x3c4)));
}

/// (int) y < -1
#[test]
fn a_cast_to_a_narrower_signed_type() {
    let text = ";Xd,2600011640162022ff16081427";

    assert!(stops(text, machine().with_register(X1_Y, 0xffff_fffe)));
    assert!(!stops(text, machine().with_register(X1_Y, 0xffff_ffff)));
    assert!(!stops(text, machine().with_register(X1_Y, 0xffff_fffe_0000_0000)));
}

/// x > 3 && s.c != 97
#[test]
fn globals_and_logical_and() {
    let text = ";X2d,240042000019162022032b1420001221002a240041fff0220202172261130e20002521002a220121002c220027";
    let globals = |x, c| machine().with_int(X, x).with_memory(S_C, &[c]);

    assert!(stops(text, globals(4, b'b')));
    assert!(!stops(text, globals(4, b'a')));
    assert!(!stops(text, globals(3, b'b')));
    // What is on the right of a false left side is not even looked at.
    assert!(!stops(text, machine().with_int(X, -1)));
}

/// n % 8 == 3 || arr[n] / 2 > x
#[test]
fn arithmetic_and_logical_or() {
    let text = ";X41,2600032a2022082a20082a2022032a201320003e24004200182600032a20220404022a40191620220205162024004200001916202b1420003e2200210040220127";
    let at = |n, value, x| {
        let addr = ARR + 4 * n;
        machine().with_register(X3_N, n).with_int(addr, value).with_int(X, x)
    };

    assert!(stops(text, machine().with_register(X3_N, 11)));
    assert!(stops(text, at(4, 20, 9)));
    assert!(!stops(text, at(4, 20, 10)));
    assert!(stops(text, at(5, -20, -11)));
}

/// !(flags & (1UL << 40)) && flags >> 3 == ~big
#[test]
fn bits_of_a_long() {
    let text = ";X3c,24004200381a2500000100000000000f0e20001721003924004200381a22032a400b2a4024004200101a122a4013200034210039220121003b220027";
    let globals = |flags, big| machine().with_long(FLAGS, flags).with_long(BIG, big);

    assert!(stops(text, globals(0x88, !0x11)));
    assert!(!stops(text, globals(0x88, 0x11)));
    assert!(!stops(text, globals(1 << 40, !(1 << 37))));
}

/// s.bits == 5 || s.sbits < 0
#[test]
fn bit_fields() {
    let text = ";X2f,240041fff0220302172a0322052a201320002c240041fff02203021722030b160522001420002c220021002e220127";
    let byte = |value| machine().with_memory(S_BITS, &[value]);

    assert!(stops(text, byte(bits(0b00111, 0b101))));
    assert!(stops(text, byte(bits(0b10000, 0b000))));
    assert!(!stops(text, byte(bits(0b01111, 0b100))));
}

/// m->in->a * 3 - 1 >= 300
#[test]
fn a_short_behind_two_pointers() {
    let text = ";X1c,2600002a402220021a1816102203041620220103162023012c140e27";
    let a = |value: i16| {
        machine()
            .with_register(X0_M, 0x5000)
            .with_long(0x5020, 0x6000)
            .with_memory(0x6000, &value.to_le_bytes())
    };

    assert!(stops(text, a(101)));
    assert!(!stops(text, a(100)));
    assert!(!stops(text, a(-101)));
}

/// (x ? y : c) == 1
#[test]
fn the_conditional_operator() {
    let text = ";X1d,24004200001916200e20001426000116402100192600022a0822011327";
    let state = |x, y, c| machine().with_int(X, x).with_register(X1_Y, y).with_register(X2_C, c);

    assert!(stops(text, state(7, 1, 0)));
    assert!(!stops(text, state(0, 1, 0)));
    assert!(stops(text, state(0, 0, 0x701)));
}

/// big == 0x123456789abcdef0
#[test]
fn a_constant_of_64_bits() {
    let text = ";X13,24004200101a25123456789abcdef02a401327";

    assert!(stops(text, machine().with_long(BIG, 0x1234_5678_9abc_def0)));
    assert!(!stops(text, machine().with_long(BIG, 0x1234_5678_9abc_def1)));
}

/// *(unsigned char *) (y + 3) ^ byte | 1
#[test]
fn a_cast_to_a_pointer() {
    let text = ";X16,2600011640220302164017240041ffe8171122011027";
    let bytes = machine().with_register(X1_Y, 0x5000).with_memory(0x5003, &[1]);

    assert!(stops(text, bytes.with_memory(BYTE, &[1])));
}

/// big % 10 < 5 && big / 3 > 1 && -x <= 4
#[test]
fn division_and_negation() {
    let text = ";X5e,24004200101a220a2a40082a4022052a401520001821003624004200101a22032a40062a4022012a402b152000312100362201210038220020003e21005b2200240042000019162003162022042b140e20005621005b220121005d220027";
    let globals = |big, x| machine().with_long(BIG, big).with_int(X, x);

    assert!(stops(text, globals(14, -4)));
    assert!(!stops(text, globals(14, -5)));
    assert!(!stops(text, globals(15, 0)));
    assert!(!stops(text, globals(3, 0)));
}

/// flags >> 40 & 1
#[test]
fn a_value_that_is_no_comparison() {
    let text = ";X13,24004200381a22282a400b2a4022012a400f27";

    assert!(stops(text, machine().with_long(FLAGS, 3 << 40)));
    assert!(!stops(text, machine().with_long(FLAGS, 2 << 40)));
}

/// c == str[0] && sizeof(x) == 4
#[test]
fn a_character_of_a_string() {
    let text = ";X2b,2600022a0824004200401a2200022a4017132000182100282204220413200023210028220121002a220027";
    let c = machine().with_register(X2_C, u64::from(b'i')).with_long(STR, 0x7000);

    assert!(stops(text, c.clone().with_memory(0x7000, b"init")));
    assert!(!stops(text, c.with_memory(0x7000, b"exit")));
}

/// x == 1, x == 2: two breakpoints at one address, a report for either
#[test]
fn conditions_of_two_breakpoints() {
    let text = ";Xc,240042000019162022011327Xc,240042000019162022021327";

    assert!(stops(text, machine().with_int(X, 1)));
    assert!(stops(text, machine().with_int(X, 2)));
    assert!(!stops(text, machine().with_int(X, 3)));
}

/// $tv == 1, after `tvariable $tv`
#[test]
fn a_trace_state_variable_is_not_there() {
    let verdict = agent(";X7,2c000122011327").on_hit(&mut machine());

    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    let expected = "condition failed: no trace state variable 0x1: there are none";
    assert_eq!(failure.to_string(), expected);
}

/// arr[2] != 0 && gm && gm->in->sbits == -3
#[test]
fn a_signed_bit_field_behind_two_pointers() {
    let text = ";X59,24004200182202220404022a401916202200130e20001a21002b24004200081a20002621002b220121002d220020003321005624004200081a2220021a2203021722030b160522fd1608132000512100562201210058220027";
    let sbits = |value| {
        machine()
            .with_int(ARR + 8, 1)
            .with_long(GM, 0x5000)
            .with_long(0x5020, 0x6000)
            .with_memory(0x6003, &[value])
    };

    assert!(stops(text, sbits(bits(0b11101, 0b000))));
    assert!(!stops(text, sbits(bits(0b00011, 0b111))));
    assert!(!stops(text, machine().with_int(ARR + 8, 1).with_long(GM, 0)));
}
