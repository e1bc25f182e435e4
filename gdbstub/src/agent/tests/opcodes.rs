//! Every bytecode of the manual, in its order of numbers. 0x22 pushes a byte, 0x25 eight of them,
//! 0x27 ends; `0x22, 0xNN, 0x16, 0x08` pushes a negative number.

use crate::agent::Fault;
use crate::agent::tests::machine::{FakeMachine, minus, run, value};

#[test]
fn add_02_wraps() {
    assert_eq!(value(&[0x22, 3, 0x22, 4, 0x02, 0x27]), Ok(Some(7)));
    assert_eq!(value(&[0x22, 3, 0x22, 0xfe, 0x16, 8, 0x02, 0x27]), Ok(Some(1)));
}

#[test]
fn sub_03_takes_the_top_away() {
    assert_eq!(value(&[0x22, 7, 0x22, 4, 0x03, 0x27]), Ok(Some(3)));
    assert_eq!(value(&[0x22, 4, 0x22, 7, 0x03, 0x27]), Ok(Some(minus(3))));
}

#[test]
fn mul_04_wraps() {
    assert_eq!(value(&[0x22, 6, 0x22, 7, 0x04, 0x27]), Ok(Some(42)));
    let two_to_63 = [0x25, 0x80, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(value(&[&two_to_63[..], &[0x22, 3, 0x04, 0x27]].concat()), Ok(Some(1 << 63)));
}

#[test]
fn div_signed_05_rounds_towards_zero() {
    assert_eq!(value(&[0x22, 0xf9, 0x16, 8, 0x22, 2, 0x05, 0x27]), Ok(Some(minus(3))));
}

#[test]
fn div_unsigned_06() {
    assert_eq!(value(&[0x22, 0xf9, 0x16, 8, 0x22, 2, 0x06, 0x27]), Ok(Some(0x7fff_ffff_ffff_fffc)));
}

#[test]
fn rem_signed_07_has_the_sign_of_the_dividend() {
    assert_eq!(value(&[0x22, 0xf9, 0x16, 8, 0x22, 4, 0x07, 0x27]), Ok(Some(minus(3))));
}

#[test]
fn rem_unsigned_08() {
    assert_eq!(value(&[0x22, 0xf9, 0x16, 8, 0x22, 4, 0x08, 0x27]), Ok(Some(1)));
}

#[test]
fn divisions_by_zero_05_to_08_fail() {
    for opcode in 0x05..=0x08 {
        assert_eq!(value(&[0x22, 1, 0x22, 0, opcode, 0x27]), Err(Fault::DivisionByZero));
    }
}

#[test]
fn the_least_number_by_minus_one_wraps() {
    let operands = [0x25, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff, 0x16, 8];

    assert_eq!(value(&[&operands[..], &[0x05, 0x27]].concat()), Ok(Some(1 << 63)));
    assert_eq!(value(&[&operands[..], &[0x07, 0x27]].concat()), Ok(Some(0)));
}

#[test]
fn lsh_09() {
    assert_eq!(value(&[0x22, 1, 0x22, 40, 0x09, 0x27]), Ok(Some(1 << 40)));
    assert_eq!(value(&[0x22, 1, 0x22, 63, 0x09, 0x27]), Ok(Some(1 << 63)));
}

#[test]
fn rsh_signed_0a_keeps_the_sign() {
    assert_eq!(value(&[0x22, 0xf0, 0x16, 8, 0x22, 2, 0x0a, 0x27]), Ok(Some(minus(4))));
}

#[test]
fn rsh_unsigned_0b_does_not() {
    assert_eq!(value(&[0x22, 0xf0, 0x16, 8, 0x22, 60, 0x0b, 0x27]), Ok(Some(0xf)));
}

/// GDB 13: `-8LL << 64` is 0, `-8LL >> 64` is -1, `8ULL >> -1` is 0, `-8LL >> -1` is -1.
#[test]
fn shifts_09_to_0b_of_64_and_more_or_less_than_0_push_everything_out() {
    for count in [[0x22, 64], [0x22, 255]] {
        let minus_8 = [0x22, 0xf8, 0x16, 8];
        let shift = |opcode| value(&[&minus_8[..], &count, &[opcode, 0x27]].concat());
        assert_eq!(shift(0x09), Ok(Some(0)));
        assert_eq!(shift(0x0a), Ok(Some(u64::MAX)));
        assert_eq!(shift(0x0b), Ok(Some(0)));
    }
    assert_eq!(value(&[0x22, 8, 0x22, 0xff, 0x16, 8, 0x0b, 0x27]), Ok(Some(0)));
    assert_eq!(value(&[0x22, 0xf8, 0x16, 8, 0x22, 0xff, 0x16, 8, 0x0a, 0x27]), Ok(Some(u64::MAX)));
    // A count whose low 32 bits are 0.
    assert_eq!(value(&[0x22, 1, 0x25, 0, 0, 0, 1, 0, 0, 0, 0, 0x09, 0x27]), Ok(Some(0)));
}

#[test]
fn trace_0c_takes_two() {
    assert_eq!(value(&[0x22, 1, 0x22, 2, 0x22, 3, 0x0c, 0x27]), Ok(Some(1)));
}

#[test]
fn trace_quick_0d_changes_nothing() {
    assert_eq!(value(&[0x22, 1, 0x0d, 8, 0x27]), Ok(Some(1)));
}

#[test]
fn log_not_0e() {
    assert_eq!(value(&[0x22, 0, 0x0e, 0x27]), Ok(Some(1)));
    assert_eq!(value(&[0x22, 7, 0x0e, 0x27]), Ok(Some(0)));
}

#[test]
fn bit_and_0f_or_10_xor_11_not_12() {
    assert_eq!(value(&[0x22, 0b1100, 0x22, 0b1010, 0x0f, 0x27]), Ok(Some(0b1000)));
    assert_eq!(value(&[0x22, 0b1100, 0x22, 0b1010, 0x10, 0x27]), Ok(Some(0b1110)));
    assert_eq!(value(&[0x22, 0b1100, 0x22, 0b1010, 0x11, 0x27]), Ok(Some(0b0110)));
    assert_eq!(value(&[0x22, 0b1100, 0x12, 0x27]), Ok(Some(!0b1100)));
}

#[test]
fn equal_13() {
    assert_eq!(value(&[0x22, 5, 0x22, 5, 0x13, 0x27]), Ok(Some(1)));
    assert_eq!(value(&[0x22, 5, 0x22, 6, 0x13, 0x27]), Ok(Some(0)));
}

#[test]
fn less_signed_14() {
    assert_eq!(value(&[0x22, 0xff, 0x16, 8, 0x22, 1, 0x14, 0x27]), Ok(Some(1)));
    assert_eq!(value(&[0x22, 1, 0x22, 1, 0x14, 0x27]), Ok(Some(0)));
}

#[test]
fn less_unsigned_15() {
    assert_eq!(value(&[0x22, 0xff, 0x16, 8, 0x22, 1, 0x15, 0x27]), Ok(Some(0)));
    assert_eq!(value(&[0x22, 0, 0x22, 1, 0x15, 0x27]), Ok(Some(1)));
}

#[test]
fn ext_16_copies_the_highest_bit_kept() {
    assert_eq!(value(&[0x23, 0x12, 0x80, 0x16, 8, 0x27]), Ok(Some(minus(128))));
    assert_eq!(value(&[0x23, 0x12, 0x7f, 0x16, 8, 0x27]), Ok(Some(0x7f)));
    assert_eq!(value(&[0x22, 1, 0x16, 1, 0x27]), Ok(Some(u64::MAX)));
    assert_eq!(value(&[0x22, 0xff, 0x16, 0, 0x27]), Ok(Some(0)));
    for bits in [64, 65, 255] {
        assert_eq!(value(&[0x22, 0xff, 0x12, 0x16, bits, 0x27]), Ok(Some(!0xff)));
    }
}

#[test]
fn ref_17_to_1a_read_little_endian_in_any_alignment() {
    let mut machine = FakeMachine::default().with_memory(0x1001, &[1, 2, 3, 4, 5, 6, 7, 0x88]);
    let mut load = |opcode| run(&[0x23, 0x10, 0x01, opcode, 0x27], &mut machine);

    assert_eq!(load(0x17), Ok(Some(0x01)));
    assert_eq!(load(0x18), Ok(Some(0x0201)));
    assert_eq!(load(0x19), Ok(Some(0x0403_0201)));
    assert_eq!(load(0x1a), Ok(Some(0x8807_0605_0403_0201)));
}

#[test]
fn ref_17_to_1a_of_what_is_not_there_fail() {
    let mut machine = FakeMachine::default().with_memory(0x1000, &[0; 7]);

    let fault = run(&[0x23, 0x10, 0x00, 0x1a, 0x27], &mut machine).unwrap_err();
    assert_eq!(fault.to_string(), "no memory at 0x1000");
    // The last seven bytes of the address space, which eight do not fit in.
    let fault = value(&[0x22, 6, 0x12, 0x1a, 0x27]).unwrap_err();
    assert_eq!(fault, Fault::NoMemory { addr: !6 });
}

#[test]
fn if_goto_20_jumps_unless_0() {
    let code = |value| [0x22, value, 0x20, 0, 8, 0x22, 1, 0x27, 0x22, 2, 0x27];

    assert_eq!(value(&code(0)), Ok(Some(1)));
    assert_eq!(value(&code(9)), Ok(Some(2)));
}

#[test]
fn goto_21_jumps() {
    assert_eq!(value(&[0x21, 0, 6, 0x22, 1, 0x27, 0x22, 2, 0x27]), Ok(Some(2)));
}

#[test]
fn const_22_to_25_are_big_endian_and_unsigned() {
    assert_eq!(value(&[0x22, 0xfe, 0x27]), Ok(Some(0xfe)));
    assert_eq!(value(&[0x23, 0xfe, 1, 0x27]), Ok(Some(0xfe01)));
    assert_eq!(value(&[0x24, 0xfe, 1, 2, 3, 0x27]), Ok(Some(0xfe01_0203)));
    assert_eq!(value(&[0x25, 0xfe, 1, 2, 3, 4, 5, 6, 7, 0x27]), Ok(Some(0xfe01_0203_0405_0607)));
}

#[test]
fn reg_26_has_a_big_endian_number() {
    let mut machine = FakeMachine::default().with_register(0x120, 5);

    assert_eq!(run(&[0x26, 1, 0x20, 0x27], &mut machine), Ok(Some(5)));
    let fault = run(&[0x26, 0x20, 1, 0x27], &mut machine).unwrap_err();
    assert_eq!(fault.to_string(), "no register 0x2001");
}

#[test]
fn end_27_gives_the_top_if_there_is_one() {
    assert_eq!(value(&[0x22, 1, 0x22, 2, 0x27]), Ok(Some(2)));
    assert_eq!(value(&[0x22, 1, 0x27, 0x22, 2, 0x27]), Ok(Some(1)));
    assert_eq!(value(&[0x27]), Ok(None));
}

#[test]
fn dup_28() {
    assert_eq!(value(&[0x22, 4, 0x28, 0x02, 0x27]), Ok(Some(8)));
}

#[test]
fn pop_29() {
    assert_eq!(value(&[0x22, 4, 0x22, 5, 0x29, 0x27]), Ok(Some(4)));
}

#[test]
fn zero_ext_2a_clears_what_is_above() {
    assert_eq!(value(&[0x23, 0x12, 0x80, 0x2a, 8, 0x27]), Ok(Some(0x80)));
    assert_eq!(value(&[0x22, 0xff, 0x2a, 0, 0x27]), Ok(Some(0)));
    for bits in [64, 65, 255] {
        assert_eq!(value(&[0x22, 0xff, 0x12, 0x2a, bits, 0x27]), Ok(Some(!0xff)));
    }
}

#[test]
fn swap_2b() {
    assert_eq!(value(&[0x22, 7, 0x22, 4, 0x2b, 0x03, 0x27]), Ok(Some(minus(3))));
}

#[test]
fn getv_2c_setv_2d_and_tracev_2e_find_no_variable() {
    for opcode in 0x2c..=0x2e {
        let fault = value(&[0x22, 1, opcode, 1, 2, 0x27]).unwrap_err();
        assert_eq!(fault.to_string(), "no trace state variable 0x102: there are none");
    }
}

#[test]
fn tracenz_2f_takes_two() {
    assert_eq!(value(&[0x22, 1, 0x22, 2, 0x22, 3, 0x2f, 0x27]), Ok(Some(1)));
}

#[test]
fn trace16_30_changes_nothing() {
    assert_eq!(value(&[0x22, 1, 0x30, 1, 0, 0x27]), Ok(Some(1)));
}

#[test]
fn pick_32_counts_from_the_top() {
    assert_eq!(value(&[0x22, 1, 0x22, 2, 0x22, 3, 0x32, 0, 0x27]), Ok(Some(3)));
    assert_eq!(value(&[0x22, 1, 0x22, 2, 0x22, 3, 0x32, 2, 0x27]), Ok(Some(1)));
    assert_eq!(value(&[0x22, 1, 0x22, 2, 0x22, 3, 0x32, 3, 0x27]), Err(Fault::StackEmpty));
}

/// `a b c => c a b`, as digits of one number.
#[test]
fn rot_33_moves_the_top_below_two() {
    let rotated = [0x22, 1, 0x22, 2, 0x22, 3, 0x33];
    let digits = [0x2b, 0x22, 10, 0x04, 0x02, 0x2b, 0x22, 100, 0x04, 0x02, 0x27];

    // b + 10 a + 100 c.
    assert_eq!(value(&[&rotated[..], &digits].concat()), Ok(Some(312)));
}

#[test]
fn printf_34_takes_function_channel_and_arguments() {
    let mut machine = FakeMachine::default();
    let push = [0x22, 9, 0x22, 2, 0x22, 1, 0x22, 0, 0x22, 0];
    let printf = [0x34, 2, 0, 6, b'%', b'd', b'%', b'd', b'\n', 0, 0x27];

    assert_eq!(run(&[&push[..], &printf].concat(), &mut machine), Ok(Some(9)));
    assert_eq!(machine.printed, "12\n");
}
