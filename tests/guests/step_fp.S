// Floating point and SIMD: trapped at EL1 (el1h), allowed at EL1 (el1t) and trapped at EL0.
.macro prepare
.endm

.macro row level
    .ifc    \level, el1h
    msr     cpacr_el1, xzr
    isb
    .endif
    .ifc    \level, el1t
    mov     x1, #1 << 20            // CPACR_EL1.FPEN: trap at EL0 only
    msr     cpacr_el1, x1
    isb
    .endif
    fmov    d0, #1.0
    .ifc    \level, el1t
    fadd    d0, d0, d0
    fmov    x1, d0
    record  x1
    movi    v1.16b, #3
    add     v2.16b, v1.16b, v1.16b
    fmov    x1, d2
    record  x1
    mrs     x1, fpsr
    record  x1
    .endif
    add     v0.4s, v0.4s, v0.4s
    mrs     x1, fpcr
    record  x1
.endm

#include "step.inc"
