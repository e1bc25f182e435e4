// Starts all vCPUs that there are, says so, and leaves each of them waiting for an interrupt that never comes.
#include "machine.h"

_start: mov     x19, #1
1:      ldr     x0, =PSCI_CPU_ON
        mov     x1, x19                 // MPIDR of the next one
        adr     x2, 2f
        hvc     #0
        add     x19, x19, #1
        cbz     w0, 1b                  // until there is none
        say     "waiting\n"
2:      wfi
        b       2b
