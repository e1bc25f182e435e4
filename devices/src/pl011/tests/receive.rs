use super::*;

#[test]
fn bytes_come_out_in_order() {
    let mut rig = Rig::listening();

    let taken = rig.uart.receive(b"boot\r");

    assert_eq!(taken, 5);
    assert_eq!(rig.drain(), b"boot\r");
    assert_eq!(rig.read(DR), 0);
}

#[test]
fn a_single_byte_interrupts_by_timeout_until_it_is_read() {
    let mut rig = Rig::listening();

    rig.uart.receive(b"x");

    assert_eq!(rig.read(MIS), int::RT);
    assert!(rig.irq.is_high());
    assert_eq!(rig.read(DR), 0x78);
    assert_eq!(rig.read(RIS), 0);
    assert!(!rig.irq.is_high());
}

#[test]
fn the_receive_interrupt_follows_its_trigger_level_both_ways() {
    for (select, level) in [(0, 4), (1, 8), (2, 16), (3, 24), (4, 28), (7, 28)] {
        let mut rig = Rig::listening();
        rig.write(IFLS, select << 3);
        rig.write(IMSC, int::RX);

        rig.uart.receive(&vec![0; level - 1]);
        assert!(!rig.irq.is_high(), "below {level}");
        rig.uart.receive(&[0]);
        assert!(rig.irq.is_high(), "at {level}");
        rig.read(DR);
        assert!(!rig.irq.is_high(), "below {level} again");
    }
}

#[test]
fn masked_interrupts_show_in_the_raw_status_alone() {
    let mut rig = Rig::listening();
    rig.write(IMSC, int::RX);

    rig.uart.receive(b"x");

    assert_eq!(rig.read(RIS), int::RT);
    assert_eq!(rig.read(MIS), 0);
    assert!(!rig.irq.is_high());
    rig.write(IMSC, int::RT);
    assert_eq!(rig.read(MIS), int::RT);
    assert!(rig.irq.is_high());
    rig.write(IMSC, 0);
    assert!(!rig.irq.is_high());
}

#[test]
fn a_cleared_interrupt_stays_low_until_the_fifo_changes() {
    let mut rig = Rig::listening();
    rig.uart.receive(&[0; 20]);
    assert_eq!(rig.read(RIS), int::RX | int::RT);

    rig.write(ICR, int::RX);
    assert_eq!(rig.read(RIS), int::RT);
    rig.write(ICR, int::RT);
    assert!(!rig.irq.is_high());

    rig.read(DR);
    assert_eq!(rig.read(RIS), int::RX | int::RT);
    assert!(rig.irq.is_high());
}

#[test]
fn the_line_is_driven_on_changes_only() {
    let mut rig = Rig::listening();

    rig.uart.receive(b"a");
    rig.uart.receive(b"b");
    rig.read(MIS);
    rig.drain();
    rig.write(IMSC, 0);

    assert_eq!(rig.irq.history(), [true, false]);
}

#[test]
fn flags_show_how_full_the_fifo_is() {
    let mut rig = Rig::listening();
    let flags = |rig: &mut Rig| rig.read(FR) & (fr::RXFE | fr::RXFF);

    assert_eq!(flags(&mut rig), fr::RXFE);
    rig.uart.receive(&[0; 31]);
    assert_eq!(flags(&mut rig), 0);
    rig.uart.receive(&[0]);
    assert_eq!(flags(&mut rig), fr::RXFF);
}

#[test]
fn a_full_fifo_holds_the_host_back_without_an_overrun() {
    let mut rig = Rig::listening();
    let typed: Vec<u8> = (0..40).collect();

    let taken = rig.uart.receive(&typed);

    assert_eq!(taken, 32);
    assert_eq!(rig.uart.receive_room(), 0);
    assert_eq!(rig.uart.receive(&typed[32..]), 0);
    assert_eq!(rig.read(RIS) & int::OE, 0);
    assert_eq!(rig.read(RSR), 0);
    assert_eq!(rig.drain(), typed[..32]);
}

#[test]
fn the_host_is_called_once_when_a_full_fifo_is_empty() {
    let mut rig = Rig::listening();
    rig.uart.receive(&[0; 32]);
    rig.wire.take_invitations();

    for left in (1..32).rev() {
        rig.read(DR);
        assert_eq!(rig.wire.take_invitations(), 0, "{left} left");
    }
    rig.read(DR);
    assert_eq!(rig.wire.take_invitations(), 1);
}

#[test]
fn without_the_timeout_interrupt_the_host_is_called_once_when_half_of_a_full_fifo_is_free() {
    let mut rig = Rig::listening();
    rig.write(IMSC, int::RX);
    rig.uart.receive(&[0; 32]);
    rig.wire.take_invitations();

    for left in (17..32).rev() {
        rig.read(DR);
        assert_eq!(rig.wire.take_invitations(), 0, "{left} left");
    }
    rig.read(DR);
    assert_eq!(rig.wire.take_invitations(), 1);
    assert_eq!(rig.uart.receive_room(), 16);

    rig.drain();
    assert_eq!(rig.wire.take_invitations(), 0);
}

#[test]
fn a_host_that_was_never_held_back_is_not_called() {
    let mut rig = Rig::listening();
    rig.wire.take_invitations();

    rig.uart.receive(&[0; 31]);
    rig.drain();

    assert_eq!(rig.wire.take_invitations(), 0);
}

#[test]
fn character_mode_takes_one_byte_at_a_time() {
    let mut rig = Rig::in_character_mode();
    rig.wire.take_invitations();

    assert_eq!(rig.uart.receive(b"ab"), 1);
    assert_eq!(rig.read(RIS), int::RX | int::RT);
    assert_eq!(rig.read(FR) & fr::RXFF, fr::RXFF);

    assert_eq!(rig.read(DR), 0x61);
    assert_eq!(rig.read(RIS), 0);
    assert_eq!(rig.wire.take_invitations(), 1);
    assert_eq!(rig.uart.receive(b"b"), 1);
}

#[test]
fn turning_the_fifos_off_keeps_what_they_hold() {
    let mut rig = Rig::listening();
    rig.uart.receive(b"abc");
    rig.write(IMSC, int::RX);
    assert!(!rig.irq.is_high());

    rig.write(LCR_H, 0);
    assert!(rig.irq.is_high());

    // The holding register refills from what is left, and each byte interrupts.
    assert_eq!(rig.uart.receive_room(), 0);
    assert_eq!(rig.read(DR), 0x61);
    assert!(rig.irq.is_high());
    assert_eq!(rig.drain(), b"bc");
    assert!(!rig.irq.is_high());
}

#[test]
fn turning_the_fifos_on_makes_room() {
    let mut rig = Rig::in_character_mode();
    rig.write(IMSC, int::RX);
    rig.uart.receive(b"a");
    rig.wire.take_invitations();

    rig.write(LCR_H, lcr_h::FEN);

    assert_eq!(rig.wire.take_invitations(), 1);
    assert_eq!(rig.uart.receive(b"bc"), 2);
    assert_eq!(rig.drain(), b"abc");
}
