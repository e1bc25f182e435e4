//! Guests whose reads are answered from a copy of the registers, and whose writes of UARTDR come later.

use super::*;

/// FIFOs on, and one character sent.
fn steady() -> Rig {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);
    rig.write(LCR_H, lcr_h::FEN);
    rig.send(b"a");
    rig
}

#[test]
fn the_copy_is_what_reads_return() {
    let mut rig = steady();
    rig.write(IBRD, 0x1234);
    rig.write(IMSC, int::TX);

    let copy: Vec<(u64, u32)> = rig.uart.registers().collect();

    let offsets = (0..0x1000).filter(|offset| rig.uart.read(*offset, &mut [0; 4]).is_ok());
    let offsets: Vec<u64> = offsets.collect();
    assert_eq!(copy.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), offsets);
    for (offset, value) in copy {
        assert_eq!(value, rig.read(offset), "{offset:#x}");
    }
}

#[test]
fn to_copy_a_received_byte_does_not_take_it() {
    let mut rig = Rig::listening();
    rig.uart.receive(b"ab");

    let copy: Vec<(u64, u32)> = rig.uart.registers().collect();

    assert_eq!(copy.first(), Some(&(DR, b'a'.into())));
    assert_eq!(rig.drain(), b"ab");
}

#[test]
fn a_uart_is_steady_once_it_has_sent() {
    let mut rig = Rig::new();
    assert!(!rig.uart.is_steady(), "the first character raises UARTTXINTR");

    rig.send(b"a");

    assert!(rig.uart.is_steady());
}

#[test]
fn what_a_read_or_a_character_would_change_is_not_steady() {
    let mut received = Rig::listening();
    received.send(b"a");
    received.uart.receive(b"b");
    assert!(!received.uart.is_steady(), "a read of UARTDR takes a byte");

    let mut looped = steady();
    looped.write(CR, ENABLED | cr::LBE);
    assert!(!looped.uart.is_steady(), "a character comes back");

    let mut cleared = steady();
    cleared.write(ICR, int::TX);
    assert!(!cleared.uart.is_steady(), "a character raises UARTTXINTR");

    let mut held_up = steady();
    held_up.wire.set_room(0);
    held_up.send(b"b");
    assert!(!held_up.uart.is_steady(), "the FIFO fills");
}

#[test]
fn posted_characters_leave_as_written_ones_do() {
    let mut rig = steady();
    rig.write(IMSC, int::TX);
    let history = rig.irq.history().len();

    rig.uart.send_posted(b"bcd");

    assert_eq!(rig.wire.sent(), b"abcd");
    assert!(rig.uart.is_steady());
    assert_eq!(rig.irq.history().len(), history, "nothing has changed");
}

#[test]
fn posted_characters_that_the_host_does_not_take_wait_however_many() {
    let mut rig = steady();
    rig.write(IMSC, int::TX);
    let posted: Vec<u8> = (0..170).collect();
    rig.wire.set_room(100);

    rig.uart.send_posted(&posted);

    assert_eq!(rig.wire.sent().len(), 101);
    assert_eq!(rig.read(FR) & (fr::TXFF | fr::BUSY | fr::TXFE), fr::TXFF | fr::BUSY);
    assert!(!rig.irq.is_high(), "above the trigger level");
    rig.wire.set_room(1000);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent()[1..], posted);
    assert!(rig.irq.is_high());
}

#[test]
fn a_guest_that_has_been_told_of_room_finds_it() {
    let mut rig = steady();
    rig.wire.set_room(0);
    rig.uart.send_posted(b"bcd");

    // A FIFO's depth, on the strength of a look at the copy.
    rig.send(&[b'e'; 32]);

    assert_eq!(rig.read(FR) & fr::TXFF, fr::TXFF);
    assert!(rig.uart.write(DR, b"f").is_err(), "it has looked");
    rig.wire.set_room(100);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent(), [&b"abcd"[..], &[b'e'; 32]].concat());
}

#[test]
fn posted_characters_do_not_end_polling_and_others_do_not_begin_it() {
    let mut rig = steady();
    rig.read(FR);
    rig.uart.send_posted(b"b");
    rig.read(FR);
    assert_eq!(rig.uart.receive_room(), 0);

    rig.read(FR);
    rig.uart.send_posted(b"c");
    assert_eq!(rig.uart.receive_room(), 32);
}
