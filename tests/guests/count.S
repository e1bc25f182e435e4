// Ten rounds of a loop, counted in memory; then the count on the console.
    .globl  _start
_start:
    mov     x19, #10
    adr     x20, rounds
round:
    ldr     x21, [x20]
body:
    add     x21, x21, #1
    str     x21, [x20]
    subs    x19, x19, #1
    b.ne    round
done:
    ldr     x0, [x20]
    bl      putx
    b       power_off

    .balign 8
rounds:
    .quad   0

#include "guest.inc"
