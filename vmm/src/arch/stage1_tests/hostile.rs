//! Registers and tables that nobody in their right mind would write.

use super::super::{Regime, Unmapped, translate};
use super::tables::{OUTPUT_SIZES, Random, Setup};

/// Any registers; most of them of a kind that lets a walk begin.
fn registers(random: &mut Random) -> Regime {
    let mut tcr = random.next();
    if random.bits(2) != 0 {
        // Granules that exist, sizes of 12 to 43, no EPD.
        let tg0 = random.next() % 3;
        let tg1 = 1 + random.next() % 3;
        let [t0sz, t1sz] = [(); 2].map(|()| 12 + random.bits(5));
        tcr &= !0xc0bf_c0bf;
        tcr |= t0sz | t1sz << 16 | tg0 << 14 | tg1 << 30;
    }
    Regime {
        sctlr: random.next() & !u64::from(random.bits(4) != 0) | u64::from(random.bits(4) != 0),
        tcr,
        ttbr0: random.next() >> random.bits(6),
        ttbr1: random.next() >> random.bits(6),
        mmfr0: random.next(),
        mmfr2: random.next(),
    }
}

fn size(encoding: u64) -> u32 {
    OUTPUT_SIZES.get(encoding as usize).copied().unwrap_or(52)
}

#[test]
fn no_registers_and_no_tables_make_a_walk_run_on_or_leave_its_bounds() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut mapped = 0;
    let mut deepest = 0;
    for _ in 0..400_000 {
        let regime = registers(&mut random);
        // Canonical for most sizes, or anything.
        let va = match random.bits(2) {
            0 => random.next(),
            1 => random.bits(32),
            _ => !random.bits(32),
        };
        let has_mmu = regime.sctlr & 1 != 0;
        let implemented = size(regime.mmfr0 & 15);
        let limit = if has_mmu { implemented.min(size(regime.tcr >> 32 & 7)) } else { implemented };

        let mut reads = Vec::new();
        let mut has_missed = false;
        let found = translate(va, &regime, |ipa| {
            assert!(!has_missed, "a read after one outside memory");
            reads.push(ipa);
            has_missed = random.bits(5) == 0;
            // Valid but for one of eight, and small addresses as often as big ones.
            let desc = random.next() >> (random.bits(1) * random.bits(6));
            let desc = desc & !3 | if random.bits(3) == 0 { random.bits(2) } else { 3 };
            let is_big_endian = regime.sctlr >> 25 & 1 != 0;
            (!has_missed).then_some(if is_big_endian { desc.swap_bytes() } else { desc })
        });

        assert!(reads.len() <= 5, "{reads:x?} {regime:x?}");
        assert!(has_mmu || reads.is_empty());
        for ipa in &reads {
            assert!(ipa % 8 == 0 && ipa >> limit == 0, "{ipa:#x} {regime:x?}");
        }
        deepest = deepest.max(reads.len());
        if let Ok(mapping) = found {
            mapped += 1;
            assert!(mapping.rest > 0);
            assert_eq!(mapping.ipa >> limit, 0, "{mapping:x?} {regime:x?}");
            assert_eq!((mapping.ipa + (mapping.rest - 1)) >> 52, 0, "{mapping:x?} {regime:x?}");
        }
        assert_eq!(has_missed, matches!(found, Err(Unmapped::TableOutsideMemory(_))));
    }
    assert!(mapped > 10_000, "{mapped}");
    assert_eq!(deepest, 5);
}

#[test]
fn a_table_of_pointers_to_itself_ends_as_a_page() {
    for setup in Setup::all() {
        let mut regime = setup.regime();
        // At 64 KiB, aligned for every granule and first table.
        (regime.ttbr0, regime.ttbr1) = (0x1_0000, 0x1_0000);
        let desc: u64 = 0x1_0003;
        let word = if setup.big_endian { desc.swap_bytes() } else { desc };
        let va = setup.address(0);
        let mut reads = Vec::new();

        let found = translate(va, &regime, |ipa| {
            reads.push(ipa);
            Some(word)
        });

        assert_eq!(found.map(|mapping| mapping.ipa), Ok(0x1_0000), "{}", setup.name());
        assert_eq!(reads, vec![0x1_0000; setup.tables_to(3)], "{}", setup.name());
    }
}
