use crate::aarch64::Register;
use crate::packet::PACKET_SIZE;
use crate::target::{Relocation, TargetError};
use crate::testing::{Client, FakeTarget, frame};

#[test]
fn gdb_reads_binary_behind_a_b() {
    let mut client = Client::connect(1);
    client.target.memory[..6].copy_from_slice(b"ab#$}*");

    assert_eq!(client.bytes(&frame(b"x40000000,6")), "+$bab}\\x03}\\x04}]}\\n#87");
    assert_eq!(client.ask("x40000000,0"), "b");
    assert_eq!(client.ask("x50000000,4"), "E0e");
}

#[test]
fn an_lldb_that_asks_for_nothing_reads_binary_without_it() {
    let mut client = Client::connect(1);
    client.target.memory[..2].copy_from_slice(b"ab");

    client.play(
        "> QThreadSuffixSupported
         < OK
         > x0,0
         < OK
         > x40000000,2
         < ab",
    );
}

#[test]
fn an_lldb_that_does_not_ask_knows_the_b() {
    let mut client = Client::connect(1);
    client.ask("QThreadSuffixSupported");
    client.target.memory[..2].copy_from_slice(b"ab");

    assert_eq!(client.ask("x40000000,2"), "bab");
}

#[test]
fn a_binary_read_of_any_length_gives_packet_size_bytes_at_most() {
    let mut client = Client::connect(1);
    client.target.memory = (0..4 * PACKET_SIZE).map(|_| b'}').collect();

    let raw = client.bytes(&frame(b"x40000000,ffffffff"));

    // Each of them escaped, behind a `b`.
    assert_eq!(raw.len(), "+$b#00".len() + 2 * PACKET_SIZE);
}

#[test]
fn a_binary_read_over_the_end_of_a_mapping_gives_what_there_is() {
    let mut client = Client::connect(1);

    assert_eq!(client.ask("x40003ffe,8"), "b\0\0");
}

#[test]
fn a_search_finds_the_first_place() {
    let mut client = Client::connect(1);
    client.target.memory[0x123..0x126].copy_from_slice(b"a;b");
    client.target.memory[0x200..0x203].copy_from_slice(b"a;b");

    client.play(
        "> qSearch:memory:40000000;1000;a;b
         < 1,40000123
         > qSearch:memory:40000124;1000;a;b
         < 1,40000200
         > qSearch:memory:40000201;1000;a;b
         < 0",
    );
}

#[test]
fn a_match_lies_wholly_inside_the_range() {
    let mut client = Client::connect(1);
    client.target.memory[0xffe..0x1001].copy_from_slice(b"abc");

    assert_eq!(client.ask("qSearch:memory:40000000;1000;abc"), "0");
    assert_eq!(client.ask("qSearch:memory:40000000;1001;abc"), "1,40000ffe");
}

#[test]
fn a_search_finds_what_lies_across_chunks() {
    let mut client = Client::connect(1);
    client.target.memory = vec![0; 3 * PACKET_SIZE];
    for at in [PACKET_SIZE - 2, 2 * PACKET_SIZE - 1] {
        client.target.memory[at..at + 3].copy_from_slice(b"abc");
    }

    assert_eq!(client.ask("qSearch:memory:40000000;30000;abc"), "1,4000fffe");
    assert_eq!(client.ask("qSearch:memory:4000ffff;20000;abc"), "1,4001ffff");
}

#[test]
fn a_search_of_what_is_not_there_is_an_error_unless_it_finds_before() {
    let mut client = Client::connect(1);
    client.target.memory[..3].copy_from_slice(b"abc");
    client.ask("qSupported:error-message+");

    client.play(
        "> qSearch:memory:40000000;10000000;abc
         < 1,40000000
         > qSearch:memory:40000000;10000000;xyz
         < E.no memory at 0x40004000
         > qSearch:memory:0;10000001;xyz
         < E.0x10000001 bytes of memory, expected at most 0x10000000
         > qSearch:memory:0;0;x
         < E.0x0 bytes at 0x0, expected at least one and none past 2^64",
    );
}

