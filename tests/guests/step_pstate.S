// The bits of PSTATE that have registers of their own, as far as the CPU has them: read back, then seen in SPSR.
.macro prepare
    mov     x26, #0
    has     id_aa64mmfr1_el1, 20, 1 // PAN
    bfi     x26, x0, #0, #1
    has     id_aa64mmfr2_el1, 4, 1  // UAO
    bfi     x26, x0, #1, #1
    has     id_aa64pfr1_el1, 4, 2   // SSBS, with its register
    bfi     x26, x0, #2, #1
    has     id_aa64pfr0_el1, 48, 1  // DIT
    bfi     x26, x0, #3, #1
.endm

.macro toggle bit, name
    tbz     x26, #\bit, .Lnone\@
    mrs     x0, \name
    record  x0
    msr     \name, #1
    mrs     x0, \name
    record  x0
    msr     \name, #0
    mrs     x0, \name
    record  x0
    mvn     x0, xzr
    msr     \name, x0
    mrs     x0, \name
    record  x0
.Lnone\@:
.endm

.macro row level
    record  x26
    .ifnc   \level, el0
    toggle  0, pan
    toggle  1, uao
    .endif
    toggle  2, ssbs
    toggle  3, dit
    svc     #1
.endm

#include "step.inc"
