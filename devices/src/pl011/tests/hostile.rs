use super::*;

const WIDTHS: [usize; 5] = [1, 2, 3, 4, 8];

/// Values of a xorshift generator (Marsaglia 2003): arbitrary, the same in every run.
fn arbitrary(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn every_offset_takes_every_width_in_either_state_of_the_fifos() {
    for mut rig in [Rig::new(), Rig::listening(), Rig::in_character_mode()] {
        rig.wire.set_room(3);
        for offset in 0..0x1010 {
            for width in WIDTHS {
                let _ = rig.uart.read(offset, &mut vec![0; width]);
                let _ = rig.uart.write(offset, &vec![0xff; width]);
            }
        }
        let _ = rig.uart.read(u64::MAX, &mut []);
        let _ = rig.uart.write(u64::MAX, &[]);

        assert_eq!(rig.read(0xfe8), 0x34);
    }
}

#[test]
fn no_sequence_of_accesses_breaks_what_the_guest_and_the_host_rely_on() {
    let mut rig = Rig::new();
    let mut next = arbitrary(0x9e37_79b9_7f4a_7c15);
    let mut held_back = true;

    for _ in 0..200_000 {
        let value = next();
        match value & 7 {
            0 => rig.wire.set_room((value >> 8 & 0x3f) as usize),
            1 => rig.uart.transmit_ready(),
            2 => {
                let room = rig.uart.receive_room();
                assert!(room <= 32);
                let offered = (value >> 8 & 0x3f) as usize;
                assert_eq!(rig.uart.receive(&vec![0; offered]), room.min(offered));
            }
            3 | 4 => {
                let _ = rig.uart.read(value >> 8 & 0x7c, &mut [0; 4]);
            }
            _ => {
                let offset = value >> 8 & 0x7c;
                let _ = rig.uart.write(offset, &(value >> 32).to_le_bytes()[..4]);
            }
        }

        assert_eq!(rig.irq.is_high(), rig.read(MIS) != 0);
        // A host that was held back is called, once, by the time the FIFO is empty, or half of it is free
        // where the guest may wait for the trigger level.
        let (invitations, room) = (rig.wire.take_invitations(), rig.uart.receive_room());
        assert!(invitations <= usize::from(held_back));
        held_back = room == 0 || held_back && invitations == 0;
        let enough = if rig.read(IMSC) & int::RT != 0 { 32 } else { 16 };
        assert!(!held_back || room < enough);
    }

    let levels = rig.irq.history();
    assert!(levels.len() > 100);
    assert!(levels.iter().step_by(2).all(|high| *high));
    assert!(levels.iter().skip(1).step_by(2).all(|high| !high));
    rig.write(CR, ENABLED);
    assert!(rig.drain().len() <= 32);
    let sent = rig.wire.sent().len();
    rig.wire.set_room(usize::MAX);
    rig.uart.transmit_ready();
    assert!(rig.wire.sent().len() - sent <= 32);
}
