// Fills vector registers and the thread pointer for a debugger to look at, then prints what it may have set: v4's two halves,
// the last word of z6 (0 without SVE) and TPIDR_EL0.
    .arch   armv8-a+sve
    .globl  _start
_start:
    mov     x0, #3 << 20            // CPACR: no trap of floating point
    movk    x0, #(3 << 20 | 3 << 16) >> 16, lsl #16 // nor of SVE
    msr     cpacr_el1, x0
    isb
    ldr     x0, =0x123456789abcdef0
    msr     tpidr_el0, x0
    adr     x2, pattern
    ldr     q5, [x2]
    // Bytes of a vector, 0 without SVE.
    mov     x1, #0
    mrs     x0, id_aa64pfr0_el1
    ubfx    x0, x0, #32, #4
    cbz     x0, filled
    mov     x0, #0xf                // ZCR_EL1: as long as may be
    msr     S3_0_C1_C2_0, x0
    isb
    cntb    x1
    index   z3.b, #1, #1
    ptrue   p1.h
    wrffr   p1.b
filled:
    nop
    adr     x20, words
    stp     q4, q4, [x20]
    str     xzr, [x20, #16]
    cbz     x1, 1f
    adr     x2, longest
    str     z6, [x2]
    add     x2, x2, x1
    ldr     x2, [x2, #-8]
    str     x2, [x20, #16]
1:  mrs     x2, tpidr_el0
    str     x2, [x20, #24]
    add     x20, x20, #32
    adr     x19, words
    bl      put_words
    b       power_off

    .balign 16
pattern:
    .quad   0x1122334455667788, 0x99aabbccddeeff00
words:
    .space  32
longest:
    .space  256

#include "guest.inc"
