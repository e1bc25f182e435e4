// Reads and writes of DAIF, at EL0 too: SCTLR_EL1.UMA is set.
.macro prepare
.endm

.macro look
    mrs     x0, daif
    record  x0
.endm

.macro row level
    look
    msr     daifset, #1
    look
    msr     daifset, #6
    look
    msr     daifclr, #4
    look
    msr     daifset, #0xf
    look
    msr     daifclr, #0xf
    look
    mov     x1, #0x240
    msr     daif, x1
    look
    msr     daif, xzr
    mrs     xzr, daif
    mrs     x30, daif
    record  x30
    mov     x1, #0x100
    msr     daif, x1
    svc     #1
.endm

#include "step.inc"
