// Two writes to the UART's data register and a read of its flags.
    .globl  _start
_start:
    mov     x0, #UART
    mov     w1, #'A'
    mov     w2, #'B'
write:
    str     w1, [x0]
write_again:
    str     w2, [x0]
read:
    ldr     w3, [x0, #0x18]
after:
    b       power_off

#include "guest.inc"
