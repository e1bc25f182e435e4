// Takes BRK from EL1 with either stack pointer and from EL0, and prints all that the handler can see of it.
    .globl  _start
_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    adr     x28, records
    ldr     x0, =0x5a5a5a5a
    msr     far_el1, x0             // BRK leaves it alone

    // EL1h, everything unmasked, N and C set.
    ldr     x0, =0xa0000000
    msr     nzcv, x0
before_el1h:
    msr     daifclr, #0xf
brk_el1h:
    brk     #0x800                  // what Linux uses for BUG and WARN
after_el1h:
    // Z and V set, IRQs masked.
    ldr     x0, =0x50000000
    msr     nzcv, x0
    msr     daifset, #0x2
    brk     #0                      // what a debugger plants
before_el1t:
    msr     spsel, #0
brk_el1t:
    brk     #0xffff
    msr     spsel, #1
    // EL0, with everything but SError unmasked.
    mov     x0, #0x100
    msr     spsr_el1, x0
    adr     x0, before_el0
    msr     elr_el1, x0
    eret
before_el0:
    nop
brk_el0:
    brk     #0x123
after_el0:
    nop
    brk     #0x124                  // the last one: the handler prints
    b       .

.macro vector number
    .balign 0x80
    // Flags first, before anything changes them.
    mrs     x1, nzcv
    mov     x2, #\number
    b       synchronous
.endm

synchronous:
    mov     x5, x1
    // PSTATE's other bits at the places they have in SPSR.
    mrs     x1, daif
    mrs     x3, CurrentEL
    orr     x1, x1, x3
    mrs     x3, spsel
    orr     x1, x1, x3
    mrs     x4, id_aa64mmfr1_el1
    ubfx    x4, x4, #20, #4
    cbz     x4, 0f
    mrs     x4, S3_0_C4_C2_3        // PAN, bit 22
    orr     x1, x1, x4
0:  stp     x1, x2, [x28], #16
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    stp     x1, x2, [x28], #16
    mrs     x3, esr_el1
    mrs     x4, far_el1
    stp     x3, x4, [x28], #16
    str     x5, [x28], #8
    and     x3, x3, #0xffff
    cmp     x3, #0x124
    b.eq    print
    add     x1, x1, #4
    msr     elr_el1, x1
    eret

print:
    adr     x19, records
    mov     x20, x28
    bl      put_words
    b       power_off

    .balign 8
records:
    .space  512

    .balign 2048
vectors:
    vector  0x000
    .balign 0x200
    vector  0x200
    .balign 0x200
    vector  0x400
    .balign 2048

#include "guest.inc"
