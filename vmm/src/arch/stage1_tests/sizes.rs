//! Every granule, size, half and level against tables built independently.

use super::super::{Mapping, Unmapped, translate};
use super::tables::{GRANULES, OUTPUT_SIZES, Random, Setup, Tables};

/// The lowest and the highest address of a half, and two in between.
fn addresses(setup: Setup, random: &mut Random) -> [u64; 4] {
    [0, u64::MAX, random.next(), random.next()].map(|bits| setup.address(bits))
}

/// A random address of a page or block at this level.
fn output(setup: Setup, level: i8, random: &mut Random) -> u64 {
    let (_, low) = setup.field(level);
    random.bits(setup.output_bits()) >> low << low
}

#[test]
fn pages_and_blocks_map_in_every_granule_and_size() {
    let mut random = Random(1);
    let mut cases = 0;
    for setup in Setup::all() {
        for level in setup.leaves() {
            for va in addresses(setup, &mut random) {
                let ipa = output(setup, level, &mut random);
                let mut tables = Tables::new(setup, random.next());
                tables.map(va, level, ipa);

                let (found, reads) = tables.walk(va);

                let size = 1 << setup.field(level).1;
                let offset = va & (size - 1);
                let expected = Mapping { ipa: ipa + offset, rest: size - offset };
                assert_eq!(found, Ok(expected), "{}, level {level}, {va:#x}", setup.name());
                assert_eq!(reads, setup.tables_to(level), "{}", setup.name());
                cases += 1;
            }
        }
    }
    assert!(cases > 5_000, "{cases}");
}

#[test]
fn what_is_not_mapped_is_missed_at_the_level_that_lacks_it() {
    let mut random = Random(2);
    for setup in Setup::all() {
        let va = setup.address(random.next());
        let mut tables = Tables::new(setup, random.next());
        tables.map(va, 3, output(setup, 3, &mut random));

        for level in setup.first_level()..=3 {
            let (high, low) = setup.field(level);
            for bit in [high, low] {
                let (found, _) = tables.walk(va ^ 1 << bit);
                assert_eq!(found, Err(Unmapped::Invalid(level)), "{}, bit {bit}", setup.name());
            }
        }
        // Bit 55 selects the half, and the other one has a reserved granule.
        for bit in (64 - setup.txsz as u32..64).filter(|bit| *bit != 55) {
            let (found, _) = tables.walk(va ^ 1 << bit);
            assert_eq!(found, Err(Unmapped::NotCanonical), "{}, bit {bit}", setup.name());
        }
        assert_eq!(tables.walk(va ^ 1 << 55).0, Err(Unmapped::BadTcr), "{}", setup.name());
        // TBI0, TBI1.
        let mapped = tables.walk(va).0;
        tables.regime.tcr |= if setup.upper { 1 << 38 } else { 1 << 37 };
        assert_eq!(tables.walk(va ^ random.bits(8) << 56).0, mapped, "{}", setup.name());
    }
}

#[test]
fn blocks_and_pages_exist_at_their_levels_only() {
    let mut random = Random(3);
    for setup in Setup::all() {
        let leaves: Vec<_> = setup.leaves().collect();
        for level in setup.first_level()..=3 {
            // 01 is a block; at level 3 it is reserved.
            let va = setup.address(random.next());
            let mut tables = Tables::new(setup, random.next());
            let block = tables.descriptor(0, 1);
            tables.set(va, level, block);

            let (found, _) = tables.walk(va);

            if level == 3 || !leaves.contains(&level) {
                assert_eq!(found, Err(Unmapped::Invalid(level)), "{}", setup.name());
            } else {
                assert!(found.is_ok(), "{}, level {level}", setup.name());
            }
        }
    }
}

#[test]
fn tables_outside_memory_are_named_by_level() {
    let mut random = Random(4);
    for setup in Setup::all() {
        for level in setup.first_level()..3 {
            let va = setup.address(random.next());
            let mut tables = Tables::new(setup, random.next());
            let to_nowhere = tables.descriptor(1 << setup.page(), 3);
            tables.set(va, level, to_nowhere);

            let (found, _) = tables.walk(va);

            assert_eq!(found, Err(Unmapped::TableOutsideMemory(level + 1)), "{}", setup.name());
        }
    }
}

