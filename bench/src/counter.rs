//! The CPU's counter, which host and guest share.

use std::arch::asm;
use std::time::Duration;

/// What the counter says. For user space of a host that is CNTVCT_EL0 without an offset, so the physical
/// count (Linux keeps CNTVOFF_EL2 0 for itself), which a guest reads as CNTPCT_EL0.
pub fn now() -> u64 {
    let count;
    // SAFETY: reads a register that Linux lets user space read; ISB keeps the read in its place (Arm ARM, D12.2.1). Neither
    // touches memory, the stack or the flags.
    #[allow(unsafe_code, reason = "no safe function reads the counter")]
    unsafe {
        asm!("isb", "mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack, preserves_flags));
    }
    count
}

/// The time that so many counts take.
pub fn duration(counts: u64) -> Duration {
    let hertz: u64;
    // SAFETY: as above.
    #[allow(unsafe_code, reason = "no safe function reads the counter's frequency")]
    unsafe {
        asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack, preserves_flags));
    }
    Duration::from_secs_f64(counts as f64 / hertz as f64)
}
