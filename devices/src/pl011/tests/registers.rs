use super::*;

#[test]
fn reset_values_are_those_of_the_manual() {
    let mut rig = Rig::new();

    // TRM table 3-1. UARTFR: both FIFOs empty, modem inputs of a ready terminal.
    assert_eq!(rig.read(FR), 0x097);
    assert_eq!(rig.read(CR), 0x0300);
    assert_eq!(rig.read(IFLS), 0x12);
    for offset in [DR, RSR, ILPR, IBRD, FBRD, LCR_H, IMSC, RIS, MIS, ICR, DMACR] {
        assert_eq!(rig.read(offset), 0, "{offset:#x}");
    }
}

#[test]
fn identification_says_r1p5_with_32_deep_fifos() {
    let mut rig = Rig::new();

    let id: Vec<_> = (0xfe0..=0xffc).step_by(4).map(|offset| rig.read(offset)).collect();

    assert_eq!(id, [0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
    // Linux: periphid 0x00041011 under mask 0x000fffff; revision 3 and later have 32-deep FIFOs.
    let periphid = id[0] | id[1] << 8 | id[2] << 16 | id[3] << 24;
    assert_eq!(periphid & 0x000f_ffff, 0x0004_1011);
    assert_eq!(periphid >> 20 & 0xf, 3);
}

#[test]
fn programmed_values_read_back_without_reserved_bits() {
    let mut rig = Rig::new();
    let expected = [
        (ILPR, 0xff),
        (IBRD, 0xffff),
        (FBRD, 0x3f),
        (LCR_H, 0xff),
        (CR, 0xff87),
        (IFLS, 0x3f),
        (IMSC, 0x7ff),
        (DMACR, 0x7),
    ];

    for (offset, _) in expected {
        rig.write(offset, 0xffff_ffff);
    }

    for (offset, value) in expected {
        assert_eq!(rig.read(offset), value, "{offset:#x}");
    }
}

#[test]
fn writes_to_read_only_registers_change_nothing() {
    let mut rig = Rig::new();

    for offset in [FR, RIS, MIS, 0xfe0, 0xffc] {
        let before = rig.read(offset);
        rig.write(offset, 0xffff_ffff);
        assert_eq!(rig.read(offset), before, "{offset:#x}");
    }
}

#[test]
fn narrow_accesses_reach_the_low_bits() {
    let mut rig = Rig::new();
    let (mut byte, mut half) = ([0; 1], [0; 2]);

    rig.uart.write(DR, &[0x41]).unwrap();
    rig.uart.write(CR, &[0x01, 0x03]).unwrap();
    rig.uart.read(CR, &mut half).unwrap();
    rig.uart.read(0xfe8, &mut byte).unwrap();

    assert_eq!(rig.wire.sent(), [0x41]);
    assert_eq!(half, [0x01, 0x03]);
    assert_eq!(byte, [0x34]);
}

#[test]
fn offsets_without_a_register_are_refused() {
    let mut rig = Rig::new();
    let refused = Err(Refused("no register at this offset"));

    // Reserved, unaligned, integration test, behind the last.
    for offset in [0x008, 0x01c, 0x04c, 0x001, 0x032, 0x080, 0x08c, 0xfdc, 0x1000] {
        assert_eq!(rig.uart.read(offset, &mut [0; 4]), refused, "{offset:#x}");
        assert_eq!(rig.uart.write(offset, &[0; 4]), refused, "{offset:#x}");
    }
}

#[test]
fn doublewords_are_refused() {
    let mut rig = Rig::new();

    assert!(rig.uart.read(FR, &mut [0; 8]).is_err());
    assert!(rig.uart.write(DR, &[0x41; 8]).is_err());

    assert!(rig.wire.sent().is_empty());
}
