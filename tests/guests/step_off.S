// vCPU 1 turns itself off with everything unmasked; vCPU 0 turns it on again, and it prints PSTATE as it finds it.
    .globl  _start
_start:
    adr     x2, second
    bl      turn_on
    // Not before it is off: AFFINITY_INFO answers 1.
1:  ldr     x0, =0xc4000004
    mov     x1, #1
    mov     x2, #0
    hvc     #0
    cmp     x0, #1
    b.ne    1b
is_off:
    adr     x2, again
    bl      turn_on
wait:
    wfe
    b       wait

turn_on:
    ldr     x0, =0xc4000003         // PSCI CPU_ON
    mov     x1, #1                  // MPIDR
    mov     x3, #0
    hvc     #0
    ret

second:
    msr     daifclr, #0xf
    ldr     x0, =0x84000002         // PSCI CPU_OFF
turn_off:
    hvc     #0
    add     x4, x4, #1              // not reached
    b       .

again:
    mrs     x19, daif
    mrs     x20, nzcv
    mov     x0, x19
    bl      putx
    mov     x0, x20
    bl      putx
    b       power_off

#include "guest.inc"
