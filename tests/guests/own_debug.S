// A guest that debugs itself: a breakpoint and a watchpoint at EL1 and at EL0 in its own debug registers, and software steps of both.
// Prints what its handler sees of each: offset of the vector, ESR, FAR, ELR and SPSR.
    .globl  _start

// MDSCR_EL1
.equ SS, 1 << 0
.equ KDE, 1 << 13                   // debug exceptions at EL1 too
.equ MDE, 1 << 15                   // breakpoints and watchpoints

// DBGBCR and DBGWCR: E, and PMC or PAC; all bytes.
.equ BREAK_EL1, 0x1e0 + 0b01 << 1 + 1
.equ BREAK_EL0, 0x1e0 + 0b10 << 1 + 1
.equ WATCH_STORE_EL1, 0x1fe0 + 0b10 << 3 + 0b01 << 1 + 1
.equ WATCH_LOAD_EL0, 0x1fe0 + 0b01 << 3 + 0b10 << 1 + 1

// SPSR
.equ EL0, 0x000
.equ EL1H, 0x005
.equ STEP, 1 << 21

// ERET to \where with PSTATE \spsr. The SVC at the end of what is there leads back to behind this.
.macro enter where, spsr
    ldr     x0, =\spsr
    msr     spsr_el1, x0
    adr     x0, \where
    msr     elr_el1, x0
    adr     x27, 1f
    eret
1:
.endm

_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    adr     x28, records
    adr     x26, cell
    msr     oslar_el1, xzr          // unlocked
    mov     x0, #KDE + MDE
    msr     mdscr_el1, x0
    isb

    // A breakpoint and a watchpoint at EL1, where PSTATE.D masks them after reset.
    adr     x0, at_el1
    msr     dbgbvr0_el1, x0
    ldr     x0, =BREAK_EL1
    msr     dbgbcr0_el1, x0
    isb
    enter   el1, EL1H
    msr     dbgwvr0_el1, x26
    ldr     x0, =WATCH_STORE_EL1
    msr     dbgwcr0_el1, x0
    isb
    enter   el1, EL1H

    // The same at EL0.
    adr     x0, at_el0
    msr     dbgbvr0_el1, x0
    ldr     x0, =BREAK_EL0
    msr     dbgbcr0_el1, x0
    isb
    enter   el0, EL0
    msr     dbgwvr0_el1, x26
    ldr     x0, =WATCH_LOAD_EL0
    msr     dbgwcr0_el1, x0
    isb
    enter   el0, EL0

    // Software steps. If none comes, the SVC does.
    mov     x0, #KDE + MDE + SS
    msr     mdscr_el1, x0
    isb
    enter   el1, EL1H + STEP
    mov     x0, #KDE + MDE + SS
    msr     mdscr_el1, x0
    isb
    enter   el0, EL0 + STEP

    adr     x19, records
    mov     x20, x28
    bl      put_words
    b       power_off

el1:
    nop
at_el1:
    nop
stores_at_el1:
    str     w26, [x26, #4]
    svc     #1

el0:
    nop
at_el0:
    nop
loads_at_el0:
    ldr     w0, [x26]
    svc     #0
    .ltorg

.macro vector number
    .balign 0x80
    mov     x1, #\number
    b       synchronous
.endm

synchronous:
    mrs     x2, esr_el1
    mrs     x3, far_el1
    mrs     x4, elr_el1
    mrs     x5, spsr_el1
    stp     x1, x2, [x28], #16
    stp     x3, x4, [x28], #16
    str     x5, [x28], #8
    // Each once.
    msr     dbgbcr0_el1, xzr
    msr     dbgwcr0_el1, xzr
    mov     x6, #KDE + MDE
    msr     mdscr_el1, x6
    isb
    // Only SVC (class 0x15) goes back to where all this is set up.
    lsr     x2, x2, #26
    cmp     x2, #0x15
    b.ne    0f
    mov     x6, #0x3c5              // EL1h, all masked
    msr     spsr_el1, x6
    msr     elr_el1, x27
0:  eret

    .balign 8
cell:
    .quad   0
records:
    .space  1024

    .balign 2048
vectors:
    vector  0x000
    .balign 0x200
    vector  0x200
    .balign 0x200
    vector  0x400
    .balign 2048

#include "guest.inc"
