//! Stage-1 translation for EL1&0 (Arm ARM D8): a virtual address to an intermediate physical one.
//! KVM has no `KVM_TRANSLATE` on arm64. Permissions are not checked: a debugger sees what is mapped.

#[path = "stage1/unmapped.rs"]
mod unmapped;

pub use unmapped::Unmapped;

/// The registers that a walk depends on. All 64 bits wide, as the guest wrote them: nothing in
/// here, and nothing in the tables, is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Regime {
    /// SCTLR_EL1.
    pub sctlr: u64,
    /// TCR_EL1.
    pub tcr: u64,
    /// TTBR0_EL1.
    pub ttbr0: u64,
    /// TTBR1_EL1.
    pub ttbr1: u64,
    /// ID_AA64MMFR0_EL1, for PARange and FEAT_LPA2 (TGran4, TGran16).
    pub mmfr0: u64,
    /// ID_AA64MMFR2_EL1, for FEAT_LVA (VARange) and FEAT_TTST (ST).
    pub mmfr2: u64,
}

impl Regime {
    /// Bits of a virtual address in the half of `va`; `None` with the MMU off, or if TCR has none that
    /// can be.
    pub fn address_bits(&self, va: u64) -> Option<u32> {
        if self.sctlr & SCTLR_M == 0 {
            return None;
        }
        input_size(&Half::of(va, self).ok()?, self).ok()
    }
}

/// Where a virtual address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Intermediate physical address of the very byte asked for.
    pub ipa: u64,
    /// Bytes from there to the end of the page or block that maps it; at least 1.
    pub rest: u64,
}

/// A descriptor that a walk has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// From -1 to 3.
    pub level: i8,
    /// IPA of the table.
    pub table: u64,
    /// Position in it.
    pub index: u64,
    /// log2 of the bytes that share it.
    pub shift: u32,
    /// The descriptor, in this machine's byte order; `None` if the table is not in guest memory.
    pub descriptor: Option<u64>,
}

/// How addresses of a half are walked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// TTBRn_EL1.
    pub table: u64,
    /// log2 of a page's bytes.
    pub page_bits: u32,
    /// Bits of an address.
    pub input_bits: u32,
    /// TCR.DS: descriptors have two bits more of an address in the place of SH.
    pub is_lpa2: bool,
}

impl Shape {
    /// That of the half of `va`, as far as TCR says anything sensible of it.
    pub fn of(va: u64, regime: &Regime) -> Result<Self, Unmapped> {
        let half = Half::of(va, regime)?;
        Ok(Self {
            table: half.table,
            page_bits: half.granule as u32,
            input_bits: input_size(&half, regime)?,
            is_lpa2: half.format == Format::Lpa2,
        })
    }
}

/// SCTLR_EL1.M: stage 1 translates.
pub const SCTLR_M: u64 = 1 << 0;
const SCTLR_EE: u64 = 1 << 25;
const TCR_DS: u64 = 1 << 59;
const DESC_VALID: u64 = 1 << 0;
const DESC_TABLE: u64 = 1 << 1;
/// Last level of every walk.
const LEAF: i8 = 3;

/// `value[hi:lo]`.
pub(super) fn bits(value: u64, hi: u32, lo: u32) -> u64 {
    value >> lo & (u64::MAX >> (63 - (hi - lo)))
}

/// Clears the bits of `value` below bit `n`; n < 64.
pub(super) fn align_down(value: u64, n: u32) -> u64 {
    value >> n << n
}

/// log2 of a granule's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Granule {
    K4 = 12,
    K16 = 14,
    K64 = 16,
}

/// Where descriptors have bits 51:48 of an output address (D8.3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Nowhere: 48 bits are all.
    Bits48,
    /// FEAT_LPA, 64K granule: in 15:12.
    Lpa,
    /// FEAT_LPA2, TCR.DS: 51:50 in 9:8, the others in place.
    Lpa2,
}

/// One half of the address space: TTBR0's or TTBR1's, decoded from TCR (Arm ARM D24.2.215).
pub(super) struct Half {
    table: u64,
    size_offset: u32,
    granule: Granule,
    format: Format,
    walks_disabled: bool,
}

impl Half {
    pub(super) fn of(va: u64, regime: &Regime) -> Result<Self, Unmapped> {
        let upper = is_upper(va);
        let tcr = regime.tcr;
        // TG0 and TG1 encode the granules differently.
        let granule = match (upper, bits(tcr, 15, 14), bits(tcr, 31, 30)) {
            (false, 0, _) | (true, _, 2) => Granule::K4,
            (false, 2, _) | (true, _, 1) => Granule::K16,
            (false, 1, _) | (true, _, 3) => Granule::K64,
            _ => return Err(Unmapped::BadTcr),
        };
        Ok(Self {
            table: if upper { regime.ttbr1 } else { regime.ttbr0 },
            size_offset: if upper { bits(tcr, 21, 16) } else { bits(tcr, 5, 0) } as u32,
            granule,
            format: format(granule, regime),
            walks_disabled: tcr & 1 << if upper { 23 } else { 7 } != 0,
        })
    }

