// Instructions of all kinds that leave most registers alone, each with other results than before, for a debugger that reads only
// what may have changed.
    .arch   armv8.5-a+crc
    .globl  _start
_start:
    bl      mmu_on
    mov     x0, #3 << 20            // CPACR_EL1.FPEN: vectors are allowed
    msr     cpacr_el1, x0
    isb
    ldr     x20, =stack
    mov     sp, x20
    mov     x21, #3
first:
    .rept   2
    add     x0, x21, #5
    adds    x1, x21, x0
    subs    x2, x1, #0x7f
    and     x3, x1, #0xff0
    ands    x4, x3, x1
    bics    xzr, x4, x1
    movz    x5, #0x1234, lsl #16
    movk    x5, #0x5678
    movn    w6, #7
    adrp    x7, _start
    adr     x8, .
    bfi     x8, x0, #8, #12
    sbfx    x9, x8, #3, #20
    extr    x10, x8, x9, #13
    adc     x11, x10, x0
    sbcs    x12, x11, x8
    ccmp    x12, x0, #9, ne
    csinc   x13, x12, x0, gt
    udiv    x14, x8, x0
    lsl     x15, x14, x0
    rbit    x16, x15
    clz     x17, x16
    madd    x18, x14, x15, x16
    umulh   x19, x18, x8
    smull   x22, w18, w19
    crc32x  w23, w22, x19
    sub     sp, sp, #32
    add     sp, sp, x0, uxtx #4
    and     sp, x20, #0xfffffffffffffff0
    stp     x22, x23, [sp, #-16]!
    ldp     x24, x25, [sp], #16
    str     x24, [x20, #-8]!
    ldr     w26, [x20], #4
    ldrsh   x27, [x20, #-2]
    ldrb    w28, [x20, x21]
    ldr     x29, =0x123456789abcdef0
    ldur    x0, [x20, #-3]
    sub     x20, x20, #4
    and     x20, x20, #~15
    ldaxr   x2, [x20]
    add     x2, x2, #1
    stlxr   w3, x2, [x20]
    ldxp    x4, x5, [x20]
    clrex
    ldar    x6, [x20]
    stlr    x2, [x20]
    mrs     x7, currentel
    mrs     x8, nzcv
    mrs     x9, daif
    msr     nzcv, x2
    msr     daifset, #2
    msr     daifclr, #2
    msr     tpidr_el1, x8
    mrs     x10, tpidr_el1
    msr     spsel, #0
    mov     x11, sp
    add     sp, x11, #0
    msr     spsel, #1
    nop
    bti     c
    isb
    dsb     sy
    hint    #25                     // PACIASP
    hint    #29                     // AUTIASP
    fmov    d0, x2
    fmov    x12, d0
    str     q0, [x20], #16
    sub     x20, x20, #16
    bl      1f
    b       2f
1:  ret
2:  adr     x13, 3f
    br      x13
3:  adr     x13, 4f
    blr     x13
    b       5f
4:  bti     c
    ret
5:  cbz     x21, 5b
    cbnz    x21, 6f
6:  tbz     x21, #5, 7f
7:  b.eq    8f
8:  tbnz    x21, #0, 9f
9:  mov     w0, #3
10: sub     w0, w0, #1
    cbnz    w0, 10b
    add     x21, x21, #0x11
    .endr
    // What a CPU may lack.
    mrs     x0, id_aa64isar0_el1
    ubfx    x0, x0, #20, #4         // LSE
    cbz     x0, last
    .arch   armv8.5-a+lse
    mov     x4, #5
    mov     x5, #6
    ldadd   x21, x1, [x20]
    swp     x21, x2, [x20]
    cas     x3, x21, [x20]
    casp    x2, x3, x4, x5, [x20]
    ldumax  w21, w6, [x20]
    stclr   x21, [x20]
last:
    b       power_off
    .ltorg

    .balign 64
    .skip   4096
stack:
    .skip   64

#include "mmu.inc"
#include "guest.inc"
