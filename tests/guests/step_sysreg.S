// System registers that trap to KVM: ones that it answers for, and ones that do not exist. At EL0 none of them does.
.macro prepare
.endm

.macro row level
    mov     x0, #0
    mrs     x0, id_aa64pfr0_el1
    record  x0
    mrs     x0, id_aa64mmfr2_el1
    record  x0
    mov     x1, #0x7000
    msr     dbgbvr0_el1, x1
    mrs     x0, dbgbvr0_el1
    record  x0
    msr     oslar_el1, xzr
    mrs     x0, oslsr_el1
    record  x0
    mrs     x0, S3_0_C15_C0_7       // implementation defined space
    msr     S3_0_C15_C0_7, x0
    record  x0
.endm

#include "step.inc"
