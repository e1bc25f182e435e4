// Data and instruction aborts: translation and permission faults.
#define WITH_MMU

.macro prepare
.endm

.macro row level
    movz    x6, #2, lsl #32         // beyond the tables
    ldr     x1, [x6]
    str     x1, [x6, #8]
    ldp     x1, x2, [x6], #16
    record  x6                      // without write-back
    blr     x6
    mov     x1, #0x40000000
    .ifc    \level, el0
    ldr     x2, [x1]                // EL1's
    blr     x1
    .else
    ldr     x1, =first + ALIAS      // EL0's: not executable
    blr     x1
    .endif
    movz    x1, #1, lsl #32         // read-only
    str     x2, [x1]
.endm

#include "step.inc"
