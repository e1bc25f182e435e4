use crate::aarch64::{PacMask, Register};
use crate::session::Flow;
use crate::stop::{SIGINT, StopReason};
use crate::target::{Kind, TargetError};
use crate::testing::{Client, frame, head};

#[test]
fn stoppoints_of_every_kind_reach_the_target() {
    Client::connect_gdb(2).play(
        "> Hgp1.2
         < OK
         > Z0,ffff800080010000,4
         < OK
         = insert Software 0xffff800080010000 4 as 2
         > Z1,40080000,4
         < OK
         = insert Hardware 0x40080000 4 as 2
         > Z2,1000,8
         < OK
         = insert Write 0x1000 8 as 2
         > Z3,1001,1
         < OK
         = insert Read 0x1001 1 as 2
         > Z4,1000,100
         < OK
         = insert Access 0x1000 256 as 2
         > z0,ffff800080010000,4
         < OK
         = remove Software 0xffff800080010000 4 as 2",
    );
}

#[test]
fn a_stoppoint_of_a_kind_the_target_lacks_is_an_unknown_packet() {
    let mut client = Client::connect(1);
    client.target.fail = Some(TargetError::Unsupported);

    assert_eq!(client.ask("Z4,1000,8"), "");
}

#[test]
fn a_stoppoint_that_cannot_be_set_is_an_error() {
    let mut client = Client::connect(1);
    client.target.fail = Some(TargetError::NoRoom { what: "watchpoints", have: 4 });

    assert_eq!(client.ask("Z2,1000,8"), "E1c");
}

#[test]
fn stoppoints_of_every_kind_are_removed() {
    Client::connect_gdb(1).play(
        "> z0,40080000,4
         < OK
         > z1,40080000,4
         < OK
         > z2,1000,1
         < OK
         > z3,1000,8
         < OK
         > z4,1000,10
         < OK
         = remove Software 0x40080000 4 as 1; remove Hardware 0x40080000 4 as 1; remove Write 0x1000 1 as 1; remove Read 0x1000 8 as 1; remove Access 0x1000 16 as 1",
    );
}

#[test]
fn conditions_and_commands_reach_the_target() {
    Client::connect_gdb(1).play(
        "> Z0,40080000,4;X3,220127
         < OK
         = insert Software 0x40080000 4 as 1 with an agent
         > Z1,40080000,4;cmds:1,X3,220127
         < OK
         = insert Hardware 0x40080000 4 as 1 with an agent",
    );
}

#[test]
fn a_condition_that_cannot_be_evaluated_is_refused() {
    let mut client = Client::connect(1);
    client.ask("qSupported:error-message+");

    client.play(
        "> Z0,40080000,4;X2,0127
         < E.floating-point bytecode 0x01 at 0x0, expected integers
         > Z0,40080000,4;X9,220127
         < E.malformed packet, expected Ztype,addr,kind[;Xlen,expr...][;cmds:persist,Xlen,expr...]
         =",
    );
}

#[test]
fn the_actions_are_listed() {
    assert_eq!(Client::connect(1).ask("vCont?"), "vCont;c;C;s;S;t;r");
}

#[test]
fn for_each_thread_the_leftmost_action_counts() {
    Client::connect_gdb(3).play(
        "> vCont;s:p1.2;c:p1.-1
         < nothing
         = resume 1 Continue, 2 Step, 3 Continue",
    );
    Client::connect_gdb(3).play(
        "> vCont;c:p1.-1;s:p1.2
         < nothing
         = resume 1 Continue, 2 Continue, 3 Continue",
    );
}

#[test]
fn a_range_is_stepped_by_the_target() {
    Client::connect_gdb(2).play(
        "> vCont;r80001000,80001010:p1.1;c:p1.-1
         < nothing
         = resume 1 StepRange { start: 2147487744, end: 2147487760 }, 2 Continue",
    );
}

#[test]
fn threads_without_an_action_stay_parked() {
    Client::connect_gdb(3).play(
        "> vCont;s:p1.2
         < nothing
         = resume 2 Step",
    );
}

#[test]
fn a_resume_that_names_no_thread_is_refused() {
    let mut client = Client::connect_gdb(2);

    assert_eq!(client.ask("vCont;c:p1.3"), "E03");
    assert!(!client.session.is_running());
    assert_eq!(client.target.log, [""; 0]);
}

#[test]
fn a_resume_that_fails_is_explained_on_the_console_and_ends_in_a_stop() {
    let mut client = Client::connect_gdb(1);
    client.target.fail = Some(TargetError::Host("no vcpu".to_owned()));

    let replies = client.bytes(&frame(b"vCont;c"));

    let (console, stop) = replies.strip_prefix('$').unwrap().split_once('$').unwrap();
    // In hexadecimal: "the host failed: no vcpu" and a line feed.
    assert_eq!(console, "O74686520686f7374206661696c65643a206e6f20766370750a#af");
    assert_eq!(head(stop), "T02thread:p1.1;core:0;");
    assert!(!client.session.is_running());
}

#[test]
fn a_resume_without_v_cont_takes_all_threads_along() {
    Client::connect(2).play(
        "> c
         < nothing
         = resume 1 Continue, 2 Continue",
    );
    Client::connect(2).play(
        "> Hc-1
         < OK
         > S05
         < nothing
         = resume 1 Step, 2 Continue",
    );
}

#[test]
fn a_resume_without_v_cont_takes_only_the_thread_chosen_for_it() {
    let mut client = Client::connect(2);

    client.play(
        "> Hc2
         < OK
         > s40080000
         < nothing
         = resume 2 Step",
    );

    assert_eq!(client.target.value(1, Register::Pc), 0x4008_0000);
    assert_eq!(client.target.value(0, Register::Pc), 0);
}

