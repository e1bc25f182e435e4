use super::*;
use crate::wire::Wire;

/// FIFOs on, transmit interrupt unmasked, half full as trigger level.
fn transmitting() -> Rig {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);
    rig.write(LCR_H, lcr_h::FEN);
    rig.write(IMSC, int::TX);
    rig
}

#[test]
fn bytes_leave_at_once_even_from_a_disabled_uart() {
    let mut rig = Rig::new();
    rig.write(CR, 0);

    rig.send(b"ok");

    assert_eq!(rig.wire.sent(), b"ok");
    assert_eq!(rig.read(FR) & (fr::TXFE | fr::TXFF | fr::BUSY), fr::TXFE);
}

#[test]
fn nothing_sent_raises_nothing() {
    let mut rig = transmitting();

    rig.uart.transmit_ready();

    assert_eq!(rig.read(RIS), 0);
    assert!(rig.irq.history().is_empty());
}

#[test]
fn a_byte_that_left_interrupts_until_cleared() {
    let mut rig = transmitting();

    rig.send(b"a");

    assert_eq!(rig.read(MIS), int::TX);
    assert!(rig.irq.is_high());
    rig.write(ICR, int::TX);
    assert!(!rig.irq.is_high());
    rig.send(b"b");
    assert!(rig.irq.is_high());
}

#[test]
fn a_busy_host_fills_the_fifo_and_then_gets_everything_in_order() {
    let mut rig = transmitting();
    let bytes: Vec<u8> = (0..32).collect();
    rig.wire.set_room(0);

    rig.send(&bytes);
    assert_eq!(rig.read(FR) & (fr::TXFE | fr::TXFF | fr::BUSY), fr::TXFF | fr::BUSY);

    rig.wire.set_room(5);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent(), bytes[..5]);
    assert_eq!(rig.read(FR) & (fr::TXFE | fr::TXFF | fr::BUSY), fr::BUSY);

    rig.wire.set_room(100);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent(), bytes);
    assert_eq!(rig.read(FR) & (fr::TXFE | fr::TXFF | fr::BUSY), fr::TXFE);
}

#[test]
fn the_transmit_interrupt_follows_its_trigger_level_both_ways() {
    for (select, level) in [(0, 4), (1, 8), (2, 16), (3, 24), (4, 28), (7, 28)] {
        let mut rig = transmitting();
        rig.write(IFLS, select);
        rig.send(b"a");
        rig.wire.set_room(0);

        rig.send(&vec![0; level]);
        assert!(rig.irq.is_high(), "at {level}");
        rig.send(&[0]);
        assert!(!rig.irq.is_high(), "above {level}");
        rig.wire.set_room(1);
        rig.uart.transmit_ready();
        assert!(rig.irq.is_high(), "at {level} again");
    }
}

#[test]
fn a_host_that_stays_busy_raises_nothing() {
    let mut rig = transmitting();
    rig.wire.set_room(0);

    rig.send(b"abc");
    rig.uart.transmit_ready();

    assert_eq!(rig.read(RIS), 0);
}

#[test]
fn a_byte_for_a_full_fifo_is_lost_and_refused() {
    let mut rig = transmitting();
    rig.wire.set_room(0);
    rig.send(&[b'a'; 32]);

    let outcome = rig.uart.write(DR, b"b");

    assert!(outcome.is_err());
    rig.wire.set_room(100);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent(), [b'a'; 32]);
}

#[test]
fn character_mode_interrupts_for_each_byte() {
    let mut rig = Rig::new();
    rig.write(IMSC, int::TX);
    rig.wire.set_room(0);

    rig.send(b"a");
    assert_eq!(rig.read(FR) & fr::TXFF, fr::TXFF);
    assert!(!rig.irq.is_high());

    rig.wire.set_room(1);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent(), b"a");
    assert!(rig.irq.is_high());
}

#[test]
fn turning_the_fifos_off_keeps_what_waits() {
    let mut rig = transmitting();
    rig.wire.set_room(0);
    rig.send(b"abc");

    rig.write(LCR_H, 0);
    assert_eq!(rig.read(FR) & fr::TXFF, fr::TXFF);

    rig.wire.set_room(100);
    rig.uart.transmit_ready();
    assert_eq!(rig.wire.sent(), b"abc");
}

#[test]
fn a_host_that_claims_more_than_it_was_given_is_survived() {
    struct Boaster;
    impl Wire for Boaster {
        fn transmit(&mut self, _: &[u8]) -> usize {
            usize::MAX
        }
        fn receive_ready(&mut self) {}
    }
    let mut uart = Pl011::new(Box::new(FakeLine::default()), Box::new(Boaster));
    let mut flags = [0; 2];

    uart.write(DR, b"a").unwrap();

    uart.read(FR, &mut flags).unwrap();
    assert_eq!(u32::from(u16::from_le_bytes(flags)) & fr::TXFE, fr::TXFE);
}
