//! Walks through tables written out by hand; below them, tables made by rules.

use std::collections::BTreeMap;

use super::*;

#[path = "stage1_tests/hostile.rs"]
mod hostile;
#[path = "stage1_tests/sizes.rs"]
mod sizes;
#[path = "stage1_tests/tables.rs"]
mod tables;

const M: u64 = 1;
/// PARange and IPS: 48 bits.
const PA48: u64 = 5;
const PA52: u64 = 6;
/// TGran4 and TGran16: with FEAT_LPA2.
const LPA2: u64 = 1 << 28 | 2 << 20;
const TG1_4K: u64 = 2 << 30;
const TG1_16K: u64 = 1 << 30;
const TG1_64K: u64 = 3 << 30;
const TG0_64K: u64 = 1 << 14;
const DS: u64 = 1 << 59;
const TBI0: u64 = 1 << 37;
const TBI1: u64 = 1 << 38;

/// Guest memory as sparse 64-bit words.
#[derive(Default)]
struct Memory(BTreeMap<u64, u64>);

impl Memory {
    fn with(words: &[(u64, u64)]) -> Self {
        Self(words.iter().copied().collect())
    }
    fn read(&self, ipa: u64) -> Option<u64> {
        // 4 GiB of RAM, zeroed where nothing was written.
        (ipa < 1 << 32 || self.0.contains_key(&ipa)).then(|| *self.0.get(&ipa).unwrap_or(&0))
    }
    fn translate(&self, va: u64, regime: &Regime) -> Result<Mapping, Unmapped> {
        translate(va, regime, |ipa| self.read(ipa))
    }
}

/// 4K pages, 48-bit halves, TTBR0 at 0x1000 and TTBR1 at 0x2000.
fn linux_4k_48() -> Regime {
    Regime {
        sctlr: M,
        tcr: 16 | 16 << 16 | TG1_4K | PA48 << 32,
        ttbr0: 0x1000,
        ttbr1: 0x2000,
        mmfr0: PA48,
        mmfr2: 0,
    }
}

#[test]
fn addresses_have_as_many_bits_as_tcr_says() {
    const UPPER: u64 = u64::MAX;
    let regime = linux_4k_48();

    assert_eq!([0, UPPER].map(|va| regime.address_bits(va)), [Some(48); 2]);
    let smaller = Regime { tcr: regime.tcr | 9 << 16, ..regime };
    assert_eq!([0, UPPER].map(|va| smaller.address_bits(va)), [Some(48), Some(39)]);
    assert_eq!(Regime { sctlr: 0, ..regime }.address_bits(UPPER), None);
    assert_eq!(Regime { tcr: 3 << 16, ..regime }.address_bits(UPPER), None);
}

#[test]
fn with_the_mmu_off_addresses_are_physical() {
    let regime = Regime { sctlr: 0, ..linux_4k_48() };

    let found = Memory::default().translate(0x4008_0123, &regime);

    assert_eq!(found, Ok(Mapping { ipa: 0x4008_0123, rest: 0xedd }));
    let wide = Memory::default().translate(1 << 48, &regime);
    assert_eq!(wide, Err(Unmapped::AddressSize(0)));

    // TBI counts with the MMU off as well.
    assert_eq!(Memory::default().translate(0xab << 56, &regime), Err(Unmapped::AddressSize(0)));
    let ignored = Regime { tcr: regime.tcr | TBI0, ..regime };
    let found = Memory::default().translate(0xab00_0000_4008_0000, &ignored);
    assert_eq!(found, Ok(Mapping { ipa: 0x4008_0000, rest: 0x1000 }));
    let upper = Memory::default().translate(0xab80_0000_4008_0000, &ignored);
    assert_eq!(upper, Err(Unmapped::AddressSize(0)));
}

#[test]
fn a_4k_page_takes_four_levels() {
    // VA 0xffff_8000_8020_3abc: indices 0x100, 2, 1, 3.
    let memory = Memory::with(&[
        (0x2000 + 0x100 * 8, 0x3003),
        (0x3000 + 2 * 8, 0x4003),
        (0x4000 + 8, 0x5003),
        (0x5000 + 3 * 8, 0x0060_0000_4123_4703),
    ]);

    let found = memory.translate(0xffff_8000_8020_3abc, &linux_4k_48());

    assert_eq!(found, Ok(Mapping { ipa: 0x4123_4abc, rest: 0x544 }));
}