#[test]
fn each_stop_is_reported_once_and_again_when_asked() {
    let mut client = Client::connect_gdb(2);

    client.ask("vCont;c");
    assert!(client.session.is_running());
    assert_eq!(head(&client.stop(2, StopReason::HwBreak)), "T05thread:p1.2;core:1;hwbreak:;");
    assert!(!client.session.is_running());
    assert_eq!(head(&client.ask("?")), "T05thread:p1.2;core:1;hwbreak:;");
}

#[test]
fn a_watchpoint_is_reported_with_its_kind_and_address() {
    let mut client = Client::connect_gdb(1);
    client.ask("vCont;c");

    let reply = client.stop(1, StopReason::Watch { kind: Kind::Access, addr: 0x1004 });

    assert_eq!(head(&reply), "T05thread:p1.1;core:0;awatch:1004;");
}

#[test]
fn a_stop_reply_has_the_core_registers_of_its_thread() {
    let mut client = Client::connect_gdb(2);
    client.target.registers[1].insert(Register::Pc, 0x4008_0000_u64.into());
    client.target.registers[1].insert(Register::V(0), 1_u64.into());
    client.ask("vCont;s:p1.2");

    let reply = client.stop(2, StopReason::Step);

    assert!(reply.starts_with("T05thread:p1.2;core:1;00:0000000000000000;01:"), "{reply}");
    assert!(reply.ends_with(";20:0000084000000000;21:00000000;"), "{reply}");
    assert_eq!(reply.matches(':').count(), 2 + 34);
}

#[test]
fn a_stop_nobody_waits_for_is_kept_until_asked_for() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.stop(1, StopReason::Signal(SIGINT)), "nothing");
    assert_eq!(head(&client.ask("?")), "T02thread:p1.1;core:0;");
}

#[test]
fn the_end_of_the_machine_is_reported() {
    let mut client = Client::connect_gdb(1);
    client.ask("vCont;c");

    assert_eq!(client.stop(1, StopReason::Exited(34)), "W22;process:1");
}

#[test]
fn an_interrupt_reaches_a_running_target() {
    let mut client = Client::connect_gdb(1);
    client.ask("vCont;c");

    assert_eq!(client.bytes(b"\x03"), "");
    assert_eq!(client.target.log, ["resume 1 Continue", "interrupt"]);
    assert_eq!(head(&client.stop(1, StopReason::Signal(SIGINT))), "T02thread:p1.1;core:0;");
}

#[test]
fn an_interrupt_that_crossed_the_stop_is_discarded() {
    let mut client = Client::connect_gdb(1);
    client.ask("vCont;c");
    client.stop(1, StopReason::SwBreak);

    assert_eq!(client.bytes(b"\x03"), "");
    assert_eq!(client.target.log, ["resume 1 Continue"]);
}

#[test]
fn v_ctrl_c_has_a_reply_before_the_stop() {
    Client::connect_gdb(1).play(
        "> vCtrlC
         < OK
         =
         > vCont;c
         < nothing
         = resume 1 Continue
         > vCtrlC
         < OK
         = interrupt",
    );
}

#[test]
fn a_running_target_is_not_looked_at() {
    let mut client = Client::connect_gdb(1);
    client.ask("vCont;c");

    client.play(
        "> g
         < E10
         > m40000000,4
         < E10
         > vCont;c
         < E10
         > D
         < E10
         = resume 1 Continue",
    );
    assert_eq!(head(&client.stop(1, StopReason::SwBreak)), "T05thread:p1.1;core:0;swbreak:;");
}

#[test]
fn detaching_ends_the_session() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.ask("D;1"), "OK");
    assert_eq!(client.flow, Flow::Detached);
    assert_eq!(client.target.log, ["detach"]);
}

#[test]
fn killing_ends_the_session_without_a_reply() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.ask("k"), "nothing");
    assert_eq!(client.flow, Flow::Killed);
    assert_eq!(client.target.log, ["kill"]);
}

#[test]
fn killing_the_process_ends_the_session_with_a_reply_even_while_it_runs() {
    let mut client = Client::connect_gdb(1);
    client.ask("vCont;c");

    assert_eq!(client.ask("vKill;1"), "OK");
    assert_eq!(client.flow, Flow::Killed);
    assert_eq!(client.target.log, ["resume 1 Continue", "kill"]);
}

#[test]
fn a_client_without_processes_kills_by_a_number_it_made_up() {
    let mut client = Client::connect(1);

    assert_eq!(client.ask("vKill;a410"), "OK");
    assert_eq!(client.flow, Flow::Killed);
}

#[test]
fn another_process_is_neither_detached_nor_killed() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.ask("D;2"), "E03");
    assert_eq!(client.flow, Flow::Continue);
    assert_eq!(client.ask("vKill;2"), "E03");
    assert_eq!(client.flow, Flow::Continue);
    assert_eq!(client.target.log, [""; 0]);
}

#[test]
fn a_stop_reply_has_the_masks_of_pointer_authentication() {
    let mut client = Client::connect_gdb(1);
    client.target.contents.has_pauth = true;
    let mask = Register::PacMask(PacMask { is_code: true, is_upper: true });
    client.target.registers[0].insert(mask, 0xff7f_0000_0000_0000_u64.into());
    client.ask("vCont;s:p1.1");

    let reply = client.stop(1, StopReason::Step);

    // Behind 34 of the core, 32 v, fpsr and fpcr.
    assert!(reply.contains(";44:0000000000000000;45:0000000000000000;46:"), "{reply}");
    assert!(reply.ends_with(";47:0000000000007fff;"), "{reply}");
}
