// vCPU 0 starts vCPU 1; then each counts for ever.
    .globl  _start
_start:
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    adr     x2, second
    mov     x3, #0
    hvc     #0
    adr     x20, count_0
first_loop:
    ldr     x21, [x20]
    add     x21, x21, #1
    str     x21, [x20]
    b       first_loop

second:
    adr     x20, count_1
second_loop:
    ldr     x21, [x20]
second_body:
    add     x21, x21, #1
    str     x21, [x20]
    b       second_loop

    .balign 8
count_0:
    .quad   0
count_1:
    .quad   0

#include "guest.inc"
