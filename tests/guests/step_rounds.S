// Two vCPUs, each a hundred rounds through the same instructions; then the counts on the console.
    .globl  _start
.equ ROUNDS, 100

_start:
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    adr     x2, second
    mov     x3, #0
    hvc     #0
    adr     x20, own_0
    bl      rounds
    adr     x20, own_1
1:  ldr     x21, [x20]
    cmp     x21, #ROUNDS
    b.ne    1b
    adr     x19, own_0
    adr     x20, end
    bl      put_words
    b       power_off

second:
    adr     x20, own_1
    bl      rounds
    ldr     x0, =0x84000002         // PSCI CPU_OFF
    hvc     #0

rounds:
    mov     x22, #ROUNDS
1:  ldr     x21, [x20]
body:
    add     x21, x21, #1
    str     x21, [x20]
    subs    x22, x22, #1
    b.ne    1b
    ret

    .balign 8
own_0:
    .quad   0
own_1:
    .quad   0
end:

#include "guest.inc"
