// Alignment faults of an access, of SP (where QEMU's CPUs have none) and of PC.
.macro prepare
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 1         // A: all accesses; SA and SA0 are set from reset
    msr     sctlr_el1, x0
.endm

.macro row level
    adr     x6, records
    ldr     x1, [x6, #1]
    str     w1, [x6, #2]
    mov     x5, sp
    add     x4, x5, #8
    mov     sp, x4
    ldr     x1, [sp]
    mov     sp, x5
    adr     x6, 1f
    add     x6, x6, #2
    blr     x6
1:
.endm

#include "step.inc"