#[test]
fn blocks_map_2m_and_1g() {
    let memory = Memory::with(&[
        (0x2000, 0x3003),
        (0x3000, 0x4003),
        (0x4000 + 5 * 8, 0x4040_0401),
        (0x3000 + 8, 0x8000_0401),
    ]);

    let two_mib = memory.translate(0xffff_0000_00b2_3456, &linux_4k_48());
    let one_gib = memory.translate(0xffff_0000_4523_4567, &linux_4k_48());

    assert_eq!(two_mib, Ok(Mapping { ipa: 0x4052_3456, rest: 0xd_cbaa }));
    assert_eq!(one_gib, Ok(Mapping { ipa: 0x8523_4567, rest: 0x3adc_ba99 }));
}

#[test]
fn level_0_blocks_exist_only_with_52_bit_addresses() {
    let memory = Memory::with(&[(0x2000, 0x401)]);

    let found = memory.translate(0xffff_0000_0000_1000, &linux_4k_48());

    assert_eq!(found, Err(Unmapped::Invalid(0)));
}

#[test]
fn lpa2_starts_at_level_minus_one_and_brings_bits_51_50() {
    // T1SZ=12 and DS: what Debian's 6.12 kernel sets up on a CPU with LPA2.
    let regime = Regime {
        tcr: 16 | 12 << 16 | TG1_4K | PA52 << 32 | DS,
        mmfr0: PA52 | LPA2,
        ..linux_4k_48()
    };
    // VA[51:48] = 8 selects entry 8 of the level -1 table.
    let memory = Memory::with(&[
        (0x2000 + 8 * 8, 0x3003),
        (0x3000, 0x4003),
        (0x4000, 0x5003),
        (0x5000, 0x6003),
        (0x6000, 0x0001_0000_1234_5103 | 3),
    ]);

    let found = memory.translate(0xfff8_0000_0000_0010, &regime);

    // Bits 9:8 of the descriptor (01) are address bits 51:50; its bit 48 is bit 48.
    assert_eq!(found, Ok(Mapping { ipa: 0x0005_0000_1234_5010, rest: 0xff0 }));
}

#[test]
fn pages_of_16k_and_64k() {
    let k16 = Regime { tcr: 17 << 16 | TG1_16K | PA48 << 32, ttbr1: 0x8000, ..linux_4k_48() };
    // 47 bits: level 1 resolves 46:36, level 2 35:25, level 3 24:14.
    let memory =
        Memory::with(&[(0x8000, 0xc003), (0xc000 + 8, 0x1_0003), (0x1_0000 + 2 * 8, 0x7000_4003)]);
    let found = memory.translate(0xffff_8000_0200_8123, &k16);
    assert_eq!(found, Ok(Mapping { ipa: 0x7000_4123, rest: 0x3edd }));

    // 42 bits with 64K: level 2 resolves 41:29, level 3 28:16.
    let k64 = Regime { tcr: 22 | TG0_64K | PA48 << 32, ttbr0: 0x1_0000, ..linux_4k_48() };
    let memory = Memory::with(&[(0x1_0000 + 8, 0x2_0003), (0x2_0000 + 3 * 8, 0x4567_0003)]);
    let found = memory.translate(0x2003_cafe, &k64);
    assert_eq!(found, Ok(Mapping { ipa: 0x4567_cafe, rest: 0x3502 }));
}

#[test]
fn pages_of_64k_with_52_bits_have_them_in_15_12() {
    let regime = Regime {
        tcr: 12 << 16 | TG1_64K | PA52 << 32,
        // Table at 0x3_0000_0001_0000... with bits 51:48 = 0 in TTBR[5:2].
        ttbr1: 0x1_0000,
        mmfr0: PA52,
        mmfr2: 1 << 16,
        ..linux_4k_48()
    };
    let memory = Memory::with(&[(0x1_0000, 0x2_0003), (0x2_0000, 0x3_0003), (0x3_0000, 0x8_a003)]);

    let found = memory.translate(0xfff0_0000_0000_0042, &regime);

    assert_eq!(found, Ok(Mapping { ipa: 0x000a_0000_0008_0042, rest: 0xffbe }));
}

