//! Builds translation tables as an operating system would, from the Arm ARM's figures and tables
//! (D8.2, D8.3) written down as they stand there. Shares nothing with the walker.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::super::{Mapping, Regime, Unmapped, translate};

/// Bits of an address by the encoding of PARange and TCR.IPS.
pub const OUTPUT_SIZES: [u32; 7] = [32, 36, 40, 42, 44, 48, 52];

/// What the Arm ARM says of a granule.
pub struct Granule {
    pub name: &'static str,
    pub tg0: u64,
    pub tg1: u64,
    /// Level, and the address bits that index its tables, highest and lowest.
    pub fields: &'static [(i8, u32, u32)],
    /// TnSZ, and the level at which a walk starts.
    pub starts: &'static [(RangeInclusive<u64>, i8)],
    /// Levels of pages and blocks.
    pub leaves: &'static [i8],
    /// The same where addresses of 52 bits are in use.
    pub wide_leaves: &'static [i8],
}

pub static GRANULES: [Granule; 3] = [
    Granule {
        name: "4K",
        tg0: 0,
        tg1: 2,
        fields: &[(-1, 51, 48), (0, 47, 39), (1, 38, 30), (2, 29, 21), (3, 20, 12)],
        starts: &[(12..=15, -1), (16..=24, 0), (25..=33, 1), (34..=42, 2), (43..=48, 3)],
        leaves: &[1, 2, 3],
        wide_leaves: &[0, 1, 2, 3],
    },
    Granule {
        name: "16K",
        tg0: 2,
        tg1: 1,
        fields: &[(0, 51, 47), (1, 46, 36), (2, 35, 25), (3, 24, 14)],
        starts: &[(12..=16, 0), (17..=27, 1), (28..=38, 2), (39..=48, 3)],
        leaves: &[2, 3],
        wide_leaves: &[1, 2, 3],
    },
    Granule {
        name: "64K",
        tg0: 1,
        tg1: 3,
        fields: &[(1, 51, 42), (2, 41, 29), (3, 28, 16)],
        starts: &[(12..=21, 1), (22..=34, 2), (35..=47, 3)],
        leaves: &[2, 3],
        wide_leaves: &[1, 2, 3],
    },
];

/// Marsaglia's xorshift64: the same sequence on every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number of so many bits, 0 to 64.
    pub fn bits(&mut self, count: u32) -> u64 {
        self.next().checked_shr(64 - count).unwrap_or(0)
    }
}

/// How an operating system has set up a half of the address space.
#[derive(Clone, Copy)]
pub struct Setup {
    pub granule: &'static Granule,
    /// TnSZ.
    pub txsz: u64,
    /// Addresses of 52 bits: TCR.DS, or FEAT_LVA and FEAT_LPA with 64K.
    pub wide: bool,
    /// TTBR1's half.
    pub upper: bool,
    pub big_endian: bool,
}

impl Setup {
    /// Every granule, size, half and byte order that there is on a CPU with every feature.
    pub fn all() -> impl Iterator<Item = Self> {
        let flags = [false, true];
        let setups = move |granule: &'static Granule, wide: bool, txsz| {
            let both = move |upper| {
                flags.map(|big_endian| Self { granule, txsz, wide, upper, big_endian })
            };
            flags.into_iter().flat_map(both)
        };
        GRANULES.iter().flat_map(move |granule| {
            let max = if granule.name == "64K" { 47 } else { 48 };
            flags.into_iter().flat_map(move |wide| {
                let min = if wide { 12 } else { 16 };
                (min..=max).flat_map(move |txsz| setups(granule, wide, txsz))
            })
        })
    }

    /// Registers but for the table's address. The other half's say nothing sensible.
    pub fn regime(&self) -> Regime {
        let (tg, size, other) = if self.upper {
            // TG0 reserved, EPD0, TBI0.
            (self.granule.tg1 << 30 | 3 << 14, self.txsz << 16, 1 << 7 | 1 << 37)
        } else {
            // TG1 reserved, EPD1, TBI1.
            (self.granule.tg0 << 14, self.txsz, 1 << 23 | 1 << 38)
        };
        let ds = u64::from(self.wide) << 59;
        let pa = if self.wide { 6 } else { 5 };
        Regime {
            sctlr: 1 | u64::from(self.big_endian) << 25,
            tcr: tg | size | other | ds | pa << 32,
            ttbr0: u64::MAX,
            ttbr1: u64::MAX,
            // TGran4 and TGran16: present, with 52 bits or without.
            mmfr0: pa | if self.wide { 1 << 28 | 2 << 20 } else { 1 << 20 },
            // FEAT_TTST, FEAT_LVA.
            mmfr2: 1 << 28 | u64::from(self.wide) << 16,
        }
    }

    pub fn name(&self) -> String {
        let half = if self.upper { "TTBR1" } else { "TTBR0" };
        let width = if self.wide { 52 } else { 48 };
        format!("{}, {half}, size {}, {width} bits", self.granule.name, self.txsz)
    }

    pub fn first_level(&self) -> i8 {
        let start = self.granule.starts.iter().find(|(sizes, _)| sizes.contains(&self.txsz));
        start.expect("a legal size").1
    }

    /// Tables on the way to a descriptor at this level.
    pub fn tables_to(&self, level: i8) -> usize {
        (self.first_level()..=level).count()
    }

    /// Levels that a walk may end at.
    pub fn leaves(&self) -> impl Iterator<Item = i8> {
        let all = if self.wide { self.granule.wide_leaves } else { self.granule.leaves };
        let first = self.first_level();
        all.iter().copied().filter(move |level| *level >= first)
    }

    /// The bits that index a level's tables, highest and lowest.
    pub fn field(&self, level: i8) -> (u32, u32) {
        let field = self.granule.fields.iter().find(|(of, _, _)| *of == level);
        let (_, high, low) = *field.expect("a level of this granule");
        (high.min(63 - self.txsz as u32), low)
    }

    /// log2 of a page's bytes.
    pub fn page(&self) -> u32 {
        self.field(3).1
    }

    /// Log2 of the lowest address that is too high for a table or a page.
    pub fn output_bits(&self) -> u32 {
        if self.wide { 52 } else { 48 }
    }

    /// The address in this half whose lower bits are these.
    pub fn address(&self, bits: u64) -> u64 {
        let inside = u64::MAX >> self.txsz;
        if self.upper { bits | !inside } else { bits & inside }
    }
}

