use std::cell::RefCell;

use super::*;

const NOP: [u8; 4] = [0x1f, 0x20, 0x03, 0xd5];
const RET: [u8; 4] = [0xc0, 0x03, 0x5f, 0xd6];
const SPACE: AddressSpace = AddressSpace(Some(0x4000_0000));

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

    assert!(points.insert(0xffff_8000_0000_1004, SPACE, Some(0x1004), 0, &ram));

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
    assert!(points.insert(4, SPACE, Some(0x1004), 0, &ram));

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
    assert!(points.insert(4, SPACE, Some(0x1004), 0, &ram));

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
    assert!(points.insert(0x4000_1008, SPACE, Some(0x1008), 0, &ram));
    assert!(points.insert(0xffff_0000_0000_1008, SPACE, Some(0x1008), 0, &ram));

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
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

    points.remove(8, &ram);
    points.remove(8, &ram);

    assert_eq!(ram.at(0x1008), NOP);
}

#[test]
fn what_the_guest_wrote_over_a_brk_stays() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

    assert!(ram.write(0x1008, &RET));
    points.clear(&ram);

    assert_eq!(ram.at(0x1008), RET);
}

#[test]
fn lifting_uncovers_the_original_and_replanting_takes_what_is_there_then() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

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

    assert!(!points.insert(8, SPACE, Some(0x9000), 0, &ram));

    assert!(!points.contains(8));
    assert!(!points.is_planted(0x9000));
    assert!(!points.write(0x101e, &[0; 4], &ram));
}

/// Follows with every address leading to `resolution`.
fn follow(points: &mut Breakpoints, free: usize, resolution: Resolution, ram: &Ram) {
    points.follow(free, |_| true, |_, _| resolution, ram);
}

#[test]
fn what_leads_nowhere_takes_a_register_until_it_leads_to_memory() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();

    assert!(points.insert(8, SPACE, None, 1, &ram));
    assert!(!points.insert(12, SPACE, None, 0, &ram));
    assert_eq!(points.in_registers(), [8]);

    follow(&mut points, 0, Resolution::Unmapped, &ram);
    assert_eq!(points.in_registers(), [8]);
    follow(&mut points, 0, Resolution::At(0x1008, SPACE), &ram);
    assert!(points.in_registers().is_empty());
    assert_eq!(ram.at(0x1008), BRK);
}

#[test]
fn a_breakpoint_moves_with_its_mapping_and_leaves_nothing_behind() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

    follow(&mut points, 0, Resolution::At(0x1010, SPACE), &ram);

    assert_eq!((ram.at(0x1008), ram.at(0x1010)), (NOP, BRK));
    assert!(points.is_planted(0x1010) && !points.is_planted(0x1008));

    // Unmapped, with no register to be had, then with one, then mapped again.
    follow(&mut points, 0, Resolution::Unmapped, &ram);
    assert_eq!(ram.at(0x1010), NOP);
    assert!(points.in_registers().is_empty());
    assert!(points.contains(8));
    follow(&mut points, 1, Resolution::Unmapped, &ram);
    assert_eq!(points.in_registers(), [8]);
    follow(&mut points, 0, Resolution::At(0x1008, SPACE), &ram);
    assert_eq!(ram.at(0x1008), BRK);
}

#[test]
fn what_is_not_worth_a_register_is_gone_with_its_mapping() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));
    assert!(points.insert(12, SPACE, Some(0x100c), 0, &ram));

    points.follow(1, |va| va != 8, |_, _| Resolution::Unmapped, &ram);

    assert!(!points.contains(8));
    assert_eq!(points.in_registers(), [12], "the one register is free for it");
    assert_eq!((ram.at(0x1008), ram.at(0x100c)), (NOP, NOP));
}

#[test]
fn patched_text_becomes_the_original() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

    assert!(ram.write(0x1008, &RET));
    let mut seen = [0; 4];
    assert!(points.read(0x1008, &mut seen, &ram));
    assert_eq!(seen, RET, "the guest's bytes, not the stale original");
    follow(&mut points, 0, Resolution::At(0x1008, SPACE), &ram);

    assert_eq!(ram.at(0x1008), BRK);
    points.remove(8, &ram);
    assert_eq!(ram.at(0x1008), RET);
}

#[test]
fn a_page_put_to_another_use_is_left_alone() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

    // Another process runs, and the page is still what it was.
    follow(&mut points, 1, Resolution::OtherSpace, &ram);
    assert_eq!(ram.at(0x1008), BRK);

    assert!(ram.write(0x1008, b"data"));
    follow(&mut points, 1, Resolution::OtherSpace, &ram);
    assert_eq!(ram.at(0x1008), *b"data");
    assert!(points.in_registers().is_empty());
    assert!(points.contains(8) && !points.belongs(8, SPACE));

    // Back, and not mapped; then mapped.
    follow(&mut points, 1, Resolution::Unmapped, &ram);
    assert_eq!(points.in_registers(), [8]);
    follow(&mut points, 0, Resolution::At(0x1010, SPACE), &ram);
    assert!(points.belongs(8, SPACE) && !points.belongs(8, AddressSpace(None)));
    points.remove(8, &ram);
    assert_eq!(ram.at(0x1008), *b"data");
}

#[test]
fn a_copied_brk_does_not_become_the_original() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(ram.write(0x1008, &RET));
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));

    // The guest moves the page, as it finds it, and frees the old one.
    assert!(ram.write(0x1010, &ram.at(0x1008)));
    follow(&mut points, 0, Resolution::At(0x1010, SPACE), &ram);

    assert_eq!((ram.at(0x1008), ram.at(0x1010)), (RET, BRK));
    points.remove(8, &ram);
    assert_eq!(ram.at(0x1010), RET);
}

#[test]
fn one_of_two_users_moves_and_the_other_keeps_its_brk() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, SPACE, Some(0x1008), 0, &ram));
    assert!(points.insert(0x8008, SPACE, Some(0x1008), 0, &ram));

    let resolve = |va, _| Resolution::At(if va == 8 { 0x1010 } else { 0x1008 }, SPACE);
    points.follow(0, |_| true, resolve, &ram);

    assert_eq!((ram.at(0x1008), ram.at(0x1010)), (BRK, BRK));
    points.clear(&ram);
    assert_eq!((ram.at(0x1008), ram.at(0x1010)), (NOP, NOP));
}

#[test]
fn a_breakpoint_belongs_to_the_space_that_it_was_last_found_in() {
    let ram = Ram::new();
    let mut points = Breakpoints::default();
    assert!(points.insert(8, AddressSpace(None), None, 1, &ram));

    let mut asked = Vec::new();
    for resolution in [Resolution::At(0x1008, SPACE), Resolution::OtherSpace] {
        points.follow(
            0,
            |_| true,
            |_, space| {
                asked.push(space);
                resolution
            },
            &ram,
        );
    }

    assert_eq!(asked, [AddressSpace(None), SPACE]);
    assert_eq!(ram.at(0x1008), BRK);
}
