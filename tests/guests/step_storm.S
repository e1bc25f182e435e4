// Everything at once under a timer interrupt that is pending all the time, or nearly so: DAIF, exceptions and returns between EL1 and EL0,
// exclusives, WFI, SIMD, trapped registers, a device. Prints a checksum that does not depend on when interrupts come, how many of them
// found what they must not find, and how many there were.
    .arch   armv8.5-a
    .globl  _start
.equ ROUNDS, 80
.equ FREE, 20                       // rounds that a debugger does not step through
.equ ALIAS, 0x40000000              // from EL1's addresses to those that EL0 may use: see mmu.inc
.equ INTERVAL, 13                   // an eighth of a millisecond
.equ SPSR_SS, 1 << 21

// Takes a register's value into the checksum.
.macro mix register
    eor     x26, x26, \register
    ror     x26, x26, #7
    add     x26, x26, #1
.endm

.macro mix_pstate
    mrs     x0, daif
    mix     x0
    mrs     x0, nzcv
    mix     x0
.endm

// What both levels do.
.macro common
    mix_pstate
    msr     daifset, #2
    mix_pstate
    msr     daifset, #4
    svc     #1
    mov     x0, #0x2c0              // D, I and F
    msr     daif, x0
    mix_pstate
    udf     #2
    msr     daif, x9
    mix_pstate
    svc     #3
    brk     #4
    movz    x1, #2, lsl #32         // beyond the tables
    ldr     x0, [x1]
    // Exclusives: an increment, and a maximum that mostly leaves.
    adr     x1, cells
1:  ldaxr   x0, [x1]
    add     x0, x0, #3
    stlxr   w2, x0, [x1]
    cbnz    w2, 1b
    mix     x0
    add     x1, x1, #16
1:  ldxp    x0, x2, [x1]
    add     x2, x2, x27
    stxp    w3, x0, x2, [x1]
    cbnz    w3, 1b
    mix     x2
    and     x4, x26, #0xff
    add     x1, x1, #16
1:  ldxr    x0, [x1]
    cmp     x0, x4
    b.hs    2f
    stxr    w2, x4, [x1]
    cbnz    w2, 1b
2:  clrex
    mix     x0
    // SIMD, and what it stores.
    dup     v1.2d, x26
    add     v0.4s, v0.4s, v1.4s
    fmul    v2.2d, v2.2d, v3.2d
    add     x1, x1, #16
    st1     {v0.16b}, [x1]
    ldp     x0, x2, [x1]
    mix     x0
    mix     x2
    fmov    x0, d2
    mix     x0
.endm

_start:
    ldr     x0, =vectors
    msr     vbar_el1, x0
    ldr     x0, =stack
    mov     sp, x0
    bl      mmu_on
    mrs     x0, sctlr_el1
    orr     x0, x0, #1 << 9         // UMA: DAIF at EL0
    msr     sctlr_el1, x0
    mov     x0, #3 << 20            // CPACR: no trap of floating point
    msr     cpacr_el1, x0
    isb
    bl      interrupts_on
    mrs     x25, cntfrq_el0
    lsr     x25, x25, #INTERVAL
    msr     cntv_tval_el0, x25
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    movi    v0.2d, #0
    fmov    v2.2d, #1.5
    fmov    v3.2d, #1.25
    mov     x26, #0
    mov     x27, #ROUNDS
    msr     nzcv, xzr
    ldr     x28, =UART
    msr     daifclr, #0xf
first:
round:
    cmp     x27, #FREE
    b.ne    1f
free:
    nop
1:  mov     x9, #0
    common
    wfi
    mrs     x0, id_aa64mmfr0_el1    // traps to KVM
    mix     x0
    ldr     x0, =0x84000000         // PSCI_VERSION
    hvc     #0
    mix     x0
    // The UART's baud rate, and the first byte of its identity (PL011 TRM, 3.3.5 and 3.3.16).
    str     w27, [x28, #0x24]
    ldr     w0, [x28, #0x24]
    mix     x0
    ldr     w0, [x28, #0xfe0]
    mix     x0
    // EL0, with FIQs masked. An interrupt on the way would have SPSR and ELR to itself.
    msr     daifset, #2
    mov     x0, #0x40
    msr     spsr_el1, x0
    ldr     x0, =at_el0 + ALIAS
    msr     elr_el1, x0
    eret
at_el0:
    mov     x9, #0x40
    common
    svc     #0xff
back:
    msr     daifclr, #0xf
    subs    x27, x27, #1
    b.ne    round
last:
    msr     daifset, #0xf
    adr     x1, cells
    mov     x2, #8
1:  ldr     x0, [x1], #8
    mix     x0
    subs    x2, x2, #1
    b.ne    1b
    mov     x0, x26
    bl      putx
    adr     x19, violations
    adr     x20, cells
    bl      put_words
    b       power_off

// Uses x19 to x23. What it sees is the same in every run.
exception:
    mrs     x19, elr_el1
    mrs     x20, spsr_el1
    mrs     x21, esr_el1
    mix     x19
    mix     x20
    mix     x21
    mrs     x22, daif
    mix     x22
    lsr     x22, x21, #26
    cmp     x22, #0x15              // SVC
    b.eq    1f
    add     x19, x19, #4
    msr     elr_el1, x19
    eret
1:  and     x21, x21, #0xffff
    cmp     x21, #0xff
    b.ne    2f
    mov     x20, #0x3c5             // back to EL1, everything masked
    msr     spsr_el1, x20
    ldr     x19, =back
    msr     elr_el1, x19
2:  eret

// Uses x16 to x18, and the main flow's flags are in SPSR.
interrupt:
    mov     x18, x30
    bl      tick
    mov     x30, x18
    mrs     x16, spsr_el1
    mov     x18, #0
    tst     x16, #SPSR_SS
    cinc    x18, x18, ne
    // DAIF and the mode: whatever the main flow masks, it masks IRQs first.
    mov     x17, #0x3df
    and     x16, x16, x17
    mrs     x17, elr_el1
    cmp     x16, #0x40
    b.ne    1f
    ldr     x16, =ALIAS
    sub     x17, x17, x16
    b       2f
1:  cmp     x16, #5
    cinc    x18, x18, ne
2:  ldr     x16, =first
    cmp     x17, x16
    cinc    x18, x18, lo
    ldr     x16, =last
    cmp     x17, x16
    cinc    x18, x18, hi
    ldr     x16, =violations
    ldr     x17, [x16]
    add     x17, x17, x18
    str     x17, [x16]
    ldr     x17, [x16, #8]
    add     x17, x17, #1
    str     x17, [x16, #8]
    eret
    .ltorg

    .balign 16
violations:
    .quad   0
ticks:
    .quad   0
cells:
    .space  64

    .balign 2048
vectors:
    .rept   4
    .balign 0x80
    b       exception
    .balign 0x80
    b       interrupt
    .balign 0x80
    b       .                       // FIQ
    .balign 0x80
    b       .                       // SError
    .endr
    .balign 0x80

    .space  256
stack:

#include "gic.inc"
#include "guest.inc"
#include "mmu.inc"
