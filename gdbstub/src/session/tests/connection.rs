use crate::packet::PACKET_SIZE;
use crate::session::Flow;
use crate::stop::StopReason;
use crate::testing::{Client, frame};

#[test]
fn gdb_13_connects() {
    let mut client = Client::connect(1);

    client.play(
        "> qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+;vContSupported+;no-resumed+
         < PacketSize=10000;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;ConditionalBreakpoints+;BreakpointCommands+;binary-upload+;qXfer:features:read+;qXfer:threads:read+;multiprocess+;no-resumed+
         > vMustReplyEmpty
         <
         > QStartNoAckMode
         < OK
         > Hgp0.0
         < OK
         > qTStatus
         <
         > qXfer:threads:read::0,1000
         < l<?xml version=\"1.0\"?>\\n<threads>\\n<thread id=\"p1.1\" core=\"0\" name=\"vCPU 0\"/>\\n</threads>\\n
         > qAttached:1
         < 1
         > Hc-1
         < OK
         > qOffsets
         <
         > qSymbol::
         < OK",
    );

    assert!(client.ask("?").starts_with("T05thread:p1.1;core:0;00:0000000000000000;"));
}

#[test]
fn only_what_the_client_offers_is_offered_back() {
    let mut client = Client::connect(1);

    assert!(client.ask("qSupported:xmlRegisters=i386").ends_with(";qXfer:threads:read+"));
    assert!(client.ask("qSupported:error-message+").ends_with(";error-message+"));
    assert!(client.ask("qSupported:multiprocess+").ends_with(";multiprocess+"));
}

#[test]
fn packets_are_acknowledged_until_the_client_asks_not_to() {
    let mut client = Client::connect(1);

    assert_eq!(client.bytes(b"$qAttached#8f"), "+$1#31");
    assert_eq!(client.bytes(b"+$QStartNoAckMode#b0"), "+$OK#9a");
    assert_eq!(client.bytes(b"+$qAttached#8f"), "$1#31");
}

#[test]
fn a_damaged_packet_is_asked_for_again() {
    let mut client = Client::connect(1);

    assert_eq!(client.bytes(b"$qAttached#8e"), "-");
    assert_eq!(client.bytes(b"$qAttached#8f"), "+$1#31");
}

#[test]
fn a_damaged_packet_without_acknowledgment_gets_an_error_and_is_not_obeyed() {
    let mut client = Client::connect_gdb(1);

    assert_eq!(client.bytes(b"$vCont;c#a9"), "$E05#aa");
    assert!(!client.session.is_running());
}

#[test]
fn a_reply_that_did_not_arrive_is_sent_again_but_not_for_ever() {
    let mut client = Client::connect(1);
    client.bytes(b"$qAttached#8f");

    assert_eq!(client.bytes(b"-"), "$1#31");
    assert_eq!(client.bytes(b"-----"), "$1#31$1#31");
}

#[test]
fn each_reply_may_be_sent_again() {
    let mut client = Client::connect(1);
    client.bytes(b"$qAttached#8f---");
    client.bytes(b"+$qC#b4");

    assert_eq!(client.bytes(b"-"), "$QC1#c5");
}

#[test]
fn a_reply_that_arrived_is_not_sent_again() {
    let mut client = Client::connect(1);
    client.bytes(b"$qAttached#8f");

    assert_eq!(client.bytes(b"+-"), "");
}

#[test]
fn a_stop_reply_is_sent_again_as_well() {
    let mut client = Client::connect(1);
    client.bytes(b"$c#63");
    client.stop(1, StopReason::Exited(0));

    assert_eq!(client.bytes(b"-"), "$W00#b7");
}

#[test]
fn a_packet_too_long_gets_an_error_and_the_next_one_its_reply() {
    let mut client = Client::connect(1);
    let long = frame(&vec![b'a'; PACKET_SIZE + 1]);

    assert_eq!(client.bytes(&long), "+$E07#ac");
    assert_eq!(client.bytes(b"+$qAttached#8f"), "+$1#31");
}

#[test]
fn errors_are_texts_for_clients_that_read_them() {
    let mut client = Client::connect(1);

    assert_eq!(client.ask("m0,4"), "E0e");
    client.ask("qSupported:error-message+");
    assert_eq!(client.ask("m0,4"), "E.no memory at 0x0");
    assert_eq!(client.ask("m0"), "E.malformed packet, expected maddr,length");
}

#[test]
fn several_packets_in_one_piece_are_answered_in_order() {
    let mut client = Client::connect(1);

    assert_eq!(client.bytes(b"$qC#b4+$qAttached#8f+"), "+$QC1#c5+$1#31");
}

#[test]
fn any_fragmentation_gives_the_same_replies() {
    let stream = [
        &frame(b"qSupported:multiprocess+;swbreak+;hwbreak+")[..],
        b"+",
        &frame(b"X40000000,4:#$}*"),
        b"+",
        &frame(b"m40000000,8"),
        b"-+junk",
        b"$m4000$qC#b4+",
        &frame(b"vCont;s:p1.1;c:p1.-1"),
        b"\x03",
    ]
    .concat();
    let mut whole = Client::connect(2);
    let expected = whole.bytes(&stream);

    for cut in 0..stream.len() {
        let mut client = Client::connect(2);
        let (first, second) = stream.split_at(cut);
        let replies = client.bytes(first) + &client.bytes(second);
        assert_eq!(replies, expected, "cut at {cut}");
        assert_eq!(client.target.log, whole.target.log, "cut at {cut}");
    }
    assert_eq!(whole.target.log, ["resume 1 Step, 2 Continue", "interrupt"]);
}

#[test]
fn nothing_after_the_end_is_obeyed() {
    let mut client = Client::connect(1);

    assert_eq!(client.bytes(b"$D#44+$k#6b"), "+$OK#9a");
    assert_eq!(client.flow, Flow::Detached);
    assert_eq!(client.target.log, ["detach"]);
}
