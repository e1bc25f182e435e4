// Prints each byte from the console as a number; powers off at Ctrl-D.
#include "machine.h"

_start: say     "keys\n"
        ldr     x20, =UART
next:   ldr     w0, [x20, #UARTFR]
        tbnz    w0, #UARTFR_RXFE, next
        ldrb    w21, [x20]
        mov     x0, x21
        bl      puthex
        say     "\n"
        cmp     w21, #4
        b.ne    next
        psci    PSCI_SYSTEM_OFF
