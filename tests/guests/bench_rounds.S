// What debuggers are measured on: MMU and caches on, then rounds of ordinary instructions for ever. x21 counts the rounds.
    .globl  _start
_start:
    bl      mmu_on
    adr     x20, word
    mov     x21, #0
round:
    bl      work
    add     x21, x21, #1
    b       round

work:
    ldr     x22, [x20]
    add     x22, x22, #3
    eor     x23, x22, x21
    str     x23, [x20]
there:
    ret

// 2,000 instructions in a loop: 4 times 500, one of them in front. A debugger sets PC here.
counted:
    mov     x24, #500
0:  add     x25, x25, #1
    eor     x26, x26, x25
    subs    x24, x24, #1
    b.ne    0b
counted_end:
    b       round

    .balign 8
word:
    .quad   0

// Room for breakpoints. Never executed.
field:
    .rept   4096
    nop
    .endr

#include "mmu.inc"
