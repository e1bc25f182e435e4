// DAIF at EL0 with SCTLR_EL1.UMA clear: every access traps to EL1.
.macro prepare
    mrs     x0, sctlr_el1
    bic     x0, x0, #SCTLR_UMA
    msr     sctlr_el1, x0
.endm

.macro row level
    .ifc    \level, el0
    mov     x0, #0x5a
    mrs     x0, daif
    record  x0
    msr     daif, x0
    msr     daifset, #2
    msr     daifclr, #2
    .endif
.endm

#include "step.inc"
