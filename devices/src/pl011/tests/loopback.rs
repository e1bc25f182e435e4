use super::*;

const LOOPED: u32 = ENABLED | cr::LBE;

fn looped() -> Rig {
    let mut rig = Rig::listening();
    rig.write(CR, LOOPED);
    rig
}

#[test]
fn what_is_sent_comes_back_and_does_not_leave() {
    let mut rig = looped();

    rig.send(b"echo");

    assert_eq!(rig.read(RIS) & (int::RT | int::TX), int::RT | int::TX);
    assert_eq!(rig.drain(), b"echo");
    assert!(rig.wire.sent().is_empty());
}

#[test]
fn the_host_is_held_back_meanwhile_and_called_afterwards() {
    let mut rig = looped();
    rig.wire.take_invitations();

    assert_eq!(rig.uart.receive(b"typed"), 0);
    rig.write(CR, ENABLED);

    assert_eq!(rig.wire.take_invitations(), 1);
    assert_eq!(rig.uart.receive(b"typed"), 5);
    assert_eq!(rig.drain(), b"typed");
}

#[test]
fn bytes_wait_for_room_in_the_receive_fifo() {
    let mut rig = looped();
    let bytes: Vec<u8> = (0..64).collect();

    rig.send(&bytes);

    assert_eq!(rig.read(FR) & (fr::RXFF | fr::TXFF), fr::RXFF | fr::TXFF);
    assert_eq!(rig.drain(), bytes);
}

#[test]
fn character_mode_loops_one_byte_at_a_time() {
    let mut rig = Rig::in_character_mode();
    rig.write(CR, LOOPED);

    rig.send(b"ab");

    assert_eq!(rig.read(DR), 0x61);
    assert_eq!(rig.read(DR), 0x62);
    assert_eq!(rig.read(FR) & fr::RXFE, fr::RXFE);
}

#[test]
fn what_still_waits_leaves_when_the_line_is_turned_around() {
    let mut rig = looped();
    rig.send(&[b'a'; 32]);
    rig.send(b"b");

    rig.write(CR, ENABLED);

    assert_eq!(rig.wire.sent(), b"b");
    assert_eq!(rig.drain(), [b'a'; 32]);
}

#[test]
fn modem_outputs_drive_the_inputs() {
    let modem = fr::CTS | fr::DSR | fr::DCD | fr::RI;
    for (output, input) in
        [(cr::RTS, fr::CTS), (cr::DTR, fr::DSR), (cr::OUT1, fr::DCD), (cr::OUT2, fr::RI)]
    {
        let mut rig = looped();

        rig.write(CR, LOOPED | output);

        assert_eq!(rig.read(FR) & modem, input);
    }
}

#[test]
fn a_modem_input_that_changes_interrupts_until_cleared() {
    let all = int::CTS | int::DSR | int::DCD | int::RI;
    for (output, interrupt) in
        [(cr::RTS, int::CTS), (cr::DTR, int::DSR), (cr::OUT1, int::DCD), (cr::OUT2, int::RI)]
    {
        let mut rig = looped();
        rig.write(ICR, all);
        rig.write(IMSC, all);

        rig.write(CR, LOOPED | output);
        assert_eq!(rig.read(MIS), interrupt);
        assert!(rig.irq.is_high());

        rig.write(ICR, interrupt);
        assert!(!rig.irq.is_high());
        rig.write(CR, LOOPED);
        assert_eq!(rig.read(MIS), interrupt);
    }
}
