//! A32 and T32 at EL0, under a kernel in A64.

use tests::skip;

use super::bare::Walk;
use super::{class, step_through};

/// Whether this CPU has AArch32 at EL0. One that has not prints nothing but three times NZCV and DAIF, and how it left EL0.
fn has_aarch32(walk: &Walk) -> bool {
    walk.words().len() > 12
}

/// Checks that each of these regions was one step, to the label that ends it.
#[track_caller]
fn assert_regions(walk: &Walk, regions: &[(&str, &str)]) {
    for (name, to) in regions {
        let wanted = walk.address(&format!("{name}_{to}_el0"));
        assert_eq!(walk.steps_from(&format!("{name}_el0")), [wanted], "{name}");
    }
}

#[test]
fn a32() {
    let walk = step_through("step_a32");
    if !has_aarch32(&walk) {
        return skip("this CPU has no AArch32 at EL0");
    }

    let wanted = [
        class::SVC32,
        class::UNKNOWN,
        class::DATA_EL0,
        class::BKPT32,
        class::SVC32,
        class::SVC32,
        class::SVC32,
        class::SVC,
    ];
    assert_eq!(walk.classes(), wanted);
    // SETEND: E is bit 9, and in no other exception's SPSR.
    let big_endian: Vec<_> = walk.spsrs().iter().map(|spsr| spsr & 1 << 9 != 0).collect();
    assert_eq!(big_endian, [false, false, false, false, true, false, false, false]);
    let regions = [
        ("plain", "end"),
        ("left", "out"),
        ("declined", "end"),
        ("stored", "end"),
        ("double", "end"),
        ("byte", "end"),
        ("half", "end"),
    ];
    assert_regions(&walk, &regions);
}

#[test]
fn t32() {
    let walk = step_through("step_t32");
    if !has_aarch32(&walk) {
        return skip("this CPU has no AArch32 at EL0");
    }

    let wanted = [
        class::SVC32,
        class::UNKNOWN,
        class::UNKNOWN,
        class::DATA_EL0,
        class::BKPT32,
        class::SVC32,
        class::SVC32,
        class::SVC32,
        class::SVC,
    ];
    assert_eq!(walk.classes(), wanted);
    // The SVC within an IT block has left the block's last instruction to do: ITSTATE is in bits 15:10 and 26:25.
    let it_state: Vec<_> = walk.spsrs().iter().map(|spsr| spsr & 0x600fc00 != 0).collect();
    assert_eq!(it_state, [false, false, false, false, false, true, false, false, false]);
    let regions = [
        ("plain", "end"),
        ("left", "out"),
        ("zero", "out"),
        ("declined", "end"),
        ("stored", "end"),
        ("half", "end"),
    ];
    assert_regions(&walk, &regions);
}
