use crate::packet::PACKET_SIZE;
use crate::stop::StopReason;
use crate::target::TargetError;
use crate::testing::{Client, frame};

/// A command in hex.
fn command(text: &str) -> String {
    text.bytes().fold("qRcmd,".to_owned(), |packet, byte| packet + &format!("{byte:02x}"))
}

#[test]
fn output_comes_piece_by_piece_and_then_the_reply() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.bytes(&frame(command("say a bc").as_bytes())), "$O6120#18$O6263#20$OK#9a");
    assert_eq!(client.target.log, ["monitor \"say a bc\" as 1"]);
}

#[test]
fn long_output_takes_as_many_packets_as_it_needs() {
    let mut client = Client::connect_gdb(1);
    client.target.words = ('a'..='z').collect::<String>().repeat(2700);

    let said = client.bytes(&frame(command("say").as_bytes()));
    let packets: Vec<&str> = said.split('#').filter(|text| text.contains("$O")).collect();

    assert!(packets.len() > 2, "{}", packets.len());
    assert!(packets.iter().all(|text| text.len() <= PACKET_SIZE + 3), "too long");
    assert!(said.ends_with("$OK#9a"));
}

#[test]
fn a_command_without_output_is_done() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.ask(&command("")), "OK");
}

#[test]
fn a_command_that_fails_says_why() {
    let mut client = Client::connect(1);
    client.ask("qSupported:error-message+");
    client.target.fail = Some(TargetError::Invalid("no such command".to_owned()));

    assert_eq!(client.ask(&command("jump")), "E.no such command");
}

#[test]
fn a_client_without_error_texts_hears_it_on_its_console() {
    let mut client = Client::connect_gdb(1);
    client.target.fail = Some(TargetError::Invalid("no".to_owned()));

    assert_eq!(client.bytes(&frame(command("jump").as_bytes())), "$O6e6f0a#17$E16#ac");
}

#[test]
fn with_acknowledgment_each_packet_waits_for_the_one_before() {
    let mut client = Client::connect(1);

    assert_eq!(client.bytes(&frame(command("say a bc").as_bytes())), "+$O6120#18");
    assert_eq!(client.bytes(b"-"), "$O6120#18");
    assert_eq!(client.bytes(b"+"), "$O6263#20");
    assert_eq!(client.bytes(b"+"), "$OK#9a");
    assert_eq!(client.bytes(b"+"), "");
    assert_eq!(client.bytes(b"-"), "");
}

#[test]
fn a_client_that_asks_on_gets_what_was_waiting() {
    let mut client = Client::connect(1);
    client.bytes(&frame(command("say a bc").as_bytes()));

    assert_eq!(client.bytes(b"$qAttached#8f"), "+$O6263#20$OK#9a$1#31");
}

#[test]
fn a_running_guest_has_words_for_the_client_too() {
    let mut client = Client::connect_gdb(1);
    let mut out = Vec::new();

    assert!(!client.session.console("a ", &mut out), "nobody waits");
    client.ask("vCont;c");
    assert!(client.session.takes_words());
    assert!(client.session.console("a ", &mut out));
    assert_eq!(out.escape_ascii().to_string(), "$O6120#18");
    client.stop(1, StopReason::SwBreak);
    assert!(!client.session.takes_words());
    assert!(!client.session.console("a ", &mut out), "nobody waits any more");
}

#[test]
fn words_wait_until_those_before_have_arrived() {
    let mut client = Client::connect(1);
    let mut out = Vec::new();
    client.bytes(b"$vCont;c#a8");

    client.session.console("a ", &mut out);
    assert!(!client.session.takes_words());
    client.session.console("bc", &mut out);
    assert_eq!(out.escape_ascii().to_string(), "$O6120#18");
    assert_eq!(client.bytes(b"+"), "$O6263#20");
    assert_eq!(client.bytes(b"+"), "");
    assert!(client.session.takes_words());
}
