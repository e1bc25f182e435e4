use super::*;
use crate::target::Kind;
use crate::thread_id::Part;
use Action::{Continue, Step};

fn parse(packet: &[u8]) -> Command<'_> {
    Command::parse(packet).unwrap()
}

/// What is said to be expected, for packets that must be refused.
fn refused(packet: &[u8]) -> &'static str {
    let text = packet.escape_ascii();
    Command::parse(packet).expect_err(&format!("{text} was not refused")).expected
}

fn hex(digits: &[u8]) -> HexBytes<'_> {
    HexBytes::parse(digits).unwrap()
}

fn thread(process: Part, thread: Part) -> ThreadId {
    ThreadId { process, thread }
}

const ALL: ThreadId = ThreadId { process: Part::All, thread: Part::All };

#[test]
fn packets_without_arguments() {
    assert_eq!(parse(b"?"), Command::HaltReason);
    assert_eq!(parse(b"g"), Command::ReadRegisters);
    assert_eq!(parse(b"k"), Command::Kill);
    assert_eq!(parse(b"qC"), Command::CurrentThread);
    assert_eq!(parse(b"qfThreadInfo"), Command::FirstThreadInfo);
    assert_eq!(parse(b"qsThreadInfo"), Command::NextThreadInfo);
    assert_eq!(parse(b"vCont?"), Command::VContActions);
    assert_eq!(parse(b"vCtrlC"), Command::CtrlC);
    assert_eq!(parse(b"QStartNoAckMode"), Command::StartNoAckMode);
}

#[test]
fn packets_that_are_not_ours_are_unknown_and_no_error() {
    for packet in [
        &b""[..],
        b"!",
        b"R00",
        b"b",
        b"gx",
        b"Z5,0,4",
        b"Hm0",
        b"qTStatus",
        b"qOffsets",
        b"qRcmd,68656c70",
        b"qCRC:0,4",
        b"qSupportedX",
        b"QNonStop:1",
        b"vMustReplyEmpty",
        b"vRun;",
        b"vContX",
        b"qXfer:auxv:read::0,1000",
        b"qXfer:features:write:target.xml:0:x",
        b"\xff\0",
    ] {
        assert_eq!(parse(packet), Command::Unknown, "{}", packet.escape_ascii());
    }
}

#[test]
fn q_supported_is_what_the_client_offers() {
    let gdb = b"qSupported:multiprocess+;swbreak+;hwbreak-;qRelocInsn+;xmlRegisters=i386";
    let expected =
        ClientFeatures { multiprocess: true, swbreak: true, ..ClientFeatures::default() };

    assert_eq!(parse(gdb), Command::Supported(expected));
    assert_eq!(parse(b"qSupported"), Command::Supported(ClientFeatures::default()));
    assert_eq!(
        parse(b"qSupported:hwbreak+;error-message+;;=;"),
        Command::Supported(ClientFeatures {
            hwbreak: true,
            error_message: true,
            ..ClientFeatures::default()
        })
    );
}

#[test]
fn q_xfer() {
    assert_eq!(
        parse(b"qXfer:features:read:target.xml:1ff,fff"),
        Command::ReadObject {
            object: Object::Features { annex: b"target.xml" },
            offset: 0x1ff,
            length: 0xfff
        }
    );
    assert_eq!(
        parse(b"qXfer:threads:read::0,1000"),
        Command::ReadObject { object: Object::Threads, offset: 0, length: 0x1000 }
    );
    assert_eq!(
        refused(b"qXfer:features:read:target.xml:0"),
        "qXfer:object:read:annex:offset,length"
    );
    refused(b"qXfer:features:read:target.xml");
    refused(b"qXfer:threads:read:annex:0,1000");
    refused(b"qXfer:");
}

#[test]
fn threads_are_selected_and_asked_for() {
    assert_eq!(parse(b"Hg0"), Command::SelectThread(thread(Part::Any, Part::Any)));
    assert_eq!(parse(b"Hgp1.2"), Command::SelectThread(thread(Part::One(1), Part::One(2))));
    assert_eq!(parse(b"Hc-1"), Command::SelectResumeThread(thread(Part::Any, Part::All)));
    assert_eq!(parse(b"T3"), Command::IsThreadAlive(thread(Part::Any, Part::One(3))));
    assert_eq!(
        parse(b"qThreadExtraInfo,p1.a"),
        Command::ThreadExtraInfo(thread(Part::One(1), Part::One(10)))
    );
    assert_eq!(refused(b"Hg"), "Hgthread-id");
    assert_eq!(refused(b"Hcx"), "Hcthread-id");
    assert_eq!(refused(b"T"), "Tthread-id");
    assert_eq!(refused(b"qThreadExtraInfo,"), "qThreadExtraInfo,thread-id");
}

#[test]
fn registers() {
    assert_eq!(parse(b"G0011"), Command::WriteRegisters(hex(b"0011")));
    assert_eq!(parse(b"p21"), Command::ReadRegister { number: 0x21 });
    assert_eq!(
        parse(b"P20=0000084000000000"),
        Command::WriteRegister { number: 0x20, value: hex(b"0000084000000000") }
    );
    assert_eq!(refused(b"G001"), "Gxx...");
    assert_eq!(refused(b"p"), "pn");
    assert_eq!(refused(b"P20"), "Pn=r");
    assert_eq!(refused(b"P=00"), "Pn=r");
    assert_eq!(refused(b"P0=0"), "Pn=r");
}