#[test]
fn a_cpu_without_lpa2_ignores_ds() {
    // Shareability, 11, where FEAT_LPA2 has address bits; a level 0 block.
    let memory = Memory::with(&[(0x2000, 0x3003), (0x3000, 0x4000_0701), (0x2008, 0x701)]);
    let regime = Regime { tcr: linux_4k_48().tcr | DS, ..linux_4k_48() };

    let found = memory.translate(0xffff_0000_0000_0000, &regime).map(|mapping| mapping.ipa);

    assert_eq!(found, Ok(0x4000_0000));
    let block = memory.translate(0xffff_0080_0000_0000, &regime);
    assert_eq!(block, Err(Unmapped::Invalid(0)));
    let wide = Regime { tcr: regime.tcr & !(0x3f << 16) | 12 << 16, ..regime };
    assert_eq!(memory.translate(0xfff0_0000_0000_0000, &wide), Err(Unmapped::BadTcr));
    // TGran4 = 1111: no 4K granule, so nothing that comes after it either.
    let none = Regime { mmfr0: PA48 | 15 << 28, ..wide };
    assert_eq!(memory.translate(0xfff0_0000_0000_0000, &none), Err(Unmapped::BadTcr));
    // TGran16 = 1: 16K pages without FEAT_LPA2.
    let k16 = Regime { tcr: 12 << 16 | TG1_16K | DS, mmfr0: PA52 | 1 << 20 | 1 << 28, ..wide };
    assert_eq!(memory.translate(0xfff0_0000_0000_0000, &k16), Err(Unmapped::BadTcr));
    // And with it, DS decides.
    let lpa2 = Regime { mmfr0: PA52 | LPA2, ..linux_4k_48() };
    let found = memory.translate(0xffff_0000_0000_0000, &lpa2).map(|mapping| mapping.ipa);
    assert_eq!(found, Ok(0x4000_0000));
}

#[test]
fn level_1_blocks_of_64k_tables_exist_only_with_52_bit_addresses() {
    // T1SZ=16: level 1 resolves 47:42.
    let memory = Memory::with(&[(0x1_0000, 0xf401)]);
    let narrow = Regime { tcr: 16 << 16 | TG1_64K | PA48 << 32, ttbr1: 0x1_0000, ..linux_4k_48() };
    let wide = Regime { mmfr0: PA52, tcr: narrow.tcr & !(7 << 32) | PA52 << 32, ..narrow };

    let none = memory.translate(0xffff_0000_0000_1234, &narrow);
    let block = memory.translate(0xffff_0000_0000_1234, &wide);

    assert_eq!(none, Err(Unmapped::Invalid(1)));
    let rest = (1 << 42) - 0x1234;
    assert_eq!(block, Ok(Mapping { ipa: 0x000f_0000_0000_1234, rest }));
}

#[test]
fn ttbr_has_bits_51_48_where_its_tables_may_lie_that_high() {
    let at = |table: u64, regime: Regime| {
        let mut reads = Vec::new();
        let found = translate(1 << 55 | u64::MAX << 47, &regime, |ipa| {
            reads.push(ipa);
            None
        });
        assert!(found.is_err() && reads.iter().all(|ipa| *ipa == table), "{reads:x?}");
        (found, reads.len())
    };
    let k4 = Regime { mmfr0: PA52 | LPA2, ttbr1: 0x2034, ..linux_4k_48() };
    let ips =
        |ips: u64, regime: Regime| Regime { tcr: regime.tcr & !(7 << 32) | ips << 32, ..regime };
    let outside = |level| Err(Unmapped::TableOutsideMemory(level));

    // Without DS they are RES0, with it they count; a table too high is a fault before any walk.
    assert_eq!(at(0x2800, ips(PA52, k4)), (outside(0), 1));
    let ds = Regime { tcr: k4.tcr | DS, ..k4 };
    assert_eq!(at(0x000d_0000_0000_2800, ips(PA52, ds)), (outside(0), 1));
    assert_eq!(at(0, ips(PA48, ds)), (Err(Unmapped::AddressSize(0)), 0));
    // With 64K it is IPS that says so.
    let k64 = Regime { tcr: 17 << 16 | TG1_64K, ttbr1: 0x1_0034, ..k4 };
    assert_eq!(at(0x000d_0000_0001_0000, ips(PA52, k64)), (outside(1), 1));
    assert_eq!(at(0x1_0000, ips(PA48, k64)), (outside(1), 1));
}

