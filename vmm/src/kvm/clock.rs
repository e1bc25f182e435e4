//! The host's counter, which is the cheapest clock there is: one instruction.
#![expect(unsafe_code, reason = "system registers are read in assembly only")]

use std::arch::asm;

/// Ticks of CNTVCT_EL0, without a barrier: an instruction or two early or late.
pub fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: Linux lets EL0 read the counter, or reads it for EL0.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// Ticks a second. A guest's counters have the same.
pub fn frequency() -> u64 {
    let frequency: u64;
    // SAFETY: as above.
    unsafe {
        asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack, preserves_flags));
    };
    frequency
}
