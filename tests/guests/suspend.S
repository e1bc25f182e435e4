// Suspends its vCPU with a timer set, and says what it came back with and whether the time was up.
#include "machine.h"

_start: mrs     x20, cntfrq_el0
        mrs     x21, cntvct_el0
        mov     x1, #10
        udiv    x20, x20, x1
        add     x21, x21, x20           // a tenth of a second from now
        msr     cntv_cval_el0, x21
        mov     x1, #1                  // ENABLE
        msr     cntv_ctl_el0, x1
        isb
        say     "suspending\n"
        mov     x1, #0                  // power state: standby
        mov     x2, #0
        mov     x3, #0
        psci    PSCI_CPU_SUSPEND
        mrs     x22, cntvct_el0
        bl      puthex
        say     " from CPU_SUSPEND\n"
        cmp     x22, x21
        b.hs    1f
        say     "too early\n"
1:      psci    PSCI_SYSTEM_OFF
