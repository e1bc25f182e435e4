//! Cache maintenance after the VMM wrote what the guest fetches, or reads past the caches. Not tested on hardware:
//! no cache of the emulated host is ever stale.
#![expect(unsafe_code, reason = "cache maintenance instructions exist in assembly only")]

use std::arch::asm;

/// Makes `len` bytes written at `start` (host virtual) visible to instruction fetches of every
/// vCPU: cleans and invalidates the data cache to the point of coherency, where a guest with its
/// caches still off fetches from, and invalidates the instruction cache (Arm ARM B2.4.4, K13.5.2).
/// Linux lets EL0 do both (SCTLR_EL1.UCI, UCT).
///
/// # Safety
/// `start..start + len` must be mapped and readable.
pub(super) unsafe fn sync_instruction_cache(start: *const u8, len: usize) {
    let ctr: u64;
    // SAFETY: CTR_EL0 is readable at EL0 under Linux, or emulated by it.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
    // DminLine and IminLine are log2 of words.
    let data_line = 4usize << (ctr >> 16 & 0xf);
    let insn_line = 4usize << (ctr & 0xf);
    let first = start as usize;
    let end = first.saturating_add(len);

    let mut line = first & !(data_line - 1);
    while line < end {
        // SAFETY: the line holds a byte of a mapped range; cleaning changes no value.
        unsafe { asm!("dc civac, {}", in(reg) line, options(nostack, preserves_flags)) };
        line += data_line;
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    let mut line = first & !(insn_line - 1);
    while line < end {
        // SAFETY: as above; invalidating the instruction cache changes no value.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        line += insn_line;
    }
    // SAFETY: barriers. vCPUs that fetch from here are in KVM_RUN's future, behind an exception
    // return, which is their context synchronization event.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}

/// Makes what was written to the cache line at `address` (host virtual) visible to a guest that reads it as Device
/// memory, past the caches: cleans it to the point of coherency (Arm ARM B2.8.2, mismatched attributes). With
/// FEAT_S2FWB, where KVM makes such reads cacheable, it is not needed.
///
/// # Safety
/// `address` must be mapped and readable.
pub(super) unsafe fn clean_line(address: *const u8) {
    // SAFETY: cleaning changes no value.
    unsafe { asm!("dc cvac, {}", "dsb sy", in(reg) address, options(nostack, preserves_flags)) };
}