    /// Whether a block descriptor exists at `level` (D8.3.1).
    fn has_blocks(&self, level: i8) -> bool {
        match (self.granule, level) {
            (_, 2) | (Granule::K4, 1) => true,
            (Granule::K4, 0) | (Granule::K16, 1) => self.format == Format::Lpa2,
            (Granule::K64, 1) => self.format == Format::Lpa,
            _ => false,
        }
    }

    /// Address that a descriptor holds, of a table or a page; a block has RES0 bits below its own.
    fn address(&self, desc: u64) -> u64 {
        let page = self.granule as u32;
        match self.format {
            Format::Bits48 => align_down(bits(desc, 47, 0), page),
            Format::Lpa => align_down(bits(desc, 47, 0), page) | bits(desc, 15, 12) << 48,
            Format::Lpa2 => align_down(bits(desc, 49, 0), page) | bits(desc, 9, 8) << 50,
        }
    }

    /// Address of the first table, which has `1 << index_bits` descriptors.
    fn first_table(&self, index_bits: u32, output_bits: u32) -> u64 {
        let size = index_bits + 3;
        let is_wide = match self.format {
            Format::Bits48 => false,
            Format::Lpa => output_bits > 48,
            Format::Lpa2 => true,
        };
        if is_wide {
            // Aligned to 64 bytes at least; TTBR[5:2] holds address bits 51:48.
            align_down(bits(self.table, 47, 0), size.max(6)) | bits(self.table, 5, 2) << 48
        } else {
            align_down(bits(self.table, 47, 0), size)
        }
    }
}

/// Whether `va` belongs to TTBR1, whatever is in its top byte.
pub fn is_upper(va: u64) -> bool {
    va & 1 << 55 != 0
}

/// TCR.TBIn (D8.9), which counts with the MMU off as well.
pub(super) fn is_top_byte_ignored(va: u64, tcr: u64) -> bool {
    tcr & 1 << (37 + u32::from(is_upper(va))) != 0
}

fn format(granule: Granule, regime: &Regime) -> Format {
    // What the CPU does not implement, TCR does not select. TGran4 is signed.
    let has_lpa2 = match granule {
        Granule::K4 => (1..8).contains(&bits(regime.mmfr0, 31, 28)),
        Granule::K16 => bits(regime.mmfr0, 23, 20) >= 2,
        Granule::K64 => false,
    };
    if has_lpa2 && regime.tcr & TCR_DS != 0 {
        Format::Lpa2
    } else if granule == Granule::K64 && implemented_bits(regime) == 52 {
        Format::Lpa
    } else {
        Format::Bits48
    }
}

/// Bits of a physical address: PARange's encoding (ID_AA64MMFR0_EL1), shared with TCR.IPS.
fn physical_bits(encoding: u64) -> u32 {
    match encoding {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    }
}

/// Bits of a physical address that the CPU has.
pub(super) fn implemented_bits(regime: &Regime) -> u32 {
    physical_bits(bits(regime.mmfr0, 3, 0))
}

/// Translates `va`. `read` returns the 64-bit little-endian word at an IPA, or `None` where there
/// is no guest memory; it is called at most five times.
pub fn translate(
    va: u64,
    regime: &Regime,
    read: impl FnMut(u64) -> Option<u64>,
) -> Result<Mapping, Unmapped> {
    trace(va, regime, read, |_| {})
}

/// As [`translate`]; `see` is told of each descriptor on the way.
pub fn trace(
    va: u64,
    regime: &Regime,
    read: impl FnMut(u64) -> Option<u64>,
    see: impl FnMut(&Lookup),
) -> Result<Mapping, Unmapped> {
    if regime.sctlr & SCTLR_M == 0 {
        // Stage 1 off: a flat map (D8.2.10), as wide as the physical address.
        let ipa = if is_top_byte_ignored(va, regime.tcr) { bits(va, 55, 0) } else { va };
        return match ipa >> implemented_bits(regime) {
            0 => Ok(Mapping { ipa, rest: 0x1000 - (ipa & 0xfff) }),
            _ => Err(Unmapped::AddressSize(0)),
        };
    }
    let half = Half::of(va, regime)?;
    let input_bits = half.check(va, regime)?;
    let walk = half.walk(va, input_bits, regime, read, see);
    let ipa = walk.ipa?;
    Ok(Mapping { ipa, rest: (1 << walk.shift) - bits(va, walk.shift - 1, 0) })
}

