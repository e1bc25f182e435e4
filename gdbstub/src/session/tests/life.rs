use crate::session::Flow;
use crate::stop::{SIGINT, StopReason};
use crate::target::TargetError;
use crate::testing::{Client, head};

fn extended() -> Client {
    let mut client = Client::connect_gdb(1);
    assert_eq!(client.ask("!"), "OK");
    client
}

#[test]
fn a_killed_guest_is_run_again() {
    let mut client = extended();

    assert_eq!(client.ask("vKill;1"), "OK");
    assert_eq!(client.flow, Flow::Continue);
    assert!(client.session.has_outlived_target());
    assert_eq!(client.ask("?"), "W00");
    assert_eq!(head(&client.ask("vRun;")), "T05thread:p1.1;core:0;");
    assert!(!client.session.has_outlived_target());
    assert_eq!(client.target.log, ["kill", "restart"]);
}

#[test]
fn a_guest_that_the_client_has_run_was_not_there_before() {
    Client::connect_gdb(1).play(
        "> !
         < OK
         > qAttached:1
         < 1
         > R00
         < nothing
         > qAttached:1
         < 0
         > D;1
         < OK
         > vAttach;1
         < nothing",
    );
}

#[test]
fn a_guest_that_has_not_ended_is_run_again_too() {
    let mut client = Client::connect_gdb(2);
    client.ask("vCont;c");
    client.stop(2, StopReason::SwBreak);

    assert_eq!(head(&client.ask("vRun;2f62696e")), "T05thread:p1.1;core:0;");
    assert_eq!(client.ask("qC"), "QCp1.1");
}

#[test]
fn without_a_guest_there_is_nothing_to_look_at() {
    let mut client = extended();
    client.ask("k");

    client.play(
        "= kill
         > g
         < E03
         > m40000000,4
         < E03
         > vCont;c
         < E03
         > Z0,40000000,4
         < E03
         > qRcmd,68
         < E03
         > qfThreadInfo
         < l
         > jThreadsInfo
         < []
         > qXfer:threads:read::0,1000
         < l<?xml version=\"1.0\"?>\\n<threads>\\n</threads>\\n
         > vKill;1
         < E03
         > vAttach;1
         < E03
         > D;1
         < E03
         =",
    );
}

#[test]
fn a_guest_that_cannot_be_started_again_is_an_error() {
    let mut client = extended();
    client.target.fail = Some(TargetError::Invalid("no such file".to_owned()));

    assert_eq!(client.ask("vRun;"), "E16");
    assert_eq!(head(&client.ask("?")), "T05thread:p1.1;core:0;");
}

#[test]
fn a_guest_that_has_ended_is_run_again() {
    let mut client = extended();
    client.ask("vCont;c");

    assert_eq!(client.stop(1, StopReason::Exited(0)), "W00;process:1");
    assert!(client.session.has_outlived_target());
    assert!(client.session.outlives_target());
    assert_eq!(head(&client.ask("vRun;")), "T05thread:p1.1;core:0;");
}

#[test]
fn a_stop_that_crossed_the_kill_brings_no_guest_back() {
    let mut client = extended();
    client.ask("vCont;c");
    client.ask("k");

    assert_eq!(client.stop(1, StopReason::SwBreak), "nothing");
    assert_eq!(client.ask("g"), "E03");
}

#[test]
fn a_guest_is_attached_to_again() {
    let mut client = extended();

    assert_eq!(client.ask("D;1"), "OK");
    assert_eq!(client.flow, Flow::Continue);
    assert!(client.session.is_running());
    assert_eq!(client.ask("?"), "W00");
    assert_eq!(client.ask("g"), "E03");
    assert!(client.ask("qHostInfo").starts_with("triple:"));
    assert_eq!(client.ask("jThreadsInfo"), "[]");
    assert_eq!(client.ask("vAttach;2"), "E03");
    assert_eq!(client.ask("vAttach;1"), "nothing");
    assert_eq!(client.target.log, ["detach", "interrupt"]);
    assert_eq!(head(&client.stop(1, StopReason::Signal(SIGINT))), "T02thread:p1.1;core:0;");
}

#[test]
fn a_guest_that_ends_after_a_detach_is_gone() {
    let mut client = extended();
    client.ask("D;1");

    assert_eq!(client.stop(1, StopReason::Exited(32)), "nothing");
    assert!(client.session.has_outlived_target());
}

#[test]
fn r_restarts_without_a_reply_and_in_extended_mode_only() {
    Client::connect_gdb(1).play(
        "> R00
         <
         =
         > !
         < OK
         > R00
         < nothing
         = restart
         > qC
         < QCp1.1",
    );
}

#[test]
fn vcpus_that_are_off_resume_nothing() {
    let mut client = Client::connect(2);
    client.ask("qSupported:no-resumed+");
    client.target.off = vec![crate::Tid::from_index(1)];

    client.play(
        "> vCont;c:2
         < N
         > vCont;t
         < N
         =
         > vCont;c
         < nothing
         = resume 1 Continue, 2 Continue",
    );
}

#[test]
fn a_client_that_does_not_know_of_it_is_told_in_words_and_of_a_stop() {
    let mut client = Client::connect_gdb(2);
    client.target.off = vec![crate::Tid::from_index(1)];

    let said = client.bytes(&crate::testing::frame(b"vCont;c:p1.2"));

    assert!(said.starts_with("$O"), "{said}");
    assert!(said.contains('#'), "{said}");
    assert!(said.contains("$T02thread:p1.1;core:0;"), "{said}");
}
