//! What the debug engine works out for each step and each access: `cargo bench -p minivmm`.

#[path = "../src/arch/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is measured, nor are its tests run")]
mod arch;

use arch::effect::Effect;
use arch::flow::Flow;
use arch::insn::{Insn, Word};
use arch::pstate::{Isa, Pstate};
use arch::stage1::{self, Regime};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// EL1h, all masked.
const STATE: Pstate = Pstate(0x3c5);

/// add, ldr, stp, b.eq, bl, mrs, msr daifset, ldaxr.
const WORDS: [u32; 8] = [
    0x9100_1483,
    0xf940_0441,
    0xa9be_7bfd,
    0x5400_0000,
    0x9400_0000,
    0xd538_4100,
    0xd503_42df,
    0xc85f_fc41,
];

#[divan::bench]
fn decode_instructions() -> usize {
    let care = |word: &&u32| Insn::decode(Word(**word), STATE) != Insn::Other;
    black_box(&WORDS).iter().filter(care).count()
}

#[divan::bench]
fn effects_of_instructions() -> usize {
    let known = |word: &&u32| Effect::of(Word(**word), STATE).is_some();
    black_box(&WORDS).iter().filter(known).count()
}

#[divan::bench]
fn flow_of_instructions() -> usize {
    let next = |word: &&u32| Flow::of(0x1000, Word(**word), Isa::A64) == Flow::Next;
    black_box(&WORDS).iter().filter(next).count()
}

/// Tables for 48-bit addresses in pages of 4 KiB: four levels, each entry the next page.
fn table(ipa: u64) -> u64 {
    let page = ipa & !0xfff;
    // A page at level 3, a table before; access flag.
    if page < 0x4000_3000 { (page + 0x1000) | 0b11 } else { 0x8000_0000 | 0x403 }
}

#[divan::bench]
fn walk_four_levels(bencher: Bencher) {
    let regime = Regime {
        sctlr: stage1::SCTLR_M,
        // T0SZ and T1SZ 16, TG1 4 KiB, 48-bit physical addresses.
        tcr: 16 | 16 << 16 | 0b10 << 30 | 0b101 << 32,
        ttbr0: 0,
        ttbr1: 0x4000_0000,
        mmfr0: 0b101,
        mmfr2: 0,
    };
    let va = 0xffff_8000_1234_5678;
    let translate = || stage1::translate(black_box(va), black_box(&regime), |ipa| Some(table(ipa)));
    assert!(translate().is_ok_and(|mapping| mapping.ipa == 0x8000_0678), "{:?}", translate());
    bencher.bench_local(translate);
}
