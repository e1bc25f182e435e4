// Two vCPUs, each for ever: add one to a counter that both have, then to its own.
    .globl  _start
_start:
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    adr     x2, second
    mov     x3, #0
    hvc     #0
    bl      mmu_on
    adr     x1, own_0
    b       start_0
second:
    bl      mmu_on
    adr     x1, own_1
    b       start_1

.macro loop number
start_\number:
    adr     x0, shared
loop_\number:
    ldaxr   x2, [x0]
    add     x2, x2, #1
    stlxr   w3, x2, [x0]
stored_\number:
    cbnz    w3, loop_\number
    ldr     x2, [x1]
    add     x2, x2, #1
    str     x2, [x1]
    b       loop_\number
.endm

    loop    0
    loop    1
    .ltorg

    .balign 64
shared:
    .quad   0
    .balign 64
own_0:
    .quad   0
    .balign 64
own_1:
    .quad   0

#include "mmu.inc"
