// vCPU 0 starts vCPU 1 if there is one; then each takes the same BRK for ever and counts in x21 how often its handler has.
    .globl  _start
_start:
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    adr     x2, second
    mov     x3, #0
    hvc     #0
second:
    adr     x0, vectors
    msr     vbar_el1, x0
    isb
    mov     x21, #0
before_bug:
    nop
bug:
    brk     #0x800
    b       before_bug

    .balign 2048
vectors:
    .space  0x200
taken:                              // from EL1 with its own stack pointer
    add     x21, x21, #1
    mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
counted:
    eret
    .balign 2048

#include "guest.inc"
