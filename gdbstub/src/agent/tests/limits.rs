//! What ends a run before its end does.

use crate::agent::tests::machine::{FakeMachine, printf, run, value};
use crate::agent::{Agent, Expression, Failure, Fault, Verdict};

#[test]
fn every_operand_must_be_there() {
    let one = [0x0d, 0x0e, 0x12, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x20, 0x28, 0x29, 0x2a, 0x30];
    let two = [
        0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0f, 0x10, 0x11, 0x13,
        0x14, 0x15, 0x2b, 0x2f, 0x34,
    ];
    for (needs, opcodes) in [(1, &one[..]), (2, &two), (3, &[0x33])] {
        for opcode in opcodes {
            let operands: &[u8] = match opcode {
                0x0d | 0x16 | 0x2a => &[8],
                0x20 | 0x30 => &[0, 0],
                0x34 => &[0, 0, 1, 0],
                _ => &[],
            };
            for have in 0..needs {
                let code = [&[0x22, 1].repeat(have), &[*opcode][..], operands, &[0x27]].concat();
                assert_eq!(value(&code), Err(Fault::StackEmpty), "{code:02x?}");
            }
        }
    }
}

#[test]
fn a_printf_without_all_its_arguments_prints_nothing() {
    let mut machine = FakeMachine::default();

    assert_eq!(run(&printf(&[0x22, 1], 2, "%d %d"), &mut machine), Err(Fault::StackEmpty));
    assert_eq!(machine.printed, "");
}

#[test]
fn the_stack_holds_100() {
    let fill = |count| [&[0x22, 7].repeat(count)[..], &[0x27]].concat();

    assert_eq!(value(&fill(100)), Ok(Some(7)));
    let fault = value(&fill(101)).unwrap_err();
    assert_eq!(fault.to_string(), "more on the stack than its 100 entries");
}

#[test]
fn a_run_ends_after_10000_instructions() {
    let fault = value(&[0x21, 0, 0]).unwrap_err();

    assert_eq!(fault.to_string(), "not done after 10000 instructions");
}

#[test]
fn the_expressions_of_a_hit_share_its_instructions() {
    // 1000 down to 0, nine instructions a round; twice is too much.
    let code = "2303e8220103282000".to_owned() + "0c2727282928292100" + "03";
    let agent = |times| {
        let list = format!("X{:x},{code}", code.len() / 2).repeat(times);
        Agent::parse(format!(";{list}").as_bytes()).unwrap().unwrap()
    };

    assert_eq!(agent(1).on_hit(&mut FakeMachine::default()), Verdict::Pass);
    assert_eq!(
        agent(2).on_hit(&mut FakeMachine::default()),
        Verdict::Failed(Failure::Condition(Fault::TooManySteps))
    );
}

#[test]
fn a_loop_that_ends_is_none_of_the_limits_business() {
    // 1000 down to 0, nine instructions a round.
    let code = [
        0x23, 0x03, 0xe8, 0x22, 1, 0x03, 0x28, 0x20, 0, 12, 0x27, 0x27, 0x28, 0x29, 0x28, 0x29,
        0x21, 0, 3,
    ];

    assert_eq!(value(&code), Ok(Some(0)));
}

#[test]
fn a_run_prints_at_most_64_kib() {
    let mut machine = FakeMachine::default();
    let line = "x".repeat(999) + "\n";
    let code = [&printf(&[], 0, &line)[..], &[0x27]].concat();
    // The end becomes a jump to the start.
    let endless = [&code[..code.len() - 2], &[0x21, 0, 0]].concat();

    let fault = run(&endless, &mut machine).unwrap_err();

    assert_eq!(fault.to_string(), "more than 65536 bytes to print");
    assert_eq!(machine.printed.len(), 65_000);
}

#[test]
fn each_run_starts_anew() {
    let expression = Expression::new(&[0x22, 1, 0x27]).unwrap();
    for _ in 0..200 {
        assert_eq!(expression.run(&mut FakeMachine::default()), Ok(Some(1)));
    }
}
