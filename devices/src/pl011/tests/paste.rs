//! A host and an interrupt-driven guest, each acting only when it is told to.

use super::*;

const PASTE: usize = 100 * 1024;

/// Feeds `paste` to a guest that reads up to `burst` bytes an interrupt; returns what arrived and how often
/// the host was called.
fn paste_into(rig: &mut Rig, paste: &[u8], burst: usize) -> (Vec<u8>, usize) {
    let (mut rest, mut arrived, mut calls) = (paste, Vec::new(), 0);
    // Each round moves a byte at least, or is the last.
    for _ in 0..2 * PASTE {
        let invitations = rig.wire.take_invitations();
        calls += invitations;
        if invitations > 0 {
            rest = &rest[rig.uart.receive(rest)..];
        } else if !rig.irq.is_high() {
            break;
        }
        for _ in 0..burst {
            if rig.read(FR) & fr::RXFE == 0 {
                arrived.push(rig.read(DR) as u8);
            }
        }
    }
    (arrived, calls)
}

fn paste() -> Vec<u8> {
    (0..PASTE).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_100_kb_paste_arrives_whole_with_one_call_per_half_fifo() {
    let mut rig = Rig::listening();

    let (arrived, calls) = paste_into(&mut rig, &paste(), 256);

    assert!(arrived == paste());
    assert!(calls <= PASTE / 16 + 1, "{calls} calls");
}

#[test]
fn a_guest_that_reads_one_byte_an_interrupt_loses_nothing() {
    let mut rig = Rig::listening();

    let (arrived, calls) = paste_into(&mut rig, &paste(), 1);

    assert!(arrived == paste());
    assert!(calls <= PASTE / 16 + 1, "{calls} calls");
}

#[test]
fn a_guest_in_character_mode_loses_nothing() {
    let mut rig = Rig::in_character_mode();

    let (arrived, _) = paste_into(&mut rig, &paste(), 1);

    assert!(arrived == paste());
}

#[test]
fn a_guest_that_waits_for_the_trigger_level_alone_gets_all_but_the_last_bytes() {
    let mut rig = Rig::listening();
    rig.write(IMSC, int::RX);

    let (arrived, _) = paste_into(&mut rig, &paste(), 1);

    assert!(paste().starts_with(&arrived));
    assert!(arrived.len() > PASTE - 16, "{} arrived", arrived.len());
}