/// A walk, and where it ended.
pub(super) struct Walk {
    /// Where the address leads.
    pub ipa: Result<u64, Unmapped>,
    /// log2 of the bytes that share the last descriptor looked at.
    pub shift: u32,
    /// That descriptor; 0 if there was none.
    pub descriptor: u64,
    /// What the table descriptors on the way have in bits 63:59, together (D8.3, hierarchical
    /// control).
    pub hierarchical: u64,
}

impl Half {
    /// Bits of an address in this half, if `va` is one that is walked for.
    pub(super) fn check(&self, va: u64, regime: &Regime) -> Result<u32, Unmapped> {
        if self.walks_disabled {
            return Err(Unmapped::WalkDisabled);
        }
        let input_bits = input_size(self, regime)?;
        check_canonical(va, input_bits, is_top_byte_ignored(va, regime.tcr))?;
        Ok(input_bits)
    }

    /// Walks the tables for `va`, which [`Self::check`] has accepted.
    pub(super) fn walk(
        &self,
        va: u64,
        input_bits: u32,
        regime: &Regime,
        mut read: impl FnMut(u64) -> Option<u64>,
        mut see: impl FnMut(&Lookup),
    ) -> Walk {
        let output_bits = physical_bits(bits(regime.tcr, 34, 32))
            .min(implemented_bits(regime))
            .min(if self.format == Format::Bits48 { 48 } else { 52 });
        let page = self.granule as u32;
        let stride = page - 3;
        let mut level = LEAF + 1 - (input_bits - page).div_ceil(stride) as i8;
        // Lowest VA bit that a level resolves.
        let shift = |level: i8| page + stride * u32::from((LEAF - level).unsigned_abs());

        let mut table = self.first_table(input_bits - shift(level), output_bits);
        if table >> output_bits != 0 {
            // What the CPU reports for a TTBR, whatever the level of its table.
            let ipa = Err(Unmapped::AddressSize(0));
            return Walk { ipa, shift: input_bits, descriptor: 0, hierarchical: 0 };
        }
        let mut index = bits(va, input_bits - 1, shift(level));
        let mut hierarchical = 0;
        loop {
            let end = |ipa, descriptor, hierarchical| Walk {
                ipa,
                shift: shift(level),
                descriptor,
                hierarchical,
            };
            let ee = regime.sctlr & SCTLR_EE != 0;
            let word = read(table + index * 8);
            let descriptor = word.map(|word| if ee { word.swap_bytes() } else { word });
            see(&Lookup { level, table, index, shift: shift(level), descriptor });
            let Some(desc) = descriptor else {
                return end(Err(Unmapped::TableOutsideMemory(level)), 0, hierarchical);
            };
            // A page looks like a table (D8.3).
            let is_leaf = match (desc & DESC_VALID != 0, desc & DESC_TABLE != 0) {
                (true, true) => level == LEAF,
                (true, false) if self.has_blocks(level) => true,
                _ => return end(Err(Unmapped::Invalid(level)), desc, hierarchical),
            };
            let address = self.address(desc);
            let offset = bits(va, shift(level) - 1, 0);
            let next = if is_leaf { align_down(address, shift(level)) | offset } else { address };
            if next >> output_bits != 0 {
                return end(Err(Unmapped::AddressSize(level)), desc, hierarchical);
            }
            if is_leaf {
                return end(Ok(next), desc, hierarchical);
            }
            hierarchical |= bits(desc, 63, 59);
            table = next;
            index = bits(va, shift(level) - 1, shift(level + 1));
            level += 1;
        }
    }
}

/// Bits of a virtual address in this half: 64 - TnSZ, inside its limits (D8.2.4).
pub(super) fn input_size(half: &Half, regime: &Regime) -> Result<u32, Unmapped> {
    let is_64k = half.granule == Granule::K64;
    let lva = bits(regime.mmfr2, 19, 16) != 0;
    let small_tables = bits(regime.mmfr2, 31, 28) != 0;
    let min = if half.format == Format::Lpa2 || (is_64k && lva) { 12 } else { 16 };
    let max = match (small_tables, is_64k) {
        (false, _) => 39,
        (true, false) => 48,
        (true, true) => 47,
    };
    if (min..=max).contains(&half.size_offset) {
        Ok(64 - half.size_offset)
    } else {
        Err(Unmapped::BadTcr)
    }
}

/// Checks the bits above the input size; with TBI, bits 63:56 are free (D8.9).
fn check_canonical(va: u64, input_bits: u32, top_byte_ignored: bool) -> Result<(), Unmapped> {
    let top = if top_byte_ignored { 55 } else { 63 };
    let found = bits(va, top, input_bits);
    let ones = bits(u64::MAX, top, input_bits);
    let expected = if is_upper(va) { ones } else { 0 };
    if found == expected { Ok(()) } else { Err(Unmapped::NotCanonical) }
}

#[cfg(test)]
#[path = "stage1_tests.rs"]
mod tests;
