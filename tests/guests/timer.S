// A loop under a timer interrupt that comes again a moment after each return: stop it for longer than that, and the interrupt is
// pending. Needs a GICv3. Ends after five ticks, with a WFI on the way.
    .globl  _start
.equ GICD, 0x08000000
.equ GICR_SGI, 0x080b0000           // the first redistributor's second frame
.equ TIMER, 27                      // INTID of the virtual timer

_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    mov     x0, #GICD
    mov     w1, #0x12               // CTLR: ARE, group 1
    str     w1, [x0]
    ldr     x0, =GICR_SGI
    mov     w1, #-1
    str     w1, [x0, #0x80]         // IGROUPR0
    mov     w1, #1 << TIMER
    str     w1, [x0, #0x100]        // ISENABLER0
    mov     x0, #0xf0
    msr     S3_0_C4_C6_0, x0        // ICC_PMR_EL1
    mov     x0, #1
    msr     S3_0_C12_C12_7, x0      // ICC_IGRPEN1_EL1
    isb
    // About a millisecond.
    ldr     x0, =stack
    mov     sp, x0
    mrs     x28, cntfrq_el0
    lsr     x28, x28, #10
    msr     cntv_tval_el0, x28
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    mov     x19, #0
    adr     x20, ticks
    msr     daifclr, #2
loop:
    add     x19, x19, #1
    mrs     x21, cntv_ctl_el0       // bit 2, ISTATUS: the timer asks for an interrupt
    mrs     x22, daif
    ldr     x23, [x20]
    cmp     x23, #5
    b.lo    loop
masked:
    msr     daifset, #2
idle:
    wfi
woken:
    mrs     x22, daif
    msr     daifclr, #2
    msr     daifset, #2
done:
    adr     x0, text
    bl      puts
    b       power_off

irq:
    stp     x0, x1, [sp, #-16]!
    mrs     x0, S3_0_C12_C12_0      // ICC_IAR1_EL1
    ldr     x1, [x20]
    add     x1, x1, #1
    str     x1, [x20]
    msr     cntv_tval_el0, x28
    isb
    msr     S3_0_C12_C12_1, x0      // ICC_EOIR1_EL1
    ldp     x0, x1, [sp], #16
    eret

    .balign 8
ticks:
    .quad   0
text:
    .asciz  "ticked\n"

    .balign 2048
vectors:
    .space  0x200
    b       .                       // synchronous: nothing here should cause one
    .balign 0x80
    b       irq
    .balign 2048
vectors_end:

    .space  256
stack:

#include "guest.inc"
