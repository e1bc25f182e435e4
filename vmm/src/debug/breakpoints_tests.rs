use std::cell::RefCell;

use super::*;

const NOP: [u8; 4] = [0x1f, 0x20, 0x03, 0xd5];
const RET: [u8; 4] = [0xc0, 0x03, 0x5f, 0xd6];
const BRK: [u8; 4] = [0x00, 0x00, 0x20, 0xd4];

/// 32 bytes of RAM at 0x1000, all NOPs.
struct Ram(RefCell<Vec<u8>>);

impl Ram {
    fn new() -> Self {
        Self(RefCell::new(NOP.repeat(8)))
    }
    fn at(&self, ipa: u64) -> [u8; 4] {
        let mut data = [0; 4];
        assert!(self.read(ipa, &mut data));
        data
    }
    fn range(&self, ipa: u64, len: usize) -> Option<std::ops::Range<usize>> {
        let start = ipa.checked_sub(0x1000)? as usize;
        (start + len <= self.0.borrow().len()).then_some(start..start + len)
    }
}

impl Text for Ram {
    fn read(&self, ipa: u64, data: &mut [u8]) -> bool {
        let Some(range) = self.range(ipa, data.len()) else { return false };
        data.copy_from_slice(&self.0.borrow()[range]);
        true
    }
    fn write(&self, ipa: u64, data: &[u8]) -> bool {
        let Some(range) = self.range(ipa, data.len()) else { return false };
        self.0.borrow_mut()[range].copy_from_slice(data);
        true
    }
}

#[test]
fn a_breakpoint_is_in_memory_and_reads_hide_it() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();

    assert!(points.insert(0xffff_8000_0000_1004, 0x1004, &ram));

    assert_eq!(ram.at(0x1004), BRK);
    let mut seen = [0; 12];
    assert!(points.read(0x1000, &mut seen, &ram));
    assert_eq!(seen[..], NOP.repeat(3));
    points.remove(0xffff_8000_0000_1004, &ram);
    assert_eq!(ram.at(0x1004), NOP);
}

#[test]
fn reads_that_cut_a_breakpoint_see_its_original_bytes() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(4, 0x1004, &ram));

    let mut front = [0; 3];
    assert!(points.read(0x1003, &mut front, &ram));
    assert_eq!(front, [NOP[3], NOP[0], NOP[1]]);
    let mut back = [0; 3];
    assert!(points.read(0x1006, &mut back, &ram));
    assert_eq!(back, [NOP[2], NOP[3], NOP[0]]);
}

#[test]
fn a_write_over_a_breakpoint_keeps_it_and_changes_what_comes_back() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(4, 0x1004, &ram));

    assert!(points.write(0x1002, &[0xaa, 0xbb, 0xc0, 0x03, 0x5f, 0xd6, 0xcc], &ram));

    assert_eq!(ram.at(0x1004), BRK);
    assert_eq!(ram.at(0x1008), [0xcc, NOP[1], NOP[2], NOP[3]]);
    points.remove(4, &ram);
    assert_eq!(ram.at(0x1004), RET);
}

#[test]
fn two_addresses_that_share_memory_share_the_brk() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(0x4000_1008, 0x1008, &ram));
    assert!(points.insert(0xffff_0000_0000_1008, 0x1008, &ram));

    points.remove(0x4000_1008, &ram);

    assert_eq!(ram.at(0x1008), BRK);
    assert!(!points.contains(0x4000_1008));
    points.remove(0xffff_0000_0000_1008, &ram);
    assert_eq!(ram.at(0x1008), NOP);
    assert!(!points.is_planted(0x1008));
}

#[test]
fn setting_and_removing_twice_changes_nothing() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, 0x1008, &ram));
    assert!(points.insert(8, 0x1008, &ram));

    points.remove(8, &ram);
    points.remove(8, &ram);

    assert_eq!(ram.at(0x1008), NOP);
}

#[test]
fn what_the_guest_wrote_over_a_brk_stays() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, 0x1008, &ram));

    assert!(ram.write(0x1008, &RET));
    points.clear(&ram);

    assert_eq!(ram.at(0x1008), RET);
}

#[test]
fn lifting_uncovers_the_original_and_replanting_takes_what_is_there_then() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, 0x1008, &ram));

    assert!(points.lift(0x1008, &ram));
    assert_eq!(ram.at(0x1008), NOP);
    assert!(ram.write(0x1008, &RET));
    points.replant(0x1008, &ram);

    assert_eq!(ram.at(0x1008), BRK);
    points.clear(&ram);
    assert_eq!(ram.at(0x1008), RET);
    assert!(!points.lift(0x1008, &ram));
}

#[test]
fn no_memory_no_breakpoint() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();

    assert!(!points.insert(8, 0x9000, &ram));

    assert!(!points.contains(8));
    assert!(!points.is_planted(0x9000));
    assert!(!points.write(0x101e, &[0; 4], &ram));
}
