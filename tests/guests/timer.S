// A loop under a timer interrupt that comes again a moment after each return: stop it for longer than that, and the interrupt is
// pending. Ends after five ticks, with a WFI on the way.
    .globl  _start
_start:
    adr     x0, vectors
    msr     vbar_el1, x0
    bl      interrupts_on
    // About a millisecond.
    mrs     x25, cntfrq_el0
    lsr     x25, x25, #10
    msr     cntv_tval_el0, x25
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
    bl      tick                    // the loop does not use the link register
    ldr     x16, [x20]
    add     x16, x16, #1
    str     x16, [x20]
    // The fifth is the last, however late the loop sees it.
    cmp     x16, #5
    b.lo    1f
    mrs     x17, spsr_el1
    orr     x17, x17, #0x80         // I
    msr     spsr_el1, x17
1:  eret

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

#include "gic.inc"
#include "guest.inc"
