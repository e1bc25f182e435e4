use super::*;

const PC: u64 = 0x4008_0000;

/// The region at the start of these words of A64.
fn a64(words: &[u32]) -> Result<Region, Unbounded> {
    region(PC, Isa::A64, |at| words.get((at - PC) as usize / 4).copied().map(Word))
}

fn stops(offsets: &[i64]) -> Vec<u64> {
    offsets.iter().map(|offset| PC.wrapping_add_signed(*offset)).collect()
}

const LDXR: u32 = 0xc85f_7c01; // ldxr x1, [x0]
const STXR: u32 = 0xc802_7c01; // stxr w2, x1, [x0]
const ADD: u32 = 0x9100_0421; // add x1, x1, #1
const CBNZ_BACK_1: u32 = 0xb5ff_ffe1; // cbnz x1, .-4
const BNE_3: u32 = 0x5400_0061; // b.ne .+12
const TBZ_2: u32 = 0x3600_0041; // tbz w1, #0, .+8

#[test]
fn a_plain_region_ends_behind_its_store() {
    let region = a64(&[LDXR, ADD, STXR]).unwrap();

    assert_eq!(region, Region { stops: stops(&[12]), redirects: vec![], landing: PC + 16 });
}

#[test]
fn every_way_out_is_a_stop() {
    // To PC + 16, from two places; and within the region.
    let region = a64(&[LDXR, BNE_3, TBZ_2, ADD, ADD, STXR]).unwrap();
    assert_eq!(region.stops, stops(&[24]));

    // To PC + 16, which is behind the store, and far away: b .-4 at PC + 4 leads to the load itself.
    let region = a64(&[LDXR, BNE_3, STXR]).unwrap();
    assert_eq!(region.stops, stops(&[12, 16]));
    assert_eq!(region.landing, PC + 20);
}

#[test]
fn a_branch_back_to_the_load_leads_to_the_landing() {
    let region = a64(&[LDXR, CBNZ_BACK_1, STXR]).unwrap();

    assert_eq!(region.stops, stops(&[12]));
    assert_eq!(region.landing, PC + 16);
    // cbnz x1, .+12
    assert_eq!(region.redirects, [(PC + 4, Word(0xb500_0061))]);
}

#[test]
fn a_branch_to_before_the_load_is_a_stop() {
    // cbnz x1, .-8 at PC + 4: to a WFE before the load.
    let region = a64(&[LDXR, 0xb5ff_ffc1, STXR]).unwrap();

    assert_eq!(region.stops, stops(&[12, -4]));
}

#[test]
fn what_cannot_be_bounded_is_refused() {
    assert_eq!(a64(&[LDXR, ADD]), Err(Unbounded), "memory ends");
    assert_eq!(a64(&[&[LDXR][..], &[ADD; 40], &[STXR]].concat()), Err(Unbounded), "no store");
    assert_eq!(a64(&[LDXR, 0x9400_0002, STXR]), Err(Unbounded), "a call");
    assert_eq!(a64(&[LDXR, ADD, CBNZ_BACK_1, STXR]), Err(Unbounded), "a loop inside");
}

#[test]
fn regions_in_a32_and_t32() {
    // ldrex r1, [r0]; cmp r1, r3; strexeq r2, r1, [r0]
    let words = [0xe190_1f9f, 0xe151_0003, 0x0180_2f91];
    let fetch = |at: u64| words.get((at - PC) as usize / 4).copied().map(Word);
    assert_eq!(region(PC, Isa::A32, fetch).unwrap().stops, stops(&[12]));

    // ldrex r1, [r0]; cmp r1, r3; bne.n .-6 (the load); bne.n .+6; strex r2, r1, [r0]; nop
    let halves = [0xe850, 0x1f00, 0x4299, 0xd1fb, 0xd101, 0xe840, 0x1200, 0xbf00, 0xbf00];
    let half = |at: u64| halves.get((at - PC) as usize / 2).copied();
    let fetch = |at: u64| Some(Word(half(at)? | half(at + 2).unwrap_or(0) << 16));
    let region = region(PC, Isa::T32, fetch).unwrap();
    assert_eq!(region.stops, stops(&[14]));
    assert_eq!(region.landing, PC + 16);
    // bne.n .+10; the halfword behind it is not part of it.
    assert_eq!(region.redirects, [(PC + 6, Word(0xd101_d103))]);
}