#[test]
fn sizes_are_those_of_the_features_that_the_cpu_has() {
    for granule in &GRANULES {
        // FEAT_TTST, 52 bits by DS or FEAT_LVA, lowest and highest TnSZ.
        let highest = if granule.name == "64K" { 47 } else { 48 };
        let limits = [
            (false, false, 16, 39),
            (true, false, 16, highest),
            (false, true, 12, 39),
            (true, true, 12, highest),
        ];
        for (small_tables, wide, min, max) in limits {
            for txsz in 0..64 {
                let setup = Setup { granule, txsz, wide, upper: true, big_endian: false };
                let mut regime = setup.regime();
                regime.mmfr2 &= !(u64::from(!small_tables) << 28);
                let found = translate(u64::MAX, &regime, |_| Some(0));

                let is_legal = (min..=max).contains(&txsz);
                let is_refused = found == Err(Unmapped::BadTcr);
                assert_eq!(is_refused, !is_legal, "{}", setup.name());
            }
        }
    }
}

#[test]
fn outputs_reach_up_to_the_smaller_of_ips_and_parange() {
    let mut random = Random(5);
    // From level 1 or 2, with each granule, and with addresses of 52 bits and 48.
    let setups = Setup::all().filter(|setup| setup.txsz == 25 && !setup.big_endian);
    for (setup, ips, pa) in setups.flat_map(with_sizes) {
        let [ips_bits, pa_bits] = [ips, pa].map(|encoding| OUTPUT_SIZES[encoding as usize]);
        let limit = ips_bits.min(pa_bits).min(setup.output_bits());
        let page = setup.page();
        let va = setup.address(random.next()) >> page << page;
        let mut tables = Tables::new(setup, random.next());
        tables.regime.tcr = tables.regime.tcr & !(7 << 32) | ips << 32;
        tables.regime.mmfr0 = tables.regime.mmfr0 & !15 | pa;

        let highest = (1 << limit) - (1 << page);
        let descriptor = tables.descriptor(highest, 3);
        for level in setup.first_level()..=3 {
            let found = walk_with(&tables, va, level, descriptor);
            let expected = match level {
                3 => Ok(Mapping { ipa: highest, rest: 1 << page }),
                _ => Err(Unmapped::TableOutsideMemory(level + 1)),
            };
            assert_eq!(found, expected, "{}, IPS {ips}, PARange {pa}", setup.name());
        }
        // One that the descriptor has bits for.
        if limit < setup.output_bits() {
            let descriptor = tables.descriptor(1 << limit, 3);
            for level in setup.first_level()..=3 {
                let found = walk_with(&tables, va, level, descriptor);
                let expected = Err(Unmapped::AddressSize(level));
                assert_eq!(found, expected, "{}, IPS {ips}, PARange {pa}", setup.name());
            }
        }
    }
}

/// With each IPS and each PARange that goes with it: 52 bits are for CPUs that have them, and with
/// 64K such CPUs have no other descriptors.
fn with_sizes(setup: Setup) -> impl Iterator<Item = (Setup, u64, u64)> {
    let is_possible = move |pa: &u64| match (setup.wide, setup.granule.name) {
        (true, _) => *pa == 6,
        (false, "64K") => *pa < 6,
        (false, _) => true,
    };
    let pas = (0..7).filter(is_possible);
    pas.flat_map(move |pa| (0..7).map(move |ips| (setup, ips, pa)))
}

/// Walks tables at address 0, all of whose entries lead there again, but for those of `level`,
/// which hold `descriptor`.
fn walk_with(tables: &Tables, va: u64, level: i8, descriptor: u64) -> Result<Mapping, Unmapped> {
    let mut regime = tables.regime;
    (regime.ttbr0, regime.ttbr1) = (0, 0);
    let mut at = tables.setup.first_level();
    translate(va, &regime, |ipa| {
        let word = if at == level { descriptor } else { 3 };
        at += 1;
        (ipa < 0x1_0000).then_some(word)
    })
}
