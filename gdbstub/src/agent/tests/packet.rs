//! The rest of `Z0,addr,kind`, and what becomes of a hit.

use crate::agent::tests::machine::FakeMachine;
use crate::agent::{Agent, Expression, Failure, Fault, Verdict};

fn agent(text: &str) -> Agent {
    Agent::parse(text.as_bytes()).expect(text).expect(text)
}

fn expression(code: &[u8]) -> Expression {
    Expression::new(code).unwrap()
}

fn verdict(text: &str) -> (Verdict, String) {
    let mut machine = FakeMachine::default();
    let verdict = agent(text).on_hit(&mut machine);
    (verdict, machine.printed)
}

#[test]
fn nothing_is_a_plain_breakpoint() {
    assert_eq!(agent(""), Agent::default());
    assert_eq!(verdict(""), (Verdict::Stop, String::new()));
}

#[test]
fn conditions_follow_each_other_with_or_without_a_semicolon() {
    let expected = Agent {
        conditions: vec![expression(&[0x22, 1, 0x27]), expression(&[0x22, 0, 0x27])],
        ..Agent::default()
    };

    assert_eq!(agent(";X3,220127X3,220027"), expected);
    assert_eq!(agent(";X3,220127;X3,220027"), expected);
    assert_eq!(agent(";X03,220127;X0003,220027"), expected);
}

#[test]
fn commands_follow_conditions_or_stand_alone() {
    let commands = vec![expression(&[0x27]), expression(&[0x22, 1, 0x27])];
    let alone = Agent { commands: commands.clone(), ..Agent::default() };
    let both = Agent { conditions: vec![expression(&[0x22, 0xff, 0x27])], commands };

    assert_eq!(agent(";cmds:1,X1,27X3,220127"), alone);
    assert_eq!(agent(";cmds:1,X1,27;X3,220127"), alone);
    assert_eq!(agent(";X3,22fF27;cmds:0,X1,27X3,220127"), both);
}

#[test]
fn anything_else_is_malformed() {
    for text in [
        ";",
        "X1,27",
        "junk",
        ";junk",
        ";X",
        ";X1",
        ";X1,",
        ";X1,2",
        ";X1,2g",
        ";X1,2727",
        ";X2,27",
        ";X,27",
        ";Xg,27",
        ";X-1,27",
        ";X1,27;",
        ";X1,27;;X1,27",
        ";X1,27,",
        ";X1,27 X1,27",
        ";Xffffffffffffffff,27",
        ";X8000000000000000,27",
        ";X10000000000000000,27",
        ";cmds",
        ";cmds:",
        ";cmds:1",
        ";cmds:1,",
        ";cmds:,X1,27",
        ";cmds:2,X1,27",
        ";cmds:01,X1,27",
        ";cmds:1X1,27",
        ";cmds:1,X1,27;cmds:1,X1,27",
        ";cmds:1,X1,27cmds:1,X1,27",
        "cmds:1,X1,27",
        ";X1,27cmds:1,X1,27",
    ] {
        assert_eq!(Agent::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_bad_expression_is_told_from_bad_syntax() {
    for (text, expected) in [
        (";X0,", "no bytecode in the expression"),
        (";X1,27X1,31", "unknown bytecode 0x31 at 0x0"),
        (";cmds:0,X2,1b27", "floating-point bytecode 0x1b at 0x0, expected integers"),
        (";cmds:0,X1,27X0,", "no bytecode in the expression"),
    ] {
        let bad = Agent::parse(text.as_bytes()).unwrap().unwrap_err();
        assert_eq!(bad.to_string(), expected);
    }
    // Syntax comes first, wherever it is.
    assert_eq!(Agent::parse(b";X1,31X1,2"), None);
}

#[test]
fn a_breakpoint_has_at_most_64_expressions() {
    let text = |conditions, commands| {
        let (conditions, commands) = ("X1,27".repeat(conditions), "X1,27".repeat(commands));
        format!(";{conditions};cmds:1,{commands}")
    };

    let full = agent(&text(40, 24));
    assert_eq!((full.conditions.len(), full.commands.len()), (40, 24));
    let bad = Agent::parse(text(40, 25).as_bytes()).unwrap().unwrap_err();
    assert_eq!(bad.to_string(), "65 conditions and commands, expected at most 64");
}

#[test]
fn any_condition_that_is_not_0_makes_a_hit_count() {
    assert_eq!(verdict(";X3,220027").0, Verdict::Pass);
    assert_eq!(verdict(";X3,220127").0, Verdict::Stop);
    assert_eq!(verdict(";X3,220027X3,220027").0, Verdict::Pass);
    assert_eq!(verdict(";X3,220027X3,228027").0, Verdict::Stop);
}

#[test]
fn commands_run_in_order_instead_of_a_stop() {
    let commands = ";cmds:0,Xb,2200220034000002410027Xb,2200220034000002420027";

    assert_eq!(verdict(commands), (Verdict::Pass, "AB".to_owned()));
    assert_eq!(verdict(&format!(";X3,220127{commands}")), (Verdict::Pass, "AB".to_owned()));
    assert_eq!(verdict(&format!(";X3,220027{commands}")), (Verdict::Pass, String::new()));
}

#[test]
fn what_a_command_leaves_on_the_stack_does_not_matter() {
    assert_eq!(verdict(";cmds:0,X1,27X3,220127X3,220027").0, Verdict::Pass);
}

#[test]
fn a_condition_that_fails_stops() {
    // *(char *) 0, then one that holds.
    let (verdict, _) = verdict(";X4,22001727X3,220127");

    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure, Failure::Condition(Fault::NoMemory { addr: 0 }));
    assert_eq!(failure.to_string(), "condition failed: no memory at 0x0");
}

#[test]
fn a_condition_without_a_value_stops() {
    let (verdict, _) = verdict(";X1,27");

    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        failure.to_string(),
        "condition failed: nothing left on the stack, expected a value"
    );
}

#[test]
fn commands_of_a_condition_that_fails_do_not_run() {
    let (verdict, printed) = verdict(";X4,22001727;cmds:0,Xb,2200220034000002410027");

    assert_eq!(verdict, Verdict::Failed(Failure::Condition(Fault::NoMemory { addr: 0 })));
    assert_eq!(printed, "");
}

#[test]
fn a_command_that_fails_stops_before_the_next() {
    // "A", 1 / 0, "B".
    let (verdict, printed) =
        verdict(";cmds:0,Xb,2200220034000002410027X6,220122000627Xb,2200220034000002420027");

    let Verdict::Failed(failure) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.to_string(), "command failed: division by zero");
    assert_eq!(printed, "A");
}
