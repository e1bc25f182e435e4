// Everything by which a guest can notice that its interrupts are masked or unmasked behind its back. What it sees is recorded between
// `first` and `last` and printed after that, so that a run that was stepped through can be compared with one that was not.
    .globl  _start

// Records DAIF.
.macro record
    mrs     x0, daif
    str     x0, [x28], #8
.endm

_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    adr     x28, records
first:
    record
    msr     daifclr, #0xf
    record
    msr     daifset, #0x2
    record
    msr     daifset, #0x5
    record
    msr     daifclr, #0x4
    record
    mov     x0, #0x300
    msr     daif, x0
    record
    msr     daif, xzr
    record
    mrs     xzr, daif
    mrs     x7, daif
    str     x7, [x28], #8
    svc     #7
    record
    msr     daifset, #0x3
    svc     #8
    record
    udf     #0
    record
    msr     daifclr, #0xf
    hvc     #0xffff                 // KVM answers "not supported"
    record
    // ERET to IRQs masked and FIQs unmasked, then to everything unmasked.
    mov     x0, #0x85
    msr     spsr_el1, x0
    adr     x0, 1f
    msr     elr_el1, x0
    eret
1:  record
    mov     x0, #0x5
    msr     spsr_el1, x0
    adr     x0, 1f
    msr     elr_el1, x0
    eret
1:  record
    wfe
    yield
    record
last:
    adr     x19, records
    mov     x20, x28
    bl      put_words
    b       power_off

synchronous:
    mrs     x1, spsr_el1
    mrs     x2, elr_el1
    mrs     x3, esr_el1
    mrs     x4, daif
    stp     x1, x2, [x28], #16
    stp     x3, x4, [x28], #16
    // UDF has class 0 and ELR at the instruction itself.
    lsr     x3, x3, #26
    cbnz    x3, 0f
    add     x2, x2, #4
    msr     elr_el1, x2
0:  eret

    .balign 8
records:
    .space  512

    .balign 2048
vectors:
    .space  0x200
    b       synchronous
    .balign 2048

#include "guest.inc"