#[test]
fn a_checksum_is_that_of_the_manual() {
    let mut client = Client::connect(1);
    client.target.memory[..9].copy_from_slice(b"123456789");

    // The check value of CRC-32/MPEG-2.
    assert_eq!(client.ask("qCRC:40000000,9"), "C376e6e7");
    assert_eq!(client.ask(&format!("qCRC:40000000,{:x}", FakeTarget::SIZE + 1)), "E0e");
}

#[test]
fn registers_that_a_thread_does_not_have_are_x() {
    let mut client = Client::connect(1);
    client.target.unavailable = vec![Register::Cpsr];

    let all = client.ask("g");

    assert_eq!(all.len(), 2 * 788);
    assert_eq!(&all[528..536], "xxxxxxxx");
    assert_eq!(all.replace('x', ""), "0".repeat(all.len() - 8));
    assert_eq!(client.ask("p21"), "xxxxxxxx");
    assert!(!client.ask("?").contains(";21:"));
}

#[test]
fn a_register_that_the_host_fails_to_read_is_an_error() {
    let mut client = Client::connect(1);
    client.target.fail = Some(TargetError::Host("no such ioctl".to_owned()));

    assert_eq!(client.ask("p21"), "E05");
}

#[test]
fn offsets_are_in_the_form_that_the_client_understands_or_unknown() {
    for (text, slide, gdb, lldb) in [
        (None, None, "", ""),
        (None, Some(0), "Text=0;Data=0;Bss=0", "Text=0;Data=0;Bss=0"),
        (Some(0x8000_0000), Some(0), "Text=0;Data=0;Bss=0", "Text=0;Data=0;Bss=0"),
        (
            Some(0x9234_0000),
            Some(0x1234_0000),
            "TextSeg=92340000",
            "Text=12340000;Data=12340000;Bss=12340000",
        ),
        // Seen in the guest by somebody who does not have the symbols.
        (Some(0x9234_0000), None, "TextSeg=92340000", ""),
    ] {
        let mut client = Client::connect(1);
        client.target.relocation = Relocation { text, slide };

        assert_eq!(client.ask("qOffsets"), gdb);
        client.ask("QThreadSuffixSupported");
        assert_eq!(client.ask("qOffsets"), lldb);
    }
}

#[test]
fn the_program_is_named_if_it_is_known() {
    let mut client = Client::connect(1);

    assert!(!client.ask("qSupported").contains("exec-file"));
    assert_eq!(client.ask("qXfer:exec-file:read:1:0,1000"), "");
    client.target.exec_file = Some("/a/vmlinux".to_owned());
    assert!(client.ask("qSupported").contains(";qXfer:exec-file:read+"));
    assert_eq!(client.ask("qXfer:exec-file:read:1:0,1000"), "l/a/vmlinux");
    assert_eq!(client.ask("qXfer:exec-file:read:1:1,4"), "ma/vm");
}

#[test]
fn memory_packets_take_physical_addresses_when_told_to() {
    let mut client = Client::connect(1);
    client.target.memory[..5].copy_from_slice(b"12345");

    client.play(
        "> qqemu.Supported
         < PhyMemMode
         > qqemu.PhyMemMode
         < 0
         > Qqemu.PhyMemMode:1
         < OK
         > qqemu.PhyMemMode
         < 1
         > m0,3
         < 313233
         > m40000000,3
         < E0e
         > x1,2
         < b23
         > M0,1:39
         < OK
         > X1,1:8
         < OK
         > qSearch:memory:0;10;34
         < 1,2
         > Qqemu.PhyMemMode:0
         < OK
         > m40000000,5
         < 3938333435
         > m0,1
         < E0e
         > Qqemu.PhyMemMode
         < E16
         > Qqemu.PhyMemMode:x
         < E16",
    );
}

#[test]
fn the_next_client_has_virtual_addresses_again() {
    let mut client = Client::connect(1);
    assert_eq!(client.ask("Qqemu.PhyMemMode:1"), "OK");

    assert_eq!(Client::connect(1).ask("qqemu.PhyMemMode"), "0");
}