#[test]
fn a_small_half_starts_lower() {
    // T0SZ=39: 25 bits, level 2 resolves 24:21, level 3 20:12.
    let regime = Regime { tcr: 39 | PA48 << 32, ..linux_4k_48() };
    let memory = Memory::with(&[(0x1000 + 15 * 8, 0x3003), (0x3000 + 511 * 8, 0x4000_0003)]);

    let found = memory.translate(0x1ff_ffff, &regime);

    assert_eq!(found, Ok(Mapping { ipa: 0x4000_0fff, rest: 1 }));
}

#[test]
fn the_top_byte_counts_unless_tcr_ignores_it() {
    let memory = Memory::with(&[(0x1000, 0x3003), (0x3000, 0x4000_0401), (0x2000, 0x3003)]);
    let strict = linux_4k_48();
    let ignored = Regime { tcr: strict.tcr | TBI0 | TBI1, ..strict };

    assert_eq!(memory.translate(0xab00_0000_0000_1000, &strict), Err(Unmapped::NotCanonical));
    let tagged_low = memory.translate(0xab00_0000_0000_1000, &ignored).unwrap();
    let tagged_high = memory.translate(0x12ff_0000_0000_1000, &ignored).unwrap();
    assert_eq!(tagged_low.ipa, 0x4000_1000);
    assert_eq!(tagged_high.ipa, 0x4000_1000);
    // The hole between the halves stays a hole.
    assert_eq!(memory.translate(0x0001_0000_0000_0000, &ignored), Err(Unmapped::NotCanonical));
}

#[test]
fn disabled_walks_and_reserved_values_are_refused() {
    let good = linux_4k_48();
    let memory = Memory::default();
    let low = 0x1000;
    let high = 0xffff_0000_0000_1000;

    let epd0 = Regime { tcr: good.tcr | 1 << 7, ..good };
    assert_eq!(memory.translate(low, &epd0), Err(Unmapped::WalkDisabled));
    let epd1 = Regime { tcr: good.tcr | 1 << 23, ..good };
    assert_eq!(memory.translate(high, &epd1), Err(Unmapped::WalkDisabled));
    let tg0 = Regime { tcr: good.tcr | 3 << 14, ..good };
    assert_eq!(memory.translate(low, &tg0), Err(Unmapped::BadTcr));
    let tg1 = Regime { tcr: good.tcr & !(3 << 30), ..good };
    assert_eq!(memory.translate(high, &tg1), Err(Unmapped::BadTcr));
    for size in [0, 11, 15, 40, 63] {
        let regime = Regime { tcr: good.tcr & !0x3f | size, ..good };
        assert_eq!(memory.translate(low, &regime), Err(Unmapped::BadTcr), "T0SZ={size}");
    }
}

#[test]
fn tables_outside_memory_and_loops_end_the_walk() {
    let regime = linux_4k_48();
    let outside = Memory::with(&[(0x1000, 0x00ff_ffff_f003)]);
    assert_eq!(outside.translate(0, &regime), Err(Unmapped::TableOutsideMemory(1)));

    // A table that points at itself: four reads, then the last one is a page.
    let own = Memory::with(&[(0x1000, 0x1003)]);
    let mut reads = 0;
    let found = translate(0, &regime, |ipa| {
        reads += 1;
        own.read(ipa)
    });
    assert_eq!(found, Ok(Mapping { ipa: 0x1000, rest: 0x1000 }));
    assert_eq!(reads, 4);
}

#[test]
fn output_beyond_the_physical_size_is_an_address_size_fault() {
    // 40-bit IPAs, and a level 3 page above.
    let regime = Regime { mmfr0: 2, ..linux_4k_48() };
    let memory = Memory::with(&[
        (0x1000, 0x3003),
        (0x3000, 0x4003),
        (0x4000, 0x5003),
        (0x5000, 0x0100_0000_0003),
    ]);

    assert_eq!(memory.translate(0, &regime), Err(Unmapped::AddressSize(3)));
}

#[test]
fn big_endian_tables_follow_sctlr_ee() {
    let regime = Regime { sctlr: M | 1 << 25, ..linux_4k_48() };
    let memory =
        Memory::with(&[(0x1000, 0x3003u64.swap_bytes()), (0x3000, 0x4000_0401u64.swap_bytes())]);

    assert_eq!(memory.translate(0x10, &regime).map(|m| m.ipa), Ok(0x4000_0010));
}
