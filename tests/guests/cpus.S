// Turns on vCPU 1, which prints its context id and turns itself off; vCPU 0 says so and powers off.
#include "machine.h"

_start: mov     x1, #1                  // MPIDR of vCPU 1
        adr     x2, second
        ldr     x3, =0x123456789abcdef0 // context id
        psci    PSCI_CPU_ON
        cbnz    x0, failed
1:      mov     x1, #1
        mov     x2, #0                  // lowest affinity level
        psci    PSCI_AFFINITY_INFO
        cmp     x0, #1                  // OFF; 0 is ON, 2 ON_PENDING
        b.ne    1b
        say     "vCPU 1 is off\n"
        psci    PSCI_SYSTEM_OFF
failed: bl      puthex
        say     " from CPU_ON\n"
        psci    PSCI_SYSTEM_OFF

second: bl      puthex
        say     " is vCPU 1's context\n"
        psci    PSCI_CPU_OFF
