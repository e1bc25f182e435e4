// Four vCPUs print at once, 10000 bytes each: each has 16 letters of its own, from 0x40, 0x50, 0x60 and 0x70 on, and prints them over
// and over. The first one powers off when the others have turned themselves off.
#include "machine.h"

        .equ    BYTES, 10000

_start: mov     x19, #1
1:      mov     x1, x19                 // MPIDR
        adr     x2, other
        mov     x3, x19                 // context id: number of the vCPU
        psci    PSCI_CPU_ON
        add     x19, x19, #1
        cmp     x19, #4
        b.lo    1b
        mov     x0, #0
        bl      print
        mov     x19, #1
2:      mov     x1, x19
        mov     x2, #0                  // lowest affinity level
        psci    PSCI_AFFINITY_INFO
        cmp     x0, #1                  // OFF
        b.ne    2b
        add     x19, x19, #1
        cmp     x19, #4
        b.lo    2b
        psci    PSCI_SYSTEM_OFF

other:  bl      print
        psci    PSCI_CPU_OFF

// x0: number of the vCPU. Uses x1 to x5.
print:  ldr     x1, =UART
        lsl     x2, x0, #4
        add     x2, x2, #0x40
        mov     x3, #0
        ldr     x4, =BYTES
1:      and     x5, x3, #15
        add     x5, x5, x2
        strb    w5, [x1]
        add     x3, x3, #1
        cmp     x3, x4
        b.lo    1b
        ret
