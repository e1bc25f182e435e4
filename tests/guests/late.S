// Waits for a byte from the console, prints the last 8 bytes of a kernel file of 256 MiB, and powers off.
#include "machine.h"

        .equ    LAST, 0x40080000 + (256 << 20) - 8

_start: say     "late\n"
        ldr     x20, =UART
wait:   ldr     w0, [x20, #UARTFR]
        tbnz    w0, #UARTFR_RXFE, wait
        ldr     x0, =LAST
        ldr     x0, [x0]
        bl      puthex
        psci    PSCI_SYSTEM_OFF