#[test]
fn memory_reads() {
    assert_eq!(
        parse(b"mffff800080000000,40"),
        Command::ReadMemory { addr: 0xffff_8000_8000_0000, length: 0x40 }
    );
    for packet in [&b"m"[..], b"m0", b"m0,", b"m,4", b"m0,4,4", b"m10000000000000000,4", b"m0x0,4"]
    {
        assert_eq!(refused(packet), "maddr,length");
    }
}

#[test]
fn memory_writes_in_hex() {
    assert_eq!(
        parse(b"M40000000,2:BEef"),
        Command::WriteMemory { addr: 0x4000_0000, data: Data::Hex(hex(b"BEef")) }
    );
    assert_eq!(parse(b"M0,0:"), Command::WriteMemory { addr: 0, data: Data::Hex(hex(b"")) });
    for packet in [&b"M0,2:ee"[..], b"M0,1:eeff", b"M0,1:e", b"M0,1", b"M0,1:zz"] {
        assert_eq!(refused(packet), "Maddr,length:xx...");
    }
}

#[test]
fn memory_writes_in_binary_hold_any_byte() {
    assert_eq!(
        parse(b"X40000000,5::,;#\x03"),
        Command::WriteMemory { addr: 0x4000_0000, data: Data::Binary(b":,;#\x03") }
    );
    assert_eq!(parse(b"X0,0:"), Command::WriteMemory { addr: 0, data: Data::Binary(b"") });
    assert_eq!(refused(b"X0,2:a"), "Xaddr,length:xx...");
}

#[test]
fn stoppoints() {
    let point = |kind, addr, len| Stoppoint { kind, addr, len };

    assert_eq!(parse(b"Z0,40080000,4"), Command::Insert(point(Kind::Software, 0x4008_0000, 4)));
    assert_eq!(parse(b"Z1,40080000,4"), Command::Insert(point(Kind::Hardware, 0x4008_0000, 4)));
    assert_eq!(parse(b"Z2,10,8"), Command::Insert(point(Kind::Write, 0x10, 8)));
    assert_eq!(parse(b"Z3,11,1"), Command::Insert(point(Kind::Read, 0x11, 1)));
    assert_eq!(parse(b"z4,12,10"), Command::Remove(point(Kind::Access, 0x12, 0x10)));
    assert_eq!(refused(b"Z0,40080000"), "Ztype,addr,kind");
    assert_eq!(refused(b"z0"), "ztype,addr,kind");
}

#[test]
fn conditions_and_commands_are_refused_rather_than_ignored() {
    assert_eq!(refused(b"Z0,40080000,4;X3,220127"), "Ztype,addr,kind");
    assert_eq!(refused(b"Z0,40080000,4;cmds:0,X1,27"), "Ztype,addr,kind");
}

#[test]
fn v_cont() {
    let action = |action, threads| ThreadAction { action, threads };

    assert_eq!(parse(b"vCont;c"), Command::VCont(vec![action(Continue, ALL)]));
    assert_eq!(
        parse(b"vCont;s:p1.1;c:p1.-1"),
        Command::VCont(vec![
            action(Step, thread(Part::One(1), Part::One(1))),
            action(Continue, thread(Part::One(1), Part::All)),
        ])
    );
    assert_eq!(
        parse(b"vCont;S05:2;C0b"),
        Command::VCont(vec![action(Step, thread(Part::Any, Part::One(2))), action(Continue, ALL),])
    );
    let range = Action::StepRange { start: 0xffff_8000_8000_1000, end: 0xffff_8000_8000_1010 };
    assert_eq!(
        parse(b"vCont;rffff800080001000,ffff800080001010:2"),
        Command::VCont(vec![action(range, thread(Part::Any, Part::One(2)))])
    );
    for packet in [
        &b"vCont;"[..],
        b"vCont;c;",
        b"vCont;t",
        b"vCont;r",
        b"vCont;r1000:1",
        b"vCont;r1000,:1",
        b"vCont;C",
        b"vCont;C5",
        b"vCont;S5",
        b"vCont;c:",
        b"vCont;c:x",
    ] {
        assert_eq!(refused(packet), "vCont;action[:thread-id]... of c, Csig, s, Ssig, rstart,end");
    }
}

#[test]
fn resumes_without_v_cont() {
    let resume = |action, addr| Command::Resume { action, addr };

    assert_eq!(parse(b"c"), resume(Continue, None));
    assert_eq!(parse(b"s40080000"), resume(Step, Some(0x4008_0000)));
    assert_eq!(parse(b"C05"), resume(Continue, None));
    assert_eq!(parse(b"S05;40080000"), resume(Step, Some(0x4008_0000)));
    assert_eq!(refused(b"cx"), "c[addr]");
    assert_eq!(refused(b"s "), "s[addr]");
    assert_eq!(refused(b"C"), "Csig[;addr]");
    assert_eq!(refused(b"S05;"), "Ssig[;addr]");
}

#[test]
fn endings() {
    assert_eq!(parse(b"D"), Command::Detach { process: None });
    assert_eq!(parse(b"D;1"), Command::Detach { process: Some(1) });
    assert_eq!(parse(b"vKill;a"), Command::KillProcess { process: 10 });
    assert_eq!(parse(b"qAttached:1"), Command::Attached);
    assert_eq!(refused(b"D1"), "D;pid");
    assert_eq!(refused(b"vKill;"), "vKill;pid");
}

#[test]
fn symbols_may_be_offered() {
    assert_eq!(parse(b"qSymbol::"), Command::Symbol);
    assert_eq!(parse(b"qSymbol:0:5f74657874"), Command::Symbol);
}
