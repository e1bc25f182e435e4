// Instructions that show or change DAIF while the timer's interrupt is pending, or nearly so, all the time.
#define WITH_MMU
#define WITH_INTERRUPTS 13          // an eighth of a millisecond

.macro prepare
.endm

.macro row level
    mrs     x0, daif
    record  x0
    svc     #1
    udf     #2
    brk     #3
    msr     daifset, #2
    mrs     x0, daif
    record  x0
    svc     #4
    msr     daifclr, #2
    mrs     x0, daif
    record  x0
    // An increment that no interrupt may tear, and a compare-and-exchange that finds another value.
    adr     x0, cell
    mov     x3, #3
load_\level:
    ldxr    x1, [x0]
    add     x1, x1, #1
    stxr    w2, x1, [x0]
load_end_\level:
    cbnz    w2, load_\level
    subs    x3, x3, #1
    b.ne    load_\level
    record  x1
compare_\level:
    ldaxr   x1, [x0]
    cmp     x1, #0
    b.ne    compare_out_\level
    stlxr   w2, x1, [x0]
compare_out_\level:
    clrex
    .ifnc   \level, el0
    mrs     x0, id_aa64pfr0_el1     // traps to KVM
    record  x0
    hvc     #0xffff
    .endif
.endm

#include "step.inc"

    .balign 16
cell:
    .quad   0, 0
