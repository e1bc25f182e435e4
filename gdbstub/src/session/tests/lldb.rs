use crate::aarch64::Register;
use crate::stop::StopReason;
use crate::target::{Kind, TargetError};
use crate::testing::{Client, frame};

/// Past what LLDB starts with.
fn connected(threads: usize) -> Client {
    let mut client = Client::connect(threads);
    for packet in ["QThreadSuffixSupported", "QListThreadsInStopReply", "QEnableErrorStrings"] {
        assert_eq!(client.ask(packet), "OK");
    }
    client
}

#[test]
fn host_and_process_are_described() {
    let mut client = connected(1);

    client.play(
        "> qHostInfo
         < triple:616172636836342d756e6b6e6f776e2d6e6f6e65;ptrsize:8;endian:little;low_mem_addressing_bits:48;high_mem_addressing_bits:52;watchpoint_exceptions_received:before;
         > qProcessInfo
         < pid:1;triple:616172636836342d756e6b6e6f776e2d6e6f6e65;ptrsize:8;endian:little;
         > qWatchpointSupportInfo:
         < num:4;",
    );
}

#[test]
fn register_packets_name_their_thread() {
    let mut client = connected(2);
    client.target.registers[1].insert(Register::Pc, 0x4008_0000_u64.into());

    client.play(
        "> p20;thread:2;
         < 0000084000000000
         > p20;thread:1;
         < 0000000000000000
         > P20=1000000000000000;thread:2;
         < OK
         > p20;thread:3;
         < E03;6e6f207375636820746872656164",
    );
    assert_eq!(client.target.value(1, Register::Pc), 0x10);
    let all = client.ask("g;thread:2;");
    assert_eq!(&all[512..528], "1000000000000000");
    assert_eq!(client.ask(&format!("G{all};thread:1;")), "OK");
    assert_eq!(client.target.value(0, Register::Pc), 0x10);
}

#[test]
fn errors_have_a_text() {
    let mut client = connected(1);

    assert_eq!(client.ask("m50000000,4"), "E0e;6e6f206d656d6f72792061742030783530303030303030");
    assert!(client.ask("_M1000,rw").starts_with("E0c;"));
    assert!(client.ask("_m40000000").starts_with("E0c;"));
}

#[test]
fn a_stop_reply_lists_all_threads() {
    let mut client = connected(2);
    client.target.registers[1].insert(Register::Pc, 0x4008_0000_u64.into());
    client.ask("vCont;c");

    let reply = client.stop(2, StopReason::SwBreak);

    assert!(
        reply.starts_with(
            "T05thread:2;core:1;reason:breakpoint;threads:1,2;thread-pcs:0,40080000;\
             low_mem_addressing_bits:48;high_mem_addressing_bits:52;00:"
        ),
        "{reply}"
    );
}

#[test]
fn each_thread_has_a_stop_reply_of_its_own() {
    let mut client = connected(2);
    client.ask("vCont;s:2");
    client.stop(2, StopReason::Step);

    assert!(client.ask("qThreadStopInfo2").starts_with("T05thread:2;core:1;reason:trace;"));
    assert!(client.ask("qThreadStopInfo1").starts_with("T00thread:1;core:0;reason:none;"));
    assert!(client.ask("qThreadStopInfo3").starts_with("E03;"));
}

#[test]
fn all_threads_come_in_one_packet() {
    let mut client = connected(2);
    client.target.labels[0] = "vCPU \"0\"".to_owned();
    client.target.registers[1].insert(Register::X(1), 0x11_u64.into());

    let json = client.ask("jThreadsInfo");

    assert!(
        json.starts_with(
            "[{\"tid\":1,\"name\":\"vCPU \\\"0\\\"\",\"reason\":\"signal\",\"signal\":5,\
             \"registers\":{\"0\":\"0000000000000000\","
        ),
        "{json}"
    );
    assert!(
        json.contains(
            "{\"tid\":2,\"name\":\"vCPU 1\",\"reason\":\"none\",\"signal\":0,\
             \"registers\":{\"0\":\"0000000000000000\",\"1\":\"1100000000000000\","
        ),
        "{json}"
    );
    assert!(json.ends_with("\"33\":\"00000000\"}}]"), "{json}");
}

