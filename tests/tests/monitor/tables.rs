//! `translate` and `pagetable`, on tables that the test writes.

use crate::routines::Routines;

/// The first page of the guest's upper half.
const WINDOW: u64 = 0xffffffff00000000;
/// AF, inner shareable, attribute 1, page.
const PAGE: u64 = 0x707;
const READ_ONLY: u64 = 1 << 7;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;

fn start() -> Routines {
    let mut guest = Routines::start("remap", &[]);
    let mmu_on = guest.at("mmu_on");
    guest.result(mmu_on, &[]);
    guest
}

/// Has the guest write descriptors of pages from the window on.
fn map(guest: &mut Routines, descriptors: &[u64]) {
    let (map, table) = (guest.at("map"), guest.at("high_3"));
    for (at, descriptor) in (table..).step_by(8).zip(descriptors) {
        guest.result(map, &[at, *descriptor]);
    }
}

#[test]
fn a_walk_is_shown_level_by_level_to_where_the_memory_is() {
    let mut guest = start();
    let [page, high_1, high_2, high_3] =
        ["page_a", "high_1", "high_2", "high_3"].map(|symbol| guest.at(symbol));
    map(&mut guest, &[page | PAGE | READ_ONLY | UXN]);

    let said = guest.rsp.told(&format!("translate {:#x}", WINDOW + 0x124));

    let expected = format!(
        "{:#x} by TTBR1_EL1 {high_1:#x}: 4 KiB granule, 32-bit addresses\n\
         level  1  table {high_1:#x} entry 0    {:#018x}  table\n\
         level  2  table {high_2:#x} entry 0    {:#018x}  table\n\
         level  3  table {high_3:#x} entry 0    {:#018x}  page of 4 KiB\n\
         physical  {:#x}, RAM\n\
         memory    AttrIndx 1: MAIR_EL1 0xff, normal, write-back; SH 3, inner shareable\n\
         access    EL1 r-x, EL0 ---: AP 0b10, PXN 0, UXN 1, DBM 0\n\
         flags     AF 1, nG 0, contiguous 0, GP 0\n",
        WINDOW + 0x124,
        high_2 + 3,
        high_3 + 3,
        page | PAGE | READ_ONLY | UXN,
        page + 0x124,
    );
    assert_eq!(said, expected);
    // What is there by either address.
    let by_pa = guest.rsp.told(&format!("xp/1xw {page:#x}"));
    let word = u32::from_le_bytes(guest.rsp.read(WINDOW, 4).try_into().unwrap());
    assert!(by_pa.ends_with(&format!(": {word:#010x}\n")), "{by_pa}");

    let said = guest.rsp.told("translate 0x9000018");
    assert!(said.contains("  block of 1 GiB\nphysical  0x9000018, not RAM\n"), "{said}");
    assert!(said.contains("memory    AttrIndx 0: MAIR_EL1 0x00, device-nGnRnE;"), "{said}");
    let said = guest.rsp.told(&format!("translate {:#x}", WINDOW + 0x1000));
    assert!(
        said.ends_with(" 0x0000000000000000  invalid\ndoes not translate: no mapping (level 3)\n"),
        "{said}"
    );
    let said = guest.rsp.told("translate 0xfffeffff00000000");
    assert!(said.ends_with("\ndoes not translate: not a canonical address\n"), "{said}");
}

#[test]
fn with_the_mmu_off_there_are_no_tables() {
    let mut guest = Routines::start("remap", &[]);

    assert_eq!(
        guest.rsp.told("translate 0x40000010"),
        "0x40000010 with the MMU off (SCTLR_EL1.M = 0)\nphysical  0x40000010, RAM\n"
    );
    assert!(guest.rsp.told("pagetable").starts_with("the MMU is off"));
}

#[test]
fn what_is_mapped_is_listed_with_neighbours_of_a_kind_in_one_line() {
    let mut guest = start();
    let [a, b] = ["page_a", "page_b"].map(|symbol| guest.at(symbol));
    // Two in a row in memory, one elsewhere, one of another kind, a hole, and one behind it.
    let writable = PAGE | PXN | UXN;
    map(
        &mut guest,
        &[a | writable, (a + 0x1000) | writable, a | writable, b | PAGE | READ_ONLY, 0, b | PAGE],
    );

    let said = guest.rsp.told("pagetable");

    let line = |first: u64, size: u64, text: &str, leads: &str, gist: &str| {
        format!("{first:#018x}..{:#018x} {text:>10} {leads:<16} {gist}\n", first + size - 1)
    };
    let normal = "EL1 rw- EL0 --- normal, write-back";
    let expected = [
        "lower half, TTBR0_EL1:\n".to_owned(),
        line(0, 1 << 30, "1 GiB", "-> 0x0", "EL1 rwx EL0 --x device-nGnRnE"),
        line(1 << 30, 1 << 30, "1 GiB", "-> 0x40000000", "EL1 rwx EL0 --x normal, write-back"),
        "upper half, TTBR1_EL1:\n".to_owned(),
        line(WINDOW, 0x3000, "12 KiB", "-> 2 pieces", normal),
        line(
            WINDOW + 0x3000,
            0x1000,
            "4 KiB",
            &format!("-> {b:#x}"),
            "EL1 r-x EL0 --x normal, write-back",
        ),
        line(
            WINDOW + 0x5000,
            0x1000,
            "4 KiB",
            &format!("-> {b:#x}"),
            "EL1 rwx EL0 --x normal, write-back",
        ),
    ];
    assert_eq!(said, expected.concat());
    let upper = guest.rsp.told("pagetable upper");
    assert_eq!(upper, expected[3..].concat());
    let from = guest.rsp.told(&format!("pagetable {:#x}", WINDOW + 0x5000));
    assert_eq!(from, format!("from there on:\n{}", expected[6]));
}

#[test]
fn tables_that_lead_to_themselves_end_the_list_and_not_the_stub() {
    let mut guest = start();
    let [level1, level2] = ["high_1", "high_2"].map(|symbol| guest.at(symbol));
    // Nobody but the list walks there: level 2 is its own level 3, of 512 pages each.
    for at in (level1..level1 + 32).step_by(8) {
        guest.rsp.write(at, &(level2 | 3).to_le_bytes());
    }
    for at in (level2..level2 + 4096).step_by(8) {
        guest.rsp.write(at, &(level2 | PAGE).to_le_bytes());
    }

    let said = guest.rsp.told("pagetable upper");

    // 2^20 pages are all of 4 GiB.
    assert!(
        said.starts_with("upper half, TTBR1_EL1:\n0xffffffff00000000..0xffffffffffffffff"),
        "{said}"
    );
    assert!(said.contains(" -> 1048576 pieces "), "{said}");
}
