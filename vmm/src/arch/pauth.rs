//! Pointer authentication (Arm ARM D8.10): which bits of a pointer its code takes.

/// Bit 55 tells the halves of the address space apart and is never part of a code.
const HALF: u32 = 55;

/// Which pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pointers {
    /// Those to code, not to data.
    pub is_code: bool,
    /// Those into the upper half.
    pub is_upper: bool,
}

/// The bits of the code by TCR_EL1: those above the address, and without top byte ignore (TBI) the
/// top byte. None while TCR_EL1 has no size for that half: nothing is signed then.
pub fn mask(tcr: u64, pointers: Pointers) -> u64 {
    let (size, tbi, tbid) = if pointers.is_upper { (16, 38, 52) } else { (0, 37, 51) };
    let size_offset = (tcr >> size & 0x3f) as u32;
    // Where TBID is set, TBI is for data alone.
    let ignores_top = tcr >> tbi & 1 != 0 && !(pointers.is_code && tcr >> tbid & 1 != 0);
    if size_offset == 0 {
        return 0;
    }
    let address = u64::MAX >> size_offset;
    let top = if ignores_top { 0 } else { u64::MAX << (HALF + 1) };
    let below_half = (1 << HALF) - 1;
    (below_half | top) & !address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(tcr: u64) -> [u64; 4] {
        let which = [(false, false), (true, false), (false, true), (true, true)];
        which.map(|(is_code, is_upper)| mask(tcr, Pointers { is_code, is_upper }))
    }

    #[test]
    fn a_code_is_above_the_address_and_below_an_ignored_top_byte() {
        // T0SZ 16 and T1SZ 16, TBI0.
        let tcr = 16 | 16 << 16 | 1 << 37;

        let user = 0x007f_0000_0000_0000;
        let kernel = 0xff7f_0000_0000_0000;
        assert_eq!(masks(tcr), [user, user, kernel, kernel]);
    }

    #[test]
    fn top_byte_ignore_may_be_for_data_alone() {
        // T0SZ 12 and T1SZ 25, TBI0 and TBI1, TBID0 and TBID1.
        let tcr = 12 | 25 << 16 | 3 << 37 | 3 << 51;

        let [data, code, upper_data, upper_code] = masks(tcr);
        assert_eq!((data, code), (0x0070_0000_0000_0000, 0xff70_0000_0000_0000));
        assert_eq!((upper_data, upper_code), (0x007f_ff80_0000_0000, 0xff7f_ff80_0000_0000));
    }

    #[test]
    fn out_of_reset_there_is_no_code() {
        assert_eq!(masks(0), [0; 4]);
    }

    #[test]
    fn no_value_of_tcr_reaches_bit_55() {
        for tcr in (0..64).map(|n| n | n << 16).chain([u64::MAX]) {
            assert!(masks(tcr).iter().all(|mask| mask & 1 << HALF == 0), "{tcr:#x}");
        }
    }
}
