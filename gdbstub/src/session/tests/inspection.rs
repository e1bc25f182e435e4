use crate::aarch64::Register;
use crate::packet::PACKET_SIZE;
use crate::stop::StopReason;
use crate::target::{Target, TargetError};
use crate::testing::{Client, frame};

#[test]
fn threads_are_listed_in_the_syntax_negotiated() {
    Client::connect(3).play(
        "> qfThreadInfo
         < m1,2,3
         > qsThreadInfo
         < l
         > qC
         < QC1",
    );
    Client::connect_gdb(3).play(
        "> qfThreadInfo
         < mp1.1,p1.2,p1.3
         > qsThreadInfo
         < l
         > qC
         < QCp1.1",
    );
}

#[test]
fn threads_are_alive_or_do_not_exist() {
    Client::connect_gdb(2).play(
        "> Tp1.2
         < OK
         > Tp1.3
         < E03
         > Tp2.1
         < E03
         > Hgp1.3
         < E03
         > Hcp1.3
         < E03",
    );
}

#[test]
fn a_thread_has_words_for_a_person() {
    Client::connect(2).play(
        "> qThreadExtraInfo,2
         < 764350552031
         > qThreadExtraInfo,3
         < E03",
    );
}

#[test]
fn registers_are_those_of_the_thread_selected() {
    let mut client = Client::connect(2);
    client.target.registers[1].insert(Register::Pc, 0x4008_0000_u64.into());

    client.play(
        "> p20
         < 0000000000000000
         > Hg2
         < OK
         > p20
         < 0000084000000000
         > Hg0
         < OK
         > p20
         < 0000084000000000
         > qC
         < QC2",
    );
}

#[test]
fn a_stop_selects_its_thread() {
    let mut client = Client::connect_gdb(2);
    client.ask("vCont;c");
    client.stop(2, StopReason::SwBreak);

    assert_eq!(client.ask("qC"), "QCp1.2");
}

#[test]
fn one_register_of_each_size_is_read_and_written() {
    let mut client = Client::connect(1);

    client.play(
        "> P1d=8877665544332211
         < OK
         > p1d
         < 8877665544332211
         > P21=c5030000
         < OK
         > p21
         < c5030000
         > P22=0102030405060708090a0b0c0d0e0f10
         < OK
         > p22
         < 0102030405060708090a0b0c0d0e0f10",
    );

    let value = |reg| client.target.value(0, reg);
    assert_eq!(value(Register::X(29)), 0x1122_3344_5566_7788);
    assert_eq!(value(Register::Cpsr), 0x3c5);
    assert_eq!(value(Register::V(0)), 0x100f_0e0d_0c0b_0a09_0807_0605_0403_0201);
}

#[test]
fn registers_of_the_wrong_number_or_size_are_refused() {
    let mut client = Client::connect(1);
    client.ask("qSupported:error-message+");

    client.play(
        "> p45
         < E.no register has number 0x45
         > Pffffffff=00
         < E.no register has number 0xffffffff
         > P0=00000000
         < E.0x4 bytes of register, expected 0x8
         > G00
         < E.0x1 bytes of register, expected 0x314",
    );
}

#[test]
fn all_registers_are_read_and_written() {
    let mut client = Client::connect(1);
    let digits = "0011223344556677".repeat(98) + "8899aabb";

    assert_eq!(client.ask(&format!("G{digits}")), "OK");
    assert_eq!(client.ask("g"), digits);
    assert_eq!(client.target.value(0, Register::X(0)), 0x7766_5544_3322_1100);
    assert_eq!(client.target.value(0, Register::Fpcr), 0xbbaa_9988);
}

#[test]
fn a_target_that_cannot_give_registers_gives_an_error() {
    let mut client = Client::connect(1);
    client.target.fail = Some(TargetError::Host("no such ioctl".to_owned()));

    assert_eq!(client.ask("g"), "E05");
}

#[test]
fn memory_is_written_in_hex_and_in_binary() {
    let mut client = Client::connect(1);

    client.play(
        "> M40000000,4:1f2003d5
         < OK
         > X40000004,4:#$}*
         < OK
         > m40000000,9
         < 1f2003d523247d2a00",
    );
}

#[test]
fn clients_find_out_about_binary_writes_by_writing_nothing() {
    assert_eq!(Client::connect(1).ask("X0,0:"), "OK");
}

#[test]
fn a_read_over_the_end_of_a_mapping_gives_what_there_is() {
    let mut client = Client::connect(1);

    client.play(
        "> m40003ffe,8
         < 0000
         > m40004000,8
         < E0e
         > M40003fff,2:ffff
         < E0e",
    );
}

#[test]
fn ranges_stay_inside_the_address_space() {
    let mut client = Client::connect(1);
    client.ask("qSupported:error-message+");

    client.play(
        "> mfffffffffffffffe,8
         < E.no memory at 0xfffffffffffffffe
         > m0,ffffffffffffffff
         < E.no memory at 0x0
         > Mffffffffffffffff,2:0000
         < E.0x2 bytes at 0xffffffffffffffff, expected at least one and none past 2^64
         > m40000000,0
         < E.0x0 bytes at 0x40000000, expected at least one and none past 2^64",
    );
}

#[test]
fn a_read_of_any_length_fills_one_packet_at_most() {
    let mut client = Client::connect(1);
    client.target.memory = vec![0; 4 * PACKET_SIZE];

    let reply = client.ask("m40000000,ffffffff");

    assert_eq!(reply.len(), PACKET_SIZE);
}

#[test]
fn the_target_description_comes_in_parts_that_make_it_up() {
    let mut client = Client::connect(1);
    let mut document = String::new();

    loop {
        let offset = document.len();
        let part = client.ask(&format!("qXfer:features:read:target.xml:{offset:x},3f0"));
        document += &part[1..];
        if part.starts_with('l') {
            break;
        }
        assert!(part.starts_with('m'));
        assert_eq!(part.len(), 1 + 0x3f0);
    }

    assert_eq!(document, client.target.description().xml(false));
}

#[test]
fn parts_at_and_past_the_end_of_a_document() {
    let mut client = Client::connect(1);
    let end = client.target.description().xml(false).len();

    assert_eq!(client.ask(&format!("qXfer:features:read:target.xml:{end:x},10")), "l");
    assert_eq!(client.ask(&format!("qXfer:features:read:target.xml:{:x},10", end + 1)), "E16");
    assert_eq!(client.ask("qXfer:features:read:target.xml:ffffffffffffffff,10"), "E16");
}

#[test]
fn an_unknown_annex_has_the_error_the_manual_gives_it() {
    assert_eq!(Client::connect(1).ask("qXfer:features:read:core.xml:0,10"), "E00");
}

#[test]
fn a_document_part_of_any_length_fits_a_packet() {
    let mut client = Client::connect(1);
    client.target.labels[0] = "}".repeat(2 * PACKET_SIZE);

    let raw = client.bytes(&frame(b"qXfer:threads:read::100,ffffffff"));

    assert!(raw.starts_with("+$m"));
    assert!(raw.len() <= "+$#00".len() + PACKET_SIZE, "{}", raw.len());
}
