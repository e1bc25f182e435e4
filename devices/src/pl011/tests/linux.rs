//! The accesses of Linux's earlycon and amba-pl011 driver, as far as they decide over what was typed ahead.

use super::*;

fn earlycon_print(rig: &mut Rig, line: &[u8]) {
    for byte in line {
        while rig.read(FR) & fr::TXFF != 0 {}
        rig.uart.write(DR, &[*byte]).unwrap();
        while rig.read(FR) & fr::BUSY != 0 {}
    }
}

/// pl011_console_write(): enables the UART for one line.
fn driver_print(rig: &mut Rig, line: &[u8]) {
    let old = rig.read(CR);
    rig.write(CR, old & !cr::CTSEN | cr::UARTEN | cr::TXE);
    for byte in line {
        while rig.read(FR) & fr::TXFF != 0 {}
        rig.write(DR, u32::from(*byte));
    }
    while rig.read(FR) & fr::BUSY != 0 {}
    rig.write(CR, old);
}

/// pl011_startup(); returns what pl011_enable_interrupts() throws away.
fn driver_startup(rig: &mut Rig, mut host: impl FnMut(&mut Rig)) -> Vec<u8> {
    let errors = int::OE | int::BE | int::PE | int::FE;
    rig.write(ICR, errors | int::RT | int::RX);
    let saved = rig.read(IMSC);
    rig.write(IMSC, int::RT | int::RX);
    host(rig);
    rig.write(IMSC, saved);
    rig.write(IFLS, 0x12);
    rig.write(CR, ENABLED);
    host(rig);
    rig.read(FR);
    host(rig);
    rig.write(ICR, int::RT | int::RX);
    host(rig);
    let discarded = rig.drain();
    rig.write(IMSC, int::RT | int::RX);
    discarded
}

#[test]
fn earlycon_prints_to_a_uart_that_nobody_enabled() {
    let mut rig = Rig::new();

    earlycon_print(&mut rig, b"Booting Linux\r\n");

    assert_eq!(rig.wire.sent(), b"Booting Linux\r\n");
}

#[test]
fn what_is_typed_ahead_reaches_the_driver_and_not_its_drain() {
    let mut rig = Rig::new();
    let mut typed = b"uname -a\r".as_slice();
    let mut type_ahead = |rig: &mut Rig| typed = &typed[rig.uart.receive(typed)..];

    earlycon_print(&mut rig, b"early");
    type_ahead(&mut rig);
    rig.write(LCR_H, lcr_h::FEN | lcr_h::WLEN);
    driver_print(&mut rig, b"console");
    type_ahead(&mut rig);
    let discarded = driver_startup(&mut rig, &mut type_ahead);
    assert_eq!(rig.wire.take_invitations(), 1);
    type_ahead(&mut rig);

    assert_eq!(discarded, b"");
    assert!(rig.irq.is_high());
    assert_eq!(rig.drain(), b"uname -a\r");
}

#[test]
fn a_line_printed_while_a_terminal_is_open_does_not_call_the_host() {
    let mut rig = Rig::listening();
    rig.wire.take_invitations();

    driver_print(&mut rig, b"usb 1-1: new device\r\n");

    assert_eq!(rig.wire.take_invitations(), 0);
}
