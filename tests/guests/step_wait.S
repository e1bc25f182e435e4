// WFI and WFE with an interrupt pending and masked, so that there is nothing to wait for; at EL0 with traps on (SCTLR_EL1.nTWI and
// nTWE clear), which only an instruction that waits would take. And YIELD, SEV and barriers.
#define WITH_INTERRUPTS 20          // the first one comes after a microsecond, and nobody takes it
#define MASKED 2

.macro prepare
    mrs     x0, sctlr_el1
    bic     x0, x0, #1 << 16        // nTWI
    bic     x0, x0, #1 << 18        // nTWE
    msr     sctlr_el1, x0
.endm

.macro row level
    // The timer's interrupt is on its way to the CPU.
    .ifc    \level, el1h
1:  mrs     x0, isr_el1
    tbz     x0, #7, 1b
    .endif
wfi_\level:
    wfi
    mov     x1, #1
    record  x1
    sevl
wfe_\level:
    wfe
    sev
    wfe
    yield
    dsb     sy
    isb
    mov     x1, #2
    record  x1
.endm

#include "step.inc"
