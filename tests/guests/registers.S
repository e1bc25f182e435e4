// Gives a debugger both stack pointers to look at, then prints what it may have set.
    .globl  _start
_start:
    mov     x0, #3 << 20            // CPACR: no trap of floating point
    msr     cpacr_el1, x0
    isb
    mov     x0, #0x1110
    msr     sp_el0, x0
    mov     x0, #0x2220
    mov     sp, x0
el1h:
    nop
    msr     spsel, #0
el1t:
    nop
    // First what printing would change.
    mrs     x6, nzcv
    mov     x7, sp
    msr     spsel, #1
    mov     x8, sp
    fmov    x9, d0
    fmov    x10, v0.d[1]
    mrs     x11, fpsr
    mrs     x12, fpcr
    adr     x20, words
    stp     x30, x6, [x20], #16
    stp     x7, x8, [x20], #16
    stp     x9, x10, [x20], #16
    stp     x11, x12, [x20], #16
    adr     x19, words
    bl      put_words
    b       power_off

    .balign 16
words:
    .space  64

#include "guest.inc"