#[test]
fn a_watchpoint_has_its_address_in_every_form() {
    let mut client = connected(1);
    client.ask("vCont;c");

    let reply = client.stop(1, StopReason::Watch { kind: Kind::Write, addr: 0x4000_0010 });

    assert!(
        reply.starts_with(
            "T05thread:1;core:0;watch:40000010;reason:watchpoint;threads:1;thread-pcs:0;low_mem_"
        ),
        "{reply}"
    );
    let json = client.ask("jThreadsInfo");
    assert!(
        json.contains("\"reason\":\"watchpoint\",\"signal\":5,\"description\":\"1073741840\","),
        "{json}"
    );
}

#[test]
fn an_lldb_that_knows_of_processes_has_them_where_the_rsp_does() {
    let mut client = connected(2);
    client.ask("qSupported:xmlRegisters=i386,arm,mips,arc;multiprocess+;fork-events+");
    client.ask("vCont;c:p1.-1");

    let reply = client.stop(2, StopReason::SwBreak);

    assert!(
        reply.starts_with(
            "T05thread:p1.2;core:1;reason:breakpoint;threads:1,2;thread-pcs:0,0;low_mem_"
        ),
        "{reply}"
    );
    assert!(client.ask("qThreadStopInfo1").starts_with("T00thread:p1.1;core:0;reason:none;"));
    assert_eq!(client.ask("p20;thread:p1.2;"), "0000000000000000");
}

#[test]
fn a_brace_in_json_is_escaped_on_the_wire() {
    let mut client = connected(1);

    let raw = client.bytes(&frame(b"jThreadsInfo"));

    let data = raw.split('#').next().unwrap();
    assert!(data.ends_with("}]}]]"), "{raw}");
}

#[test]
fn memory_regions_have_permissions_where_something_is_mapped() {
    connected(1).play(
        "> qMemoryRegionInfo
         < OK
         > qMemoryRegionInfo:1000
         < start:0;size:40000000;
         > qMemoryRegionInfo:40000010
         < start:40000000;size:4000;permissions:rx;
         > qMemoryRegionInfo:ffffffffffffffff
         < start:40004000;size:ffffffffbfffbfff;",
    );
}

#[test]
fn registers_are_described_one_by_one() {
    let mut client = connected(1);

    assert_eq!(
        client.ask("qRegisterInfo20"),
        "name:pc;bitsize:64;offset:256;encoding:uint;format:hex;set:General Purpose Registers;\
         ehframe:32;dwarf:32;generic:pc;"
    );
    assert!(client.ask("qRegisterInfo45").starts_with("E16;"));
}

#[test]
fn without_error_strings_an_error_is_a_number() {
    let mut client = Client::connect(1);
    client.target.fail = Some(TargetError::Host("no such ioctl".to_owned()));

    assert_eq!(client.ask("p0;thread:1;"), "E05");
}

#[test]
fn a_kill_is_answered() {
    let mut client = connected(1);

    assert_eq!(client.ask("k"), "X09");
    assert_eq!(client.target.log, ["kill"]);
}

#[test]
fn the_length_of_vectors_comes_with_each_stop() {
    let mut client = connected(1);
    client.target.contents.vector_length = Some(64);
    client.target.contents.has_pauth = true;
    client.target.registers[0].insert(Register::Vg, 8_u64.into());
    client.ask("vCont;c");

    let reply = client.stop(1, StopReason::Step);

    // Behind 34 of the core, 32 z, 16 p, ffr, fpsr and fpcr.
    assert!(reply.ends_with(";21:00000000;55:0800000000000000;"), "{reply}");
    let json = client.ask("jThreadsInfo");
    assert!(json.ends_with("\"33\":\"00000000\",\"85\":\"0800000000000000\"}}]"), "{json}");
}
