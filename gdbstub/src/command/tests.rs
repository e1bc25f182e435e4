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
    assert_eq!(parse(b"g"), Command::ReadRegisters { thread: None });
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
        b"b",
        b"Z5,0,4",
        b"Hm0",
        b"qTStatus",
        b"qSupportedX",
        b"QNonStop:1",
        b"vMustReplyEmpty",
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
    let thread = None;

    assert_eq!(parse(b"G0011"), Command::WriteRegisters { values: hex(b"0011"), thread });
    assert_eq!(parse(b"p21"), Command::ReadRegister { number: 0x21, thread });
    assert_eq!(
        parse(b"P20=0000084000000000"),
        Command::WriteRegister { number: 0x20, value: hex(b"0000084000000000"), thread }
    );
    assert_eq!(refused(b"gx"), "g[;thread:thread-id;]");
    assert_eq!(refused(b"G001"), "Gxx...[;thread:thread-id;]");
    assert_eq!(refused(b"p"), "pn[;thread:thread-id;]");
    for packet in [&b"P20"[..], b"P=00", b"P0=0"] {
        assert_eq!(refused(packet), "Pn=r[;thread:thread-id;]");
    }
}

#[test]
fn registers_of_a_thread_that_lldb_names() {
    let thread = Some(thread(Part::One(1), Part::One(2)));

    assert_eq!(parse(b"g;thread:p1.2;"), Command::ReadRegisters { thread });
    assert_eq!(parse(b"G;thread:p1.2;"), Command::WriteRegisters { values: hex(b""), thread });
    assert_eq!(parse(b"p21;thread:p1.2;"), Command::ReadRegister { number: 0x21, thread });
    assert_eq!(
        parse(b"P21=00000000;thread:p1.2"),
        Command::WriteRegister { number: 0x21, value: hex(b"00000000"), thread }
    );
    for packet in [&b"g;"[..], b"g;thread:", b"g;thread:x;", b"g;core:1;"] {
        assert_eq!(refused(packet), "g[;thread:thread-id;]");
    }
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
fn memory_reads_in_binary() {
    assert_eq!(parse(b"x0,0"), Command::ReadBinary { addr: 0, length: 0 });
    assert_eq!(refused(b"x0"), "xaddr,length");
}

#[test]
fn searches_have_any_bytes_in_their_pattern() {
    assert_eq!(
        parse(b"qSearch:memory:40000000;1000;a;b:,"),
        Command::Search { addr: 0x4000_0000, length: 0x1000, pattern: b"a;b:," }
    );
    for packet in [
        &b"qSearch"[..],
        b"qSearch:registers:0;1;a",
        b"qSearch:memory:0;1",
        b"qSearch:memory:0;1;",
        b"qSearch:memory:;1;a",
    ] {
        assert_eq!(refused(packet), "qSearch:memory:address;length;search-pattern");
    }
}

#[test]
fn checksums() {
    assert_eq!(parse(b"qCRC:10,20"), Command::Checksum { addr: 0x10, length: 0x20 });
    assert_eq!(refused(b"qCRC:10"), "qCRC:addr,length");
}

#[test]
fn stoppoints() {
    let insert = |kind, addr, len| {
        let point = Stoppoint { kind, addr, len };
        Command::Insert { point, agent: b"" }
    };

    assert_eq!(parse(b"Z0,40080000,4"), insert(Kind::Software, 0x4008_0000, 4));
    assert_eq!(parse(b"Z1,40080000,4"), insert(Kind::Hardware, 0x4008_0000, 4));
    assert_eq!(parse(b"Z2,10,8"), insert(Kind::Write, 0x10, 8));
    assert_eq!(parse(b"Z3,11,1"), insert(Kind::Read, 0x11, 1));
    let point = Stoppoint { kind: Kind::Access, addr: 0x12, len: 0x10 };
    assert_eq!(parse(b"z4,12,10"), Command::Remove(point));
    assert_eq!(refused(b"Z2,40080000"), "Z2,addr,kind");
    assert_eq!(refused(b"z0"), "z0,addr,kind");
}

#[test]
fn breakpoints_have_conditions_and_commands_and_watchpoints_have_none() {
    let point = Stoppoint { kind: Kind::Software, addr: 0x4008_0000, len: 4 };
    let agent = b";X3,220127;cmds:0,X1,27";

    assert_eq!(parse(b"Z0,40080000,4;X3,220127;cmds:0,X1,27"), Command::Insert { point, agent });
    assert_eq!(refused(b"Z2,40080000,4;X3,220127"), "Z2,addr,kind");
    assert_eq!(refused(b"z0,40080000,4;X3,220127"), "z0,addr,kind");
}

#[test]
fn v_cont() {
    let action = |action, threads| ThreadAction { action: Some(action), threads };

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
    let stay = ThreadAction { action: None, threads: ALL };
    assert_eq!(
        parse(b"vCont;c:2;t"),
        Command::VCont(vec![action(Continue, thread(Part::Any, Part::One(2))), stay])
    );
    for packet in [
        &b"vCont;"[..],
        b"vCont;c;",
        b"vCont;r",
        b"vCont;r1000:1",
        b"vCont;r1000,:1",
        b"vCont;C",
        b"vCont;C5",
        b"vCont;S5",
        b"vCont;c:",
        b"vCont;c:x",
    ] {
        assert_eq!(
            refused(packet),
            "vCont;action[:thread-id]... of c, Csig, s, Ssig, t, rstart,end"
        );
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
    assert_eq!(parse(b"vAttach;1"), Command::Attach { process: 1 });
    assert_eq!(parse(b"vRun;"), Command::Run);
    assert_eq!(parse(b"vRun;2f62696e2f6c73;2d6c"), Command::Run);
    assert_eq!(parse(b"R00"), Command::Restart);
    assert_eq!(parse(b"!"), Command::Extend);
    assert_eq!(refused(b"D1"), "D[;pid]");
    assert_eq!(refused(b"vAttach"), "vAttach;pid");
    assert_eq!(refused(b"vRun"), "vRun;filename[;argument]...");
    assert_eq!(refused(b"vKill;"), "vKill;pid");
}

#[test]
fn symbols_may_be_offered() {
    assert_eq!(parse(b"qSymbol::"), Command::Symbol);
    assert_eq!(parse(b"qSymbol:0:5f74657874"), Command::Symbol);
}

#[test]
fn words_for_the_machine() {
    assert_eq!(parse(b"qRcmd,68656c70"), Command::Monitor(hex(b"68656c70")));
    assert_eq!(refused(b"qRcmd,6"), "qRcmd,command");
}

#[test]
fn lldb_s_own() {
    assert_eq!(parse(b"qHostInfo"), Command::Describe(Described::Host));
    assert_eq!(parse(b"qProcessInfo"), Command::Describe(Described::Process));
    assert_eq!(parse(b"QThreadSuffixSupported"), Command::ThreadSuffix);
    assert_eq!(parse(b"QListThreadsInStopReply"), Command::ListThreads);
    assert_eq!(parse(b"QEnableErrorStrings"), Command::ErrorStrings);
    assert_eq!(parse(b"qRegisterInfo1f"), Command::RegisterInfo { number: 31 });
    assert_eq!(parse(b"jThreadsInfo"), Command::ThreadsInfo);
    assert_eq!(
        parse(b"qThreadStopInfo2"),
        Command::ThreadStopInfo(thread(Part::Any, Part::One(2)))
    );
    assert_eq!(parse(b"qMemoryRegionInfo"), Command::MemoryRegion { addr: None });
    assert_eq!(parse(b"qMemoryRegionInfo:10"), Command::MemoryRegion { addr: Some(16) });
    assert_eq!(parse(b"qWatchpointSupportInfo:"), Command::WatchpointSupport);
    assert_eq!(parse(b"_M1000,rw"), Command::Allocate);
    assert_eq!(parse(b"_m40000000"), Command::Allocate);
}
