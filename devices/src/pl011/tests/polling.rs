//! Guests that read UARTFR for input, with the receive interrupts masked.

use super::*;

#[test]
fn input_waits_until_an_enabled_guest_has_looked_twice() {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);

    rig.read(FR);
    assert_eq!(rig.uart.receive(b"a"), 0);
    assert_eq!(rig.wire.take_invitations(), 0);

    rig.read(FR);
    assert_eq!(rig.wire.take_invitations(), 1);
    assert_eq!(rig.uart.receive(b"a"), 1);
    assert_eq!(rig.drain(), b"a");
}

#[test]
fn a_guest_that_never_enables_the_uart_is_served_when_it_polls() {
    let mut rig = Rig::new();

    for _ in 0..2 {
        rig.read(FR);
        assert_eq!(rig.uart.receive_room(), 0);
    }
    rig.read(FR);

    assert_eq!(rig.wire.take_invitations(), 1);
    assert_eq!(rig.uart.receive(b"a"), 1);
}

#[test]
fn an_echo_does_not_end_polling() {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);
    rig.write(LCR_H, lcr_h::FEN);
    rig.read(FR);
    rig.read(FR);

    rig.uart.receive(b"a");
    for byte in rig.drain() {
        rig.send(&[byte]);
    }

    assert_eq!(rig.wire.sent(), b"a");
    assert_eq!(rig.uart.receive_room(), 32);
}

#[test]
fn a_prompt_between_polls_does_not_starve_input() {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);

    // One look for room to print, one for input.
    rig.read(FR);
    rig.send(b".");
    rig.read(FR);
    rig.read(FR);
    rig.send(b".");

    assert_eq!(rig.uart.receive(b"a"), 1);
}

#[test]
fn setting_the_uart_up_ends_polling() {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);
    rig.read(FR);
    rig.read(FR);
    rig.wire.take_invitations();

    rig.write(IMSC, 0);
    assert_eq!(rig.uart.receive(b"a"), 0);

    rig.read(FR);
    rig.read(FR);
    assert_eq!(rig.wire.take_invitations(), 1);
}

#[test]
fn waiting_for_the_transmitter_is_not_polling() {
    let mut rig = Rig::new();
    rig.write(CR, ENABLED);
    rig.wire.set_room(0);
    rig.send(b"a");

    for _ in 0..100 {
        rig.read(FR);
    }

    assert_eq!(rig.uart.receive_room(), 0);
}
