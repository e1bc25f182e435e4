// Repeats what comes from the console. Powers off at Ctrl-D, asks for a reset at Ctrl-R.
#include "machine.h"

        .equ    CTRL_D, 4
        .equ    CTRL_R, 18

_start: say     "ready\n"
        ldr     x20, =UART
next:   ldr     w0, [x20, #UARTFR]
        tbnz    w0, #UARTFR_RXFE, next
        ldrb    w21, [x20]
        cmp     w21, #CTRL_D
        b.eq    off
        cmp     w21, #CTRL_R
        b.eq    reset
        strb    w21, [x20]
        b       next

off:    psci    PSCI_SYSTEM_OFF
reset:  psci    PSCI_SYSTEM_RESET