/// Guest memory with tables in it.
pub struct Tables {
    pub setup: Setup,
    pub regime: Regime,
    /// Where there are tables, and their bytes; what is not written there is zero.
    memory: Vec<(u64, u64)>,
    words: BTreeMap<u64, u64>,
    random: Random,
    /// Address of the first table.
    root: u64,
}

impl Tables {
    /// An empty first table, somewhere.
    pub fn new(setup: Setup, seed: u64) -> Self {
        let mut random = Random(seed);
        let (high, low) = setup.field(setup.first_level());
        let size = 8 << (high - low + 1);
        let alignment = if setup.wide { size.max(64) } else { size };
        let root = random.bits(setup.output_bits()) & !(alignment - 1);
        // ASID and CnP, which are no part of the address.
        let mut ttbr = root & 0xffff_ffff_ffff | random.bits(16) << 48 | 1;
        if setup.wide {
            ttbr |= (root >> 48) << 2;
        }
        let mut regime = setup.regime();
        *if setup.upper { &mut regime.ttbr1 } else { &mut regime.ttbr0 } = ttbr;
        let memory = vec![(root, size)];
        Self { setup, regime, memory, words: BTreeMap::new(), random, root }
    }

    /// A descriptor for this address. What of it is no address and no type is arbitrary.
    pub fn descriptor(&mut self, address: u64, kind: u64) -> u64 {
        // Attributes, or ignored, in all formats.
        let mut noise = 0xfff0_0000_0000_0cfc;
        let mut desc = address & 0xffff_ffff_ffff;
        match (self.setup.granule.name, self.setup.wide) {
            ("64K", true) => {
                noise |= 0x300;
                desc |= address >> 48 << 12;
            }
            (_, true) => {
                desc = address & 0x3_ffff_ffff_ffff | address >> 50 << 8;
            }
            _ => noise |= 0x300,
        }
        desc | self.random.next() & noise | kind
    }

    /// Writes the descriptor at `level` on the way to `va`, and new tables above it.
    pub fn set(&mut self, va: u64, level: i8, descriptor: u64) {
        let mut table = self.root;
        for above in self.setup.first_level()..level {
            let entry = table + self.index(va, above) * 8;
            table = self.random.bits(self.setup.output_bits()) >> self.setup.page();
            table <<= self.setup.page();
            let to_table = self.descriptor(table, 3);
            self.write(entry, to_table);
            self.memory.push((table, 1 << self.setup.page()));
        }
        self.write(table + self.index(va, level) * 8, descriptor);
    }

    /// Maps `va` by a page or block at `level`.
    pub fn map(&mut self, va: u64, level: i8, ipa: u64) {
        let kind = if level == 3 { 3 } else { 1 };
        let leaf = self.descriptor(ipa, kind);
        self.set(va, level, leaf);
    }

    fn index(&self, va: u64, level: i8) -> u64 {
        let (high, low) = self.setup.field(level);
        va >> low & ((1 << (high - low + 1)) - 1)
    }

    fn write(&mut self, at: u64, word: u64) {
        let stored = if self.setup.big_endian { word.swap_bytes() } else { word };
        self.words.insert(at, stored);
    }

    /// What the walker says, and how many words it read.
    pub fn walk(&self, va: u64) -> (Result<Mapping, Unmapped>, usize) {
        let mut reads = 0;
        let found = translate(va, &self.regime, |ipa| {
            reads += 1;
            let is_table = self.memory.iter().any(|(at, size)| (*at..at + size).contains(&ipa));
            is_table.then(|| self.words.get(&ipa).copied().unwrap_or(0))
        });
        (found, reads)
    }
}
